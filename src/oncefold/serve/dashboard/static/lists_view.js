// The reject list and the conflicts: what a person should look at.

import { grouped, h, many } from "./dom.js";
import { numberIn } from "./number.js";
import { emptyWords, failure, leafWords } from "./pieces.js";
import { keyLink } from "./router.js";
import { readable } from "./times.js";

const LIMIT = 100;
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
      const text = JSON.stringify([found.total, found.rows]);
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
      found.rows.length ? this.rows(found.rows) : emptyWords(this.none),
      left > 0 && h("p", { class: "verdict" }, `The newest ${grouped(found.rows.length)} of ${grouped(found.total)}. `, h("button", { type: "button", onclick: () => this.more() }, "Show more")));
  }

  more() {
    this.limit = Math.min(1000, this.limit + LIMIT * 4);
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

  ask = () => this.app.api.rejects(this.limit);

  concerns = () => true;

  rows = (rows) => h("ol", { class: "rejects" }, ...rows.map((row) => reject(row, { whole: true })));
}

export class ConflictsView extends ListView {
  title = "Conflicts";
  lead = "Two events with one key and one version, but other content. The greater content counts, whichever came first.";
  none = "No two events contradict each other.";

  ask = () => this.app.api.conflicts(this.limit);

  concerns = (counts) => Boolean(counts.conflict_won || counts.conflict_lost);

  rows(rows) {
    const { measures } = this.app.status;
    const heads = ["Commit", "Key", "Version", "", "Leaf"];
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
      h("td", { "data-head": "" }, words),
      h("td", { "data-head": "Leaf" }, leaf === null || leaf === undefined ? "(delete)" : leafWords(leaf)),
      ...measures.map(({ name }) => numberIn("td", amounts[name] ?? "", { "data-head": name })));
  }
}

// One rejected event; its text in short, or whole where there is room.
export function reject(row, { whole = false } = {}) {
  const place = `${row.source}, ${row.unit ?? "at"} ${grouped(row.position)}`;
  const raw = row.raw ?? (row.raw_base64 ? `${row.raw_base64} (base64)` : "");
  return h("li", {},
    h("p", { class: "reason" }, row.reason),
    h("p", { class: "where" }, place, `, commit ${grouped(row.commit)}`, whole && row.time ? `, ${readable(row.time)} UTC` : ""),
    whole && h("pre", { class: "raw", tabindex: raw.length > 200 ? 0 : null, "aria-label": "The event as it came" }, raw));
}

export const rejectsWords = (total) => (total === 0 ? "No event was rejected." : `All ${many(total, "rejected event")}`);
