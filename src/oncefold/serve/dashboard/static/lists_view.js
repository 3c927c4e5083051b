// The reject list and the conflicts: what a person should look at.

import { confirmed } from "./dialogs.js";
import { grouped, h, many, setText } from "./dom.js";
import { numberIn } from "./number.js";
import { emptyWords, failure, namedLeaf } from "./pieces.js";
import { format, keyLink } from "./router.js";
import { readable } from "./times.js";

const LIMIT = 100;
const MOST = 1000;
const RELOAD_EVERY = 1500;

class ListView {
  constructor(app, route) {
    this.app = app;
    this.route = route;
    this.limit = LIMIT;
    this.element = h("article", { class: "list-view" }, emptyWords("Loading"));
  }

  async start() {
    try {
      const found = await this.ask();
      const text = JSON.stringify([found.total, found.rows, found.reasons]);
      if (text !== this.text && !this.gone) this.element.replaceChildren(this.card(found));
      this.text = text;
    } catch (error) {
      this.text = null;
      if (!this.gone) this.element.replaceChildren(failure(error, () => this.start()));
    }
  }

  card(found) {
    const left = found.total - found.rows.length;
    return h("div", { class: "list card" },
      h("nav", { class: "crumbs", "aria-label": "Where this is" }, h("ol", {}, h("li", {}, h("a", { href: "#/" }, "Totals")), h("li", {}, h("span", { "aria-current": "page" }, this.title)))),
      h("h1", { tabindex: -1 }, this.title),
      h("p", { class: "lead" }, this.lead),
      this.above?.(found),
      found.rows.length ? this.rows(found.rows) : emptyWords(this.none),
      left > 0 && h("p", { class: "verdict" }, `The newest ${grouped(found.rows.length)} of ${grouped(found.total)}. `, this.limit < MOST && h("button", { type: "button", onclick: () => this.more() }, "Show more")));
  }

  more() {
    this.limit = Math.min(MOST, this.limit + LIMIT * 4);
    return this.start();
  }

  watching = () => null;

  onCommit(message) {
    if (!this.concerns(message.counts ?? {})) return;
    this.waiting ??= setTimeout(() => {
      this.waiting = null;
      this.start();
    }, RELOAD_EVERY);
  }

  onReset = () => this.start();

  past = () => null;

  destroy() {
    this.gone = true;
    clearTimeout(this.waiting);
  }
}

export class RejectsView extends ListView {
  title = "Rejected events";
  lead = "Events that could not be read: why, and where they stand in their source. Everything else went on.";
  none = "No event was rejected.";

  // The rejects, of one reason or of all, and how many there are of each.
  async ask() {
    const { api } = this.app, { reason } = this.route;
    const [found, { rows: reasons }] = await Promise.all([api.rejects(this.limit, reason ?? undefined), api.reasons()]);
    const chosen = reasons.find((each) => each.reason === reason);
    return { ...found, reasons, all: found.total, total: reason ? (chosen?.events ?? 0) : found.total };
  }

  concerns = () => true;

  above(found) {
    this.outcome ??= h("p", { role: "status", class: "outcome-words" });
    if (!found.all) return this.outcome;
    const here = (reason) => format({ ...this.route, reason });
    const table = h("table", { class: "rows reasons" },
      h("caption", { class: "unseen" }, "Reasons"),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Reason"), h("th", { scope: "col", class: "num" }, "Events"), h("th", { scope: "col", class: "num" }, "Newest commit"), h("th", { scope: "col" }, h("span", { class: "unseen" }, "What to do")))),
      h("tbody", {}, ...found.reasons.map((each) => h("tr", { class: each.reason === this.route.reason ? "chosen" : null },
        h("th", { scope: "row" }, h("a", { href: here(each.reason), "aria-current": each.reason === this.route.reason ? "true" : null }, each.reason)),
        numberIn("td", each.events), numberIn("td", each.newest_commit),
        h("td", { class: "acts" }, h("button", { type: "button", onclick: () => this.discardReason(each) }, "Discard"))))));
    return h("section", { "aria-label": "By reason" },
      h("p", { class: "acts" }, h("button", { type: "button", class: "primary", onclick: () => this.redrive(found.all) }, "Read all of them again"), this.route.reason && h("a", { class: "button", href: here(null) }, "Show all reasons")),
      this.outcome, h("div", { class: "scroll" }, table),
      h("h2", { class: "listed" }, this.route.reason ?? "All of them", h("span", { class: "quiet" }, ` ${grouped(found.total)}`)));
  }

