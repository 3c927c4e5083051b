// The keys behind a node: which they are, what each adds, and whether they add up.

import { addsUp, amount } from "./api.js";
import { grouped, h, many } from "./dom.js";
import { format, mantissa } from "./exact.js";
import { numberIn } from "./number.js";
import { emptyWords, failure, leafWords } from "./pieces.js";
import { keyLink, nodeLink } from "./router.js";

const PAGE = 50;
const RELOAD_UP_TO = 200;
const SETTLE = 1000;

export class KeysList {
  constructor(app, route) {
    this.app = app;
    this.route = route;
    this.rows = [];
    this.element = h("div", { class: "keys-list" }, emptyWords("Loading"));
  }

  async load(limit = PAGE) {
    await this.ask(async () => {
      const found = await this.app.api.explain(this.route.rollup, this.route.path, { limit });
      this.rows = found.rows;
      this.show(found);
    });
  }

  async more() {
    await this.ask(async () => {
      const found = await this.app.api.explain(this.route.rollup, this.route.path, { limit: PAGE * 4, after: this.rows.length });
      const first = this.rows.length;
      this.rows = [...this.rows, ...found.rows];
      this.show(found);
      this.element.querySelectorAll("tbody a.key")[first]?.focus();
    });
  }

  async ask(question) {
    try {
      await question();
    } catch (error) {
      this.element.replaceChildren(failure(error, () => this.load()));
    }
  }

  // The node's total is another now: few keys are asked again, of many it is said.
  outdated() {
    if (this.waiting || !this.answer) return;
    this.waiting = setTimeout(() => {
      this.waiting = null;
      if (!this.element.isConnected) return;
      if (this.rows.length <= RELOAD_UP_TO && !this.element.contains(document.activeElement)) this.load(Math.max(PAGE, this.rows.length));
      else this.element.querySelector(".since")?.removeAttribute("hidden");
    }, SETTLE);
  }

  show(found) {
    this.answer = found;
    if (found.count === 0) {
      this.element.replaceChildren(emptyWords("No key counts here."));
      return;
    }
    const reload = h("button", { type: "button", class: "quiet", onclick: () => this.load(Math.max(PAGE, this.rows.length)) }, "Load them again");
    this.element.replaceChildren(
      h("p", { class: "since", hidden: true, role: "status" }, `The total has changed since commit ${grouped(found.commit)}. `, reload),
      h("div", { class: "scroll" }, this.table()),
      h("p", { class: "verdict" }, this.verdict(found), found.more ? " " : "", found.more && h("button", { type: "button", onclick: () => this.more() }, "Show more keys")));
  }

  table() {
    const { measures } = this.app.status, versions = this.rows.some((row) => row.version);
    const leaves = this.rows.some((row) => row.leaf !== this.route.path);
    const heads = ["Key", ...(versions ? ["Version"] : []), ...(leaves ? ["Leaf"] : [])];
    return h("table", { class: "rows stacked" },
      h("thead", {}, h("tr", {}, ...heads.map((words) => h("th", { scope: "col" }, words)), ...measures.map(({ name }) => h("th", { scope: "col", class: "num" }, name)))),
      h("tbody", {}, ...this.rows.map((row) => this.row(row, measures, { versions, leaves }))));
  }

  row(row, measures, { versions, leaves }) {
    return h("tr", {},
      h("th", { scope: "row" }, h("a", { class: "key", href: keyLink(this.route, row.key) }, row.key)),
      versions && h("td", { "data-head": "version", class: "version" }, row.version ?? ""),
      leaves && h("td", { "data-head": "leaf" }, ...(row.leaves ?? [row.leaf]).flatMap((leaf, index) => [index ? ", " : "", this.leafLink(leaf)])),
      ...measures.map(({ name }) => numberIn("td", amount(row, name) ?? "–", { "data-head": name })));
  }

  leafLink = (leaf) => h("a", { href: nodeLink(this.route, this.route.rollup, leaf) }, leafWords(below(leaf, this.route.path)));

  // Adds up what is listed, where all is, exactly.
  verdict(found) {
    if (this.rows.length < found.count) return `${grouped(this.rows.length)} of ${many(found.count, "key")}, in the order in which they first arrived.`;
    const wrong = this.app.status.measures.filter(addsUp).filter(({ name, scale }) => {
      const sum = this.rows.reduce((total, row) => total + mantissa(amount(row, name) ?? "0"), 0n);
      return format(sum, scale) !== String(found.total.measures[name]);
    });
    if (wrong.length) return `The values listed do not add up to the total of ${wrong.map(({ name }) => name).join(", ")}; run: oncefold verify`;
    return `${found.count === 1 ? "This is the only key" : `These are all ${grouped(found.count)} keys`}; ${this.app.status.measures.every(addsUp) ? "the values" : "sums and counts"} add up to the total exactly.`;
  }
}

// What of a leaf's path lies below a node.
const below = (leaf, path) => (path && leaf.startsWith(`${path}/`) ? leaf.slice(path.length + 1) : leaf);
