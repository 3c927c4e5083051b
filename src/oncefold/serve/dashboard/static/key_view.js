// A key: where it counts now, and everything that arrived for it.

import { amount } from "./api.js";
import { grouped, h } from "./dom.js";
import { numberIn } from "./number.js";
import { emptyWords, failure, leafWords, namedLeaf, pathInRollup } from "./pieces.js";
import { format, keyLink, kept, nodeLink } from "./router.js";
import { readable } from "./times.js";

const RELOAD_EVERY = 1500;

export class KeyView {
  constructor(app, route) {
    this.app = app;
    this.route = route;
    this.element = h("article", { class: "key-view" }, emptyWords("Loading"));
  }

  get title() {
    return `Key ${this.route.key}`;
  }

  async start() {
    try {
      const found = await this.app.api.history(this.route.key, this.route.every);
      const text = JSON.stringify([found.current, found.rows]);
      if (text !== this.text && !this.gone) this.show(found);
      this.text = text;
    } catch (error) {
      this.text = null;
      const search = error.status === 404 && h("p", {}, h("a", { href: format({ ...kept(this.route), view: "search", q: this.route.key }) }, "Search for nodes and keys like it"));
      if (!this.gone) this.element.replaceChildren(failure(error, () => this.start(), search || ""));
    }
  }

  show(found) {
    const toggle = h("input", { type: "checkbox", ".checked": this.route.every, onchange: () => this.app.go({ ...this.route, every: toggle.checked }, { replace: true }) });
    this.element.replaceChildren(
      h("div", { class: "summary card" },
        h("nav", { class: "crumbs", "aria-label": "Where this is" }, h("ol", {}, h("li", {}, h("a", { href: "#/" }, "Totals")), h("li", {}, h("span", { "aria-current": "page" }, "Key")))),
        h("h1", { tabindex: -1, class: "key-name" }, found.key),
        this.currentVersion(found.current)),
      h("div", { class: "list card" },
        h("div", { class: "tabs" }, h("h2", {}, "History"), h("label", { class: "choice" }, toggle, " also what changed nothing")),
        found.rows.length ? h("div", { class: "scroll" }, this.table(found)) : emptyWords("Everything that arrived for it is beyond the retention."),
        h("p", { class: "verdict" }, this.closing(found))));
  }

  currentVersion(current) {
    const version = current.version ? ` at version ${current.version}` : "";
    if (current.deleted) return h("p", { class: "standing" }, h("span", { class: "outcome deleted" }, "deleted"), `${version}: it counts nowhere.`);
    return h("div", { class: "standing" },
      h("p", {}, `Counts${version} in `, ...this.leafLinks(current)),
      h("dl", { class: "figures" }, ...Object.entries(current.measures ?? {}).map(([name, value]) => h("div", {}, h("dt", {}, name), numberIn("dd", value ?? "–")))));
  }

  // A link into each tree for each leaf there.
  leafLinks({ leaf, leaves }) {
    const { rollups } = this.app.status;
    const pathsIn = (name) => leaves?.[name] ?? [pathInRollup(leaf, rollups, name)].filter((path) => path !== null);
    const links = rollups.flatMap(({ name }) => pathsIn(name).map((path) => {
      const words = rollups.length > 1 ? `${name}: ${leafWords(path)}` : leafWords(path);
      return h("a", { href: nodeLink(this.route, name, path) }, words);
    }));
    if (!links.length) return [namedLeaf(leaf, rollups)];
    return links.flatMap((link, index) => (index ? [", ", link] : [link]));
  }

  table(found) {
    const { measures } = this.app.status, versions = found.rows.some((row) => row.version);
    const heads = ["Commit", "Time, UTC", "Outcome", ...(versions ? ["Version"] : []), "Leaf"];
    return h("table", { class: "rows stacked history" },
      h("thead", {}, h("tr", {}, ...heads.map((words, index) => h("th", { scope: "col", class: index === 0 ? "num" : null }, words)), ...measures.map(({ name }) => h("th", { scope: "col", class: "num" }, name)))),
      h("tbody", {}, ...found.rows.map((row) => this.row(row, measures, versions))));
  }

  row(row, measures, versions) {
    const outcome = String(row.outcome), leaf = row.leaf;
    const past = format({ ...this.route, view: "node", rollup: this.app.status.rollups[0].name, path: "", asOf: String(row.commit) });
    return h("tr", {},
      h("td", { "data-head": "commit", class: "num" }, h("a", { href: past, title: "The tree as of this commit" }, grouped(row.commit))),
      h("td", { "data-head": "time", title: row.time ?? "" }, readable(row.time)),
      h("td", { "data-head": "outcome" }, h("span", { class: `outcome ${outcome}` }, outcome.replaceAll("_", " "))),
      versions && h("td", { "data-head": "version", class: "version" }, row.version ?? ""),
      h("td", { "data-head": "leaf" }, leaf === null || leaf === undefined ? h("span", { class: "quiet" }, "none") : namedLeaf(leaf, this.app.status.rollups)),
      ...measures.map(({ name }) => numberIn("td", amount(row, name) ?? (leaf === null || leaf === undefined ? "" : "–"), { "data-head": name })));
  }

  closing(found) {
    if (found.forgotten_to !== null && found.forgotten_to !== undefined) return `What arrived up to commit ${grouped(found.forgotten_to)} is beyond the retention.`;
    if (this.route.every) return "This is all that ever arrived.";
    return h("a", { href: keyLink(this.route, this.route.key, { every: true }) }, "Show duplicates, stale and lost events too");
  }

  watching = () => null;

  onCommit() {
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
