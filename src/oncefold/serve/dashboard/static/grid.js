// The tree as an ARIA treegrid. Only the lines in sight are in the document, however many there are.

import { h, set } from "./dom.js";
import { width } from "./exact.js";
import { onKey } from "./grid_keys.js";
import { drawPoints, makeLine, placeLine, showValues } from "./grid_lines.js";
import { levelWords } from "./nodepath.js";

const OVERSCAN = 8;
const AT_MOST_MEASURES = 6;
// Besides the numbers: the name, the bar, the share and the line over time.
export const FIXED_COLUMNS = 4;
const FIXED_WIDTH = { name: 160, bar: 100, share: 110, spark: 112 };

export class Grid {
  // `host` has open(path), toggle(path), more(path), sortBy(column), link(path), measure(), points(path), onSight(paths), and
  // shares(parent): whether the children of a node add up to it.
  constructor(tree, measures, host) {
    this.tree = tree;
    this.measures = measures;
    this.host = host;
    this.lines = [];
    this.positions = new Map();
    this.rows = new Map();
    this.focused = null;
    this.columns = [];
    this.widths = new Map();
    this.greatest = new Map();
    this.heading = h("div", { role: "row", class: "heading", "aria-rowindex": 1 });
    this.body = h("div", { role: "rowgroup", class: "body" });
    this.element = h("div", { role: "treegrid", class: "tree", "aria-label": "Nodes and their totals", "aria-readonly": "true" },
      h("div", { role: "rowgroup" }, this.heading), this.body);
    this.body.addEventListener("keydown", (event) => onKey(this, event));
    this.body.addEventListener("click", (event) => this.onClick(event));
    this.body.addEventListener("focusin", (event) => this.onFocus(event));
    this.onScroll = () => (this.frame ??= requestAnimationFrame(() => this.render()));
    this.resizing = new ResizeObserver(() => this.layout());
    addEventListener("scroll", this.onScroll, { passive: true });
    this.resizing.observe(this.element);
  }

  destroy() {
    removeEventListener("scroll", this.onScroll);
    this.resizing.disconnect();
    cancelAnimationFrame(this.frame);
  }

  // Everything may be another: lines, columns, values.
  refresh() {
    this.lines = this.tree.lines();
    this.positions = new Map(this.lines.map(({ path }, at) => [path, at]));
    this.greatest.clear();
    this.measureNumbers();
    this.layout();
  }

  // Numbers are as wide as the widest that was ever shown, so that columns stand still.
  measureNumbers() {
    for (const name of ["count", ...this.measures.map((measure) => measure.name)]) {
      for (const { path, kind } of this.lines) {
        if (kind === "node") this.widths.set(name, Math.max(this.widths.get(name) ?? 4, width(this.tree.value(path, name) ?? "")));
      }
    }
  }

  layout() {
    const style = getComputedStyle(this.element);
    this.rowHeight = parseFloat(style.getPropertyValue("--row")) || 36;
    this.fontSize = parseFloat(style.fontSize) || 14;
    this.narrow = this.element.clientWidth < 620;
    const names = this.columnsThatFit(this.element.clientWidth);
    const layout = JSON.stringify([this.narrow, this.fontSize, names, names.map((name) => this.columnWidth(name))]);
    if (layout !== this.laidOut) {
      this.laidOut = layout;
      this.columns = names;
      this.rows.forEach((row) => row.element.remove());
      this.rows.clear();
      this.element.classList.toggle("narrow", this.narrow);
      this.element.style.setProperty("--columns", this.template());
    }
    this.head();
    set(this.element, "aria-rowcount", this.lines.length + 1);
    set(this.element, "aria-colcount", this.columns.length + FIXED_COLUMNS);
    this.body.style.height = `${this.lines.length * this.rowHeight}px`;
    this.render();
  }

  columnWidth = (name) => Math.ceil(Math.max(this.widths.get(name) ?? 4, name.length * 0.95 + 1) * 0.62 * this.fontSize) + 24;

  template = () => `minmax(10rem, 1.6fr) minmax(7rem, 1fr) 7.8rem ${this.columns.map((name) => `${this.columnWidth(name)}px`).join(" ")} 8rem`;

  // The count, and as many measures as there is room for; the one that was chosen always.
  columnsThatFit(room) {
    const chosen = this.host.measure();
    if (this.narrow) return [chosen];
    let left = room - Object.values(FIXED_WIDTH).reduce((sum, each) => sum + each) - this.columnWidth("count") - (chosen === "count" ? 0 : this.columnWidth(chosen));
    const shownToo = new Set([chosen]);
    for (const { name } of this.measures) {
      if (name === chosen || shownToo.size >= AT_MOST_MEASURES) continue;
      left -= this.columnWidth(name);
      if (left < 0) break;
      shownToo.add(name);
    }
    return ["count", ...this.measures.map(({ name }) => name).filter((name) => shownToo.has(name))];
  }

