// The tree as an ARIA treegrid. Only the lines in sight are in the document, however many there are.

import { sparkline } from "./charts.js";
import { grouped, h, many, set, setText, svg } from "./dom.js";
import { share, shareText, width } from "./exact.js";
import { levelWords, shown } from "./nodepath.js";
import { flash, showNumber } from "./number.js";

const OVERSCAN = 8;
const AT_MOST_MEASURES = 6;

export class Grid {
  // `host` has open(path), toggle(path), more(path), sortBy(column), link(path), measure(), points(path), onSight(paths).
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
    this.heading = h("div", { role: "row", class: "heading", "aria-rowindex": 1 });
    this.body = h("div", { role: "rowgroup", class: "body" });
    this.element = h("div", { role: "treegrid", class: "tree", "aria-label": "Nodes and their totals", "aria-readonly": "true" },
      h("div", { role: "rowgroup" }, this.heading), this.body);
    this.body.addEventListener("keydown", (event) => this.onKey(event));
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
    this.narrow = this.element.clientWidth < 620;
    const names = this.columnsThatFit(this.element.clientWidth);
    const layout = JSON.stringify([this.narrow, names, names.map((name) => this.columnWidth(name))]);
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
    set(this.element, "aria-colcount", this.columns.length + 3);
    this.body.style.height = `${this.lines.length * this.rowHeight}px`;
    this.render();
  }

  columnWidth = (name) => Math.ceil(Math.max(this.widths.get(name) ?? 4, name.length * 0.95 + 1) * 0.62 * 14) + 24;

  template = () => `minmax(10rem, 1fr) 11rem ${this.columns.map((name) => `${this.columnWidth(name)}px`).join(" ")} 8rem`;

  // The count, and as many measures as there is room for; the one that was chosen always.
  columnsThatFit(room) {
    const chosen = this.host.measure();
    if (this.narrow) return [chosen];
    let left = room - 160 - 154 - 112 - this.columnWidth("count") - (chosen === "count" ? 0 : this.columnWidth(chosen));
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
    const chosen = this.host.measure(), sort = this.tree.sort;
    const column = (name, words, key, ...classes) =>
      h("div", { role: "columnheader", class: ["cell", ...classes].join(" "), "aria-sort": key === undefined ? null : sort === key ? (key ? "descending" : "ascending") : "none" },
        key === undefined ? words : h("button", { type: "button", class: "sort", "data-sort": key ?? "", title: key ? `Greatest ${words} first` : "By name", onclick: () => this.host.sortBy(key) }, words));
    const text = JSON.stringify([this.columns, sort, chosen, this.tree.levels]);
    if (text === this.headed) return;
    this.headed = text;
    const focusedSort = this.heading.contains(document.activeElement) ? document.activeElement.dataset.sort : null;
    this.heading.replaceChildren(
      column("name", this.tree.levels.slice(-this.levelsBelow()).map(levelWords).join(" › ") || "Name", null, "name"),
      column("share", `Share of ${chosen}`, undefined, "share"),
      ...this.columns.map((name) => column(name, name, name, "num", ...(name === chosen ? ["chosen"] : []))),
      column("over time", "Over time", undefined, "spark"));
    if (focusedSort !== null) this.heading.querySelector(`[data-sort="${CSS.escape(focusedSort)}"]`)?.focus();
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
      const row = this.rows.get(path) ?? this.make(this.lines[at]);
      this.rows.set(path, row);
      this.place(row, this.lines[at], at);
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

  make(line) {
    if (line.kind === "node") return this.makeNode(line);
    const cell = h("div", { role: "gridcell", class: "cell rest", "aria-colspan": this.columns.length + 3 });
    return { kind: line.kind, cell, element: h("div", { role: "row", class: `line ${line.kind}`, tabindex: -1 }, cell) };
  }

  makeNode(line) {
    const twisty = h("button", { type: "button", class: "twisty", tabindex: -1 }, svg("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, svg("path", { d: "M4 2.5 8 6 4 9.5" })));
    const name = h("a", { class: "label", tabindex: -1 });
    const fill = h("span", { class: "fill" }), percent = h("span", { class: "percent" });
    const numbers = new Map(this.columns.map((column) => [column, h("span", { class: "value" })]));
    const keys = h("span", { class: "keys" });
    const spark = svg("svg", { class: "sparkline", "aria-hidden": "true", preserveAspectRatio: "none" });
    const element = h("div", { role: "row", class: "line node", tabindex: -1 },
      h("div", { role: "gridcell", class: "cell name" }, twisty, name),
      h("div", { role: "gridcell", class: "cell share" }, h("span", { class: "track", "aria-hidden": "true" }, fill), percent),
      ...[...numbers.values()].map((number) => h("div", { role: "gridcell", class: "cell num" }, number)),
      h("div", { role: "gridcell", class: "cell spark" }, keys, spark));
    return { kind: "node", element, twisty, name, fill, percent, numbers, keys, spark };
  }

  place(row, line, at) {
    row.element.dataset.path = line.path;
    row.element.style.transform = `translateY(${at * this.rowHeight}px)`;
    row.element.style.setProperty("--level", line.level - 1);
    set(row.element, "aria-rowindex", at + 2);
    set(row.element, "aria-level", line.level);
    set(row.element, "tabindex", line.path === (this.focused ?? this.lines[0]?.path) ? 0 : -1);
    if (line.kind === "node") this.placeNode(row, line);
    else this.placeRest(row, line);
  }

  placeNode(row, line) {
    const { path } = line, open = this.tree.open.has(path), canOpen = this.tree.canOpen(path);
    const text = shown(this.tree.nodes.get(path).label);
    set(row.element, "aria-posinset", line.position);
    set(row.element, "aria-setsize", line.size);
    set(row.element, "aria-expanded", canOpen ? String(open) : null);
    set(row.twisty, "hidden", !canOpen);
    set(row.twisty, "aria-label", `${open ? "Close" : "Open"} ${text}`);
    setText(row.name, text);
    set(row.name, "title", text);
    set(row.name, "href", this.host.link(path));
    this.values(path, row);
    this.drawPoints(path, row);
  }

  // The values of one line; the cells whose numbers are others than before flash if that is wanted.
  values(path, row, { flashing = false } = {}) {
    const changed = [];
    for (const [column, cell] of row.numbers) {
      if (showNumber(cell, this.tree.value(path, column) ?? "")) changed.push(cell);
    }
    const chosen = this.host.measure(), above = this.parentOf(path);
    const own = this.tree.value(path, chosen) ?? "0", whole = this.tree.value(above, chosen) ?? "0";
    const part = share(own, whole);
    row.fill.style.width = `${Math.min(100, Math.abs(part ?? 0) / 100)}%`;
    row.fill.classList.toggle("negative", (part ?? 0) < 0);
    setText(row.percent, shareText(own, whole));
    const count = this.tree.value(path, "count");
    if (this.narrow) setText(row.keys, chosen === "count" ? "" : many(count, "key"));
    if (flashing) changed.forEach(flash);
  }

  parentOf = (path) => this.line(path)?.parent ?? this.tree.top;

  drawPoints(path, row = this.rows.get(path)) {
    if (row?.kind !== "node") return;
    const points = this.host.points(path);
    sparkline(row.spark, points ?? []);
  }

  placeRest(row, line) {
    const words = { loading: () => "Loading", error: () => line.words, more: () => `Show more of the ${grouped(line.left)} that are left` }[line.kind]();
    if (row.words === words) return;
    row.words = words;
    row.cell.replaceChildren(line.kind === "loading" ? words : h("button", { type: "button", class: "quiet", tabindex: -1, "data-more": "" }, line.kind === "error" ? `${words} Try again` : words));
  }

  // Values of these nodes are others now.
  update(changed) {
    for (const path of changed) {
      const row = this.rows.get(path);
      if (row?.kind === "node") this.values(path, row, { flashing: true });
    }
    for (const [path, row] of this.rows) {
      if (row.kind === "node" && !changed.has(path)) this.values(path, row);
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

  onKey(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const at = this.positions.get(this.focused);
    const line = this.lines[at];
    if (!line) return;
    const page = Math.max(1, Math.floor((innerHeight - this.covered()) / this.rowHeight) - 1);
    const go = (to) => this.focus(this.lines[Math.max(0, Math.min(this.lines.length - 1, to))].path);
    const actions = {
      ArrowDown: () => go(at + 1),
      ArrowUp: () => go(at - 1),
      PageDown: () => go(at + page),
      PageUp: () => go(at - page),
      Home: () => go(0),
      End: () => go(this.lines.length - 1),
      ArrowRight: () => this.inward(line, at, go),
      ArrowLeft: () => this.outward(line),
      Enter: () => (line.kind === "node" ? this.host.open(line.path) : this.host.more(line.parent)),
      " ": () => (line.kind === "node" ? this.tree.canOpen(line.path) && this.host.toggle(line.path) : this.host.more(line.parent)),
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  }

  inward(line, at, go) {
    if (line.kind !== "node" || !this.tree.canOpen(line.path)) return;
    if (!this.tree.open.has(line.path)) this.host.toggle(line.path);
    else if (this.lines[at + 1]?.level > line.level) go(at + 1);
  }

  outward(line) {
    if (line.kind === "node" && this.tree.open.has(line.path)) this.host.toggle(line.path);
    else if (line.parent !== this.tree.top) this.focus(line.parent);
  }
}
