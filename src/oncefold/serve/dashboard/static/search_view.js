// Nodes whose label holds a text, and keys that begin with it.

import { grouped, h, many } from "./dom.js";
import { amount } from "./api.js";
import { emptyWords, failure, namedLeaf } from "./pieces.js";
import { label, levelWords, segments, shown } from "./nodepath.js";
import { numberIn } from "./number.js";
import { keyLink, nodeLink } from "./router.js";

const LIMIT = 50;

export class SearchView {
  constructor(app, route) {
    this.app = app;
    this.route = route;
    this.results = h("div", { class: "results" });
    this.heading = h("h1", { tabindex: -1 });
    this.element = h("article", { class: "search-view" }, h("div", { class: "list card" }, this.heading, this.results));
    this.element.addEventListener("keydown", (event) => this.onKey(event));
  }

  get title() {
    return this.route.q ? `Search: ${this.route.q}` : "Search";
  }

  start() {
    return this.ask(this.route);
  }

  // Another text for the same view: the page is not made anew at each key.
  async ask(route) {
    this.route = route;
    this.heading.textContent = route.q ? `“${route.q}”` : "Search";
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    if (!route.q.trim()) {
      this.results.replaceChildren(emptyWords("Type a part of a node's name, or the beginning of a key."));
      return;
    }
    try {
      this.show(await this.app.api.search(route.q.trim(), LIMIT, asking.signal));
    } catch (error) {
      if (error.name !== "AbortError") this.results.replaceChildren(failure(error, () => this.start()));
    }
  }

  show({ nodes, keys }) {
    this.app.say(`${many(nodes.length, "node")} and ${many(keys.length, "key")} found`);
    if (!nodes.length && !keys.length) {
      this.results.replaceChildren(emptyWords("Nothing is found: no node has this in its name, and no key begins with it."));
      return;
    }
    this.results.replaceChildren(
      ...section("Nodes", nodes, ["Node", "Level", this.measure, "Keys"], (node) => this.node(node)),
      ...section("Keys", keys, ["Key", "Place", "Version", this.measure], (key) => this.key(key)));
  }

  get measure() {
    const names = [...this.app.status.measures.map(({ name }) => name), "count"];
    return names.includes(this.route.measure) ? this.route.measure : names[0];
  }

  node(node) {
    const { rollups } = this.app.status, several = rollups.length > 1, steps = segments(node.path);
    const level = rollups.find(({ name }) => name === node.rollup)?.levels[steps.length - 1] ?? "";
    const labels = steps.map((text) => shown(label(text)));
    const link = h("a", { class: "result", href: nodeLink({ ...this.route, asOf: null }, node.rollup, node.path) },
      several && h("span", { class: "rollup" }, `${node.rollup} `), labels.length > 1 && `${labels.slice(0, -1).join(" › ")} › `, h("strong", {}, labels.at(-1) ?? ""));
    return [link, h("span", { class: "quiet" }, levelWords(level)), numberIn("span", this.measure === "count" ? node.count : (amount(node, this.measure) ?? "–")), h("span", { class: "quiet" }, many(node.count, "key"))];
  }

  key(key) {
    const live = key.live !== false;
    const place = live && key.leaf !== null && key.leaf !== undefined ? namedLeaf(key.leaf, this.app.status.rollups) : h("span", { class: "outcome deleted" }, "deleted");
    return [h("a", { class: "result", href: keyLink(this.route, key.key) }, key.key), place, h("span", { class: "version" }, key.version ?? ""), live ? (this.measure === "count" ? "" : numberIn("span", amount(key, this.measure) ?? "–")) : ""];
  }

  onKey(event) {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const links = [...this.results.querySelectorAll("a")], at = links.indexOf(document.activeElement);
    if (at < 0) return;
    event.preventDefault();
    const to = at + (event.key === "ArrowDown" ? 1 : -1);
    if (to < 0) document.querySelector("#search").focus();
    else links[Math.min(to, links.length - 1)].focus();
  }

  focusFirst() {
    this.results.querySelector("a")?.focus();
  }

  watching = () => null;

  onCommit = () => {};

  onReset = () => {};

  past = () => null;

  destroy() {
    this.asking?.abort();
  }
}

function section(words, found, heads, cells) {
  if (!found.length) return [];
  const more = found.length >= LIMIT ? `the first ${grouped(LIMIT)}` : grouped(found.length);
  const numbers = words === "Nodes" ? [2, 3] : [3];
  const side = (index) => (numbers.includes(index) ? "num" : null);
  return [h("h2", {}, words, h("span", { class: "quiet" }, ` ${more}`)),
    h("div", { class: "scroll" }, h("table", { class: "rows found" },
      h("thead", {}, h("tr", {}, ...heads.map((head, index) => h("th", { scope: "col", class: side(index) }, head)))),
      h("tbody", {}, ...found.map((each) => h("tr", {}, ...cells(each).map((cell, index) => h(index ? "td" : "th", { scope: index ? null : "row", class: side(index) }, cell)))))))];
}
