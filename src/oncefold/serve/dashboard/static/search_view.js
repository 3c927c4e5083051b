// Nodes whose label holds a text, and keys that begin with it.

import { grouped, h, many } from "./dom.js";
import { emptyWords, failure } from "./pieces.js";
import { label, segments, shown } from "./nodepath.js";
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
    const several = this.app.status.rollups.length > 1;
    this.results.replaceChildren(
      ...section("Nodes", nodes, (node) => h("a", { class: "result", href: nodeLink({ ...this.route, asOf: null }, node.rollup, node.path) },
        several && h("span", { class: "rollup" }, node.rollup), this.steps(node.path), h("span", { class: "keys" }, many(node.count, "key")))),
      ...section("Keys", keys, (key) => h("a", { class: "result", href: keyLink(this.route, key.key) },
        h("span", { class: "name" }, key.key), h("span", { class: "keys" }, key.live === false ? "deleted" : ""))));
  }

  steps(path) {
    const labels = segments(path).map((text) => shown(label(text)));
    return h("span", { class: "name" }, labels.length > 1 && h("span", { class: "quiet" }, `${labels.slice(0, -1).join(" › ")} › `), labels.at(-1) ?? "");
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

function section(words, found, item) {
  if (!found.length) return [];
  const more = found.length >= LIMIT ? `the first ${grouped(LIMIT)}` : grouped(found.length);
  return [h("h2", {}, words, h("span", { class: "quiet" }, ` ${more}`)), h("ul", { class: "found" }, ...found.map((each) => h("li", {}, item(each))))];
}