  rows = (rows) => h("ol", { class: "rejects" }, ...rows.map((row) => reject(row, { whole: true, act: h("button", { type: "button", class: "quiet", "aria-label": `Discard event ${row.id}`, onclick: () => this.discard(row) }, "Discard") })));

  async redrive(number) {
    const words = ["Every event on the list is read with the definition as it is now. Those that can be read are counted; the others stay."];
    if (await confirmed(`Read ${many(number, "rejected event")} again?`, words, "Read again")) await this.act(() => this.app.api.redrive(), ({ commit, counts }) => `Read again in commit ${grouped(commit)}: ${outcomes(counts, number)}.`);
  }

  async discard(row) {
    if (await confirmed("Discard this event?", [row.reason, GONE], "Discard")) await this.act(() => this.app.api.discard(row.id), () => "1 event is off the list.");
  }

  async discardReason({ reason, events, newest }) {
    if (await confirmed(`Discard ${many(events, "event")}?`, [reason, GONE], "Discard")) await this.act(() => this.app.api.discardReason(reason, newest), ({ discarded }) => `${many(discarded, "event")} off the list.`);
  }

  async act(change, words) {
    try {
      const done = words(await change());
      this.text = null;
      await this.start();
      setText(this.outcome, done);
      this.app.activity.loadRejectsSoon();
    } catch (error) {
      setText(this.outcome, error.message);
    }
  }
}

const GONE = "It goes off the list for good, and stays counted as rejected.";

// What became of so many events; those that are not named are still on the list.
function outcomes(counts, number) {
  const read = Object.entries(counts).filter(([outcome]) => outcome !== "rejected"), still = number - read.reduce((sum, [, count]) => sum + count, 0);
  const words = read.map(([outcome, count]) => `${grouped(count)} ${outcome.replaceAll("_", " ")}`);
  return [...words, ...(still > 0 ? [`${grouped(still)} still rejected`] : [])].join(", ") || "nothing was on the list";
}

export class ConflictsView extends ListView {
  title = "Conflicts";
  lead = "Two events with one key and one version, but other content. The greater content counts, whichever came first.";
  none = "No two events contradict each other.";

  ask = () => this.app.api.conflicts(this.limit);

  concerns = (counts) => Boolean(counts.conflict_won || counts.conflict_lost);

  rows(rows) {
    const { measures } = this.app.status;
    const heads = ["Commit", "Key", "Version", "Of the two", "Leaf"];
    return h("div", { class: "scroll" }, h("table", { class: "rows pairs" },
      h("thead", {}, h("tr", {}, ...heads.map((words, index) => h("th", { scope: "col", class: index ? null : "num" }, words)), ...measures.map(({ name }) => h("th", { scope: "col", class: "num" }, name)))),
      h("tbody", {}, ...rows.flatMap((row) => [this.side(row, "kept", "counts", measures), this.side(row, "dropped", "does not", measures)]))));
  }

  side(row, side, words, measures) {
    const amounts = row[`${side}_measures`] ?? {};
    const first = side === "kept", leaf = row[`${side}_leaf`];
    return h("tr", { class: side },
      first ? numberIn("td", row.commit, { rowspan: 2, "data-head": "Commit" }) : null,
      first ? h("th", { scope: "row", rowspan: 2, "data-head": "Key" }, h("a", { href: keyLink(this.route, row.key) }, row.key)) : null,
      first ? h("td", { rowspan: 2, "data-head": "Version", class: "version" }, row.version ?? "") : null,
      h("td", { "data-head": "Of the two" }, words),
      h("td", { "data-head": "Leaf" }, leaf === null || leaf === undefined ? "(delete)" : namedLeaf(leaf, this.app.status.rollups)),
      ...measures.map(({ name }) => numberIn("td", amounts[name] ?? (leaf === null || leaf === undefined ? "" : "–"), { "data-head": name })));
  }
}

// One rejected event; its text in short, or whole where there is room.
export function reject(row, { whole = false, act = null } = {}) {
  const place = `${row.source}, ${row.unit ?? "at"} ${grouped(row.position)}`;
  const raw = row.raw ?? (row.raw_base64 ? `${row.raw_base64} (base64)` : "");
  return h("li", {},
    h("p", { class: "reason" }, row.reason, act && " ", act),
    h("p", { class: "where" }, place, `, commit ${grouped(row.commit)}`, whole && row.time ? `, ${readable(row.time)} UTC` : ""),
    whole && h("pre", { class: "raw", tabindex: raw.length > 200 ? 0 : null, "aria-label": "The event as it came" }, raw));
}

export const rejectsWords = (total) => (total === 0 ? "No event was rejected." : `All ${many(total, "rejected event")}`);