  head() {
    const chosen = this.host.measure(), { sort, ascending } = this.tree.order, byName = sort === null || sort === "label";
    const column = (words, key, classes, title) => {
      const sorted = key !== undefined && (key === null ? byName : sort === key);
      const state = key === undefined ? null : sorted ? (ascending ? "ascending" : "descending") : "none";
      const button = () => h("button", { type: "button", class: "sort", "data-sort": key ?? "", title: sorted ? "The other way round" : key ? `Greatest ${words} first` : "By name", onclick: () => this.host.sortBy(key) }, words);
      return h("div", { role: "columnheader", class: `cell ${classes}`, "aria-sort": state, title: title ?? null }, key === undefined ? words : button());
    };
    const text = JSON.stringify([this.columns, sort, ascending, chosen, this.tree.levels]);
    if (text === this.headed) return;
    this.headed = text;
    const focusedSort = this.heading.contains(document.activeElement) ? document.activeElement.dataset.sort : null;
    this.heading.replaceChildren(
      column(this.tree.levels.slice(-this.levelsBelow()).map(levelWords).join(" › ") || "Name", null, "name"),
      column("To scale", undefined, "scale", `${chosen}: the longest bar is the greatest of its siblings`),
      column("Share of parent", undefined, "share"),
      ...this.columns.map((name) => column(name, name, name === chosen ? "num chosen" : "num")),
      column("Over time", undefined, "spark"));
    if (focusedSort !== null) this.heading.querySelector(`[data-sort="${CSS.escape(focusedSort)}"]`)?.focus();
  }

  // The greatest size among the children of a node, for the lengths of their bars.
  greatestBelow(path) {
    const key = `${this.host.measure()} ${path}`;
    if (!this.greatest.has(key)) this.greatest.set(key, this.tree.greatest(path, this.host.measure(), () => this.rescale()));
    return this.greatest.get(key);
  }

  rescale() {
    this.greatest.clear();
    this.update(new Set());
  }

  levelsBelow() {
    return Math.max(1, this.tree.levels.length - (this.tree.nodes.get(this.tree.top)?.depth ?? 0));
  }

  // Puts the lines in sight into the document, and takes the others out.
  render() {
    this.frame = null;
    if (!this.element.isConnected) return;
    const top = -this.body.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(top / this.rowHeight) - OVERSCAN);
    const last = Math.min(this.lines.length, Math.ceil((top + innerHeight) / this.rowHeight) + OVERSCAN);
    const wanted = new Map();
    for (let at = first; at < last; at += 1) wanted.set(this.lines[at].path, at);
    const focusedAt = this.positions.get(this.focused) ?? -1;
    if (focusedAt >= 0) wanted.set(this.focused, focusedAt);
    else this.focused = null;
    for (const [path, row] of this.rows) {
      if (!wanted.has(path) || row.kind !== this.lines[wanted.get(path)].kind) {
        row.element.remove();
        this.rows.delete(path);
      }
    }
    let before = null;
    for (const [path, at] of [...wanted].sort((a, b) => b[1] - a[1])) {
      const row = this.rows.get(path) ?? makeLine(this, this.lines[at]);
      this.rows.set(path, row);
      placeLine(this, row, this.lines[at], at);
      if (row.element.nextSibling !== before || !row.element.isConnected) this.insert(row.element, before);
      before = row.element;
    }
    this.host.onSight([...wanted].sort((a, b) => a[1] - b[1]).map(([, at]) => this.lines[at]).filter((line) => line.kind === "node").map((line) => line.path));
  }

  // Moving an element takes its focus away, so it is given back.
  insert(element, before) {
    const active = element.contains(document.activeElement) ? document.activeElement : null;
    this.body.insertBefore(element, before);
    active?.focus({ preventScroll: true });
  }

  parentOf = (path) => this.line(path)?.parent ?? this.tree.top;

  drawPoints(path) {
    const row = this.rows.get(path);
    if (row?.kind === "node") drawPoints(this, path, row);
  }

  // Values of these nodes are others now.
  update(changed) {
    if (changed.size) this.greatest.clear();
    for (const path of changed) {
      const row = this.rows.get(path);
      if (row?.kind === "node") showValues(this, path, row, { flashing: true });
    }
    for (const [path, row] of this.rows) {
      if (row.kind === "node" && !changed.has(path)) showValues(this, path, row);
    }
  }

  onClick(event) {
    const path = event.target.closest(".line")?.dataset.path;
    if (path === undefined) return;
    if (event.target.closest(".twisty")) this.host.toggle(path);
    else if (event.target.closest("[data-more]")) this.host.more(this.line(path).parent);
    else if (!event.target.closest("a") && String(getSelection()) === "" && this.line(path).kind === "node" && this.tree.canOpen(path)) this.host.toggle(path);
  }

  line = (path) => this.lines[this.positions.get(path)];

  onFocus(event) {
    const path = event.target.closest(".line")?.dataset.path;
    if (path === undefined || path === this.focused) return;
    this.focused = path;
    for (const [each, row] of this.rows) set(row.element, "tabindex", each === path ? 0 : -1);
  }

  focus(path) {
    const at = this.positions.get(path);
    if (at === undefined) return;
    this.focused = path;
    this.reveal(at);
    this.render();
    this.rows.get(path)?.element.focus({ preventScroll: true });
  }

  // Scrolls just so far that a line is in sight, below what sticks to the top.
  reveal(at) {
    const top = this.body.getBoundingClientRect().top + at * this.rowHeight;
    const above = top - this.covered(), below = top + this.rowHeight - innerHeight;
    if (above < 0) scrollBy(0, above);
    else if (below > 0) scrollBy(0, below);
  }

  covered() {
    const bar = document.querySelector("header.top");
    const sticky = bar && getComputedStyle(bar).position === "sticky" ? bar.offsetHeight : 0;
    return sticky + this.heading.offsetHeight;
  }
}
