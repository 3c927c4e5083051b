// Lines of the tree: how each is made, and what it shows. `grid` is the Grid that they stand in.

import { sparkline } from "./charts.js";
import { grouped, h, many, set, setText, svg } from "./dom.js";
import { lengthOf, shareText } from "./exact.js";
import { FIXED_COLUMNS } from "./grid.js";
import { shown } from "./nodepath.js";
import { flash, showNumber } from "./number.js";

// A line of a kind: of a node, or of what stands for nodes that are not there yet.
export function makeLine(grid, line) {
  if (line.kind === "node") return makeNode(grid);
  const cell = h("div", { role: "gridcell", class: "cell rest", "aria-colspan": grid.columns.length + FIXED_COLUMNS });
  return { kind: line.kind, cell, element: h("div", { role: "row", class: `line ${line.kind}`, tabindex: -1 }, cell) };
}

function makeNode(grid) {
  const twisty = h("button", { type: "button", class: "twisty", tabindex: -1 }, svg("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, svg("path", { d: "M4 2.5 8 6 4 9.5" })));
  const name = h("a", { class: "label", tabindex: -1 });
  const fill = h("span", { class: "fill" }), percent = h("span", { class: "percent" });
  const numbers = new Map(grid.columns.map((column) => [column, h("span", { class: "value", "data-column": column })]));
  const keys = h("span", { class: "keys" });
  const spark = svg("svg", { class: "sparkline", "aria-hidden": "true", preserveAspectRatio: "none" });
  const element = h("div", { role: "row", class: "line node", tabindex: -1 },
    h("div", { role: "gridcell", class: "cell name" }, twisty, name),
    h("div", { role: "gridcell", class: "cell scale" }, h("span", { class: "track", "aria-hidden": "true" }, fill)),
    h("div", { role: "gridcell", class: "cell share" }, percent),
    ...[...numbers.values()].map((number) => h("div", { role: "gridcell", class: "cell num" }, number)),
    h("div", { role: "gridcell", class: "cell spark" }, keys, spark));
  return { kind: "node", element, twisty, name, fill, percent, numbers, keys, spark };
}

export function placeLine(grid, row, line, at) {
  row.element.dataset.path = line.path;
  row.element.style.transform = `translateY(${at * grid.rowHeight}px)`;
  row.element.style.setProperty("--level", line.level - 1);
  set(row.element, "aria-rowindex", at + 2);
  set(row.element, "aria-level", line.level);
  set(row.element, "tabindex", line.path === (grid.focused ?? grid.lines[0]?.path) ? 0 : -1);
  if (line.kind === "node") placeNode(grid, row, line);
  else placeRest(row, line);
}

function placeNode(grid, row, line) {
  const { path } = line, open = grid.tree.open.has(path), canOpen = grid.tree.canOpen(path);
  const text = shown(grid.tree.nodes.get(path).label);
  set(row.element, "aria-posinset", line.position);
  set(row.element, "aria-setsize", line.size);
  set(row.element, "aria-expanded", canOpen ? String(open) : null);
  set(row.twisty, "hidden", !canOpen);
  set(row.twisty, "aria-label", `${open ? "Close" : "Open"} ${text}`);
  setText(row.name, text);
  set(row.name, "title", text);
  set(row.name, "href", grid.host.link(path));
  showValues(grid, path, row);
  drawPoints(grid, path, row);
}

// The values of one line; the numbers that are others than before flash if that is wanted.
export function showValues(grid, path, row, { flashing = false } = {}) {
  const changed = [];
  for (const [column, cell] of row.numbers) {
    if (showNumber(cell, grid.tree.value(path, column) ?? "–")) changed.push(cell);
  }
  const chosen = grid.host.measure(), above = grid.parentOf(path), own = grid.tree.value(path, chosen);
  const length = lengthOf(own ?? "0", grid.greatestBelow(above));
  row.fill.style.width = `${Math.abs(length)}%`;
  row.fill.classList.toggle("negative", length < 0);
  setText(row.percent, own === null || !grid.host.shares(above) ? "–" : shareText(own, grid.tree.value(above, chosen) ?? "0"));
  if (grid.narrow) setText(row.keys, chosen === "count" ? "" : many(grid.tree.value(path, "count"), "key"));
  if (flashing) changed.forEach(flash);
}

export function drawPoints(grid, path, row) {
  sparkline(row.spark, grid.host.points(path) ?? []);
}

const REST = {
  loading: () => "Loading",
  error: ({ words }) => words,
  more: ({ left, filtered }) => (filtered ? "Show more that match" : `Show more of the ${grouped(left)} that are left`),
  end: ({ left, filtered }) => (filtered ? "More match; a longer text finds them." : `${grouped(left)} more are not listed in this order; a filter finds them.`),
};

function placeRest(row, line) {
  const words = REST[line.kind](line);
  if (row.words === words) return;
  row.words = words;
  const button = h("button", { type: "button", class: "quiet", tabindex: -1, "data-more": "" }, line.kind === "error" ? `${words} Try again` : words);
  row.cell.replaceChildren(line.kind === "loading" || line.kind === "end" ? words : button);
}
