// What is seen of a node, to take away: its lines or keys as CSV, the whole as a picture.

import { amount } from "./api.js";
import { csvText } from "./csv.js";
import { h } from "./dom.js";
import { groups, lengthOf, parts, shareText } from "./exact.js";
import { label, segments, shown } from "./nodepath.js";
import { pngFile, svgFile } from "./picture.js";
import { readable } from "./times.js";

const WIDTH = 1200, EDGE = 32, ROW = 28, MOST_ROWS = 40, CHART = 260;

export function exportChoice(view) {
  const menu = h("details", { class: "menu" }, h("summary", { class: "button" }, "Export"));
  const item = (words, action) => h("button", { type: "button", onclick: () => close(action()) }, words);
  const close = async (going) => {
    menu.open = false;
    menu.firstChild.focus();
    await going;
    view.app.say("Exported");
  };
  menu.append(h("div", { class: "items" },
    item("CSV of the list", () => save(new Blob([tableOf(view)], { type: "text/csv" }), view, "csv")),
    item("SVG picture", () => drawn(view, svgFile, "svg")),
    item("PNG picture", () => drawn(view, pngFile, "png"))));
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.firstChild.focus();
  });
  menu.addEventListener("focusout", (event) => !menu.contains(event.relatedTarget) && event.relatedTarget && (menu.open = false));
  return menu;
}

async function drawn(view, make, ending) {
  const { shapes, height } = pictureOf(view);
  save(await make(shapes, WIDTH, height), view, ending);
}

function save(blob, view, ending) {
  const { rollup, path } = view.route, place = [view.app.status.pipeline, rollup, ...segments(path).map(label)].join("-");
  const link = h("a", { href: URL.createObjectURL(blob), download: `${place.replace(/[^\p{L}\p{N}_-]+/gu, "_").slice(0, 120)}-commit-${view.tree.document.commit}.${ending}` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// The lines of the tree that are there, in their order, the node itself first; or the keys that are listed.
function tableOf(view) {
  const measures = view.app.status.measures.map(({ name }) => name), text = (name) => ({ name, isText: true }), number = (name) => ({ name });
  const { commit } = view.tree.document, { rollup, path } = view.route;
  if (view.keys) {
    const columns = [number("commit"), text("key"), text("version"), text("leaf"), ...view.app.status.measures.map(({ name, kind }) => ({ name: `measure_${name}`, isText: kind === "distinct" }))];
    return csvText(columns, view.keys.rows.map((row) => [view.keys.answer.commit, row.key, row.version, row.leaf, ...measures.map((name) => amount(row, name))]));
  }
  const columns = [number("commit"), text("rollup"), text("path"), number("depth"), text("label"), number("count"), number("children"), ...measures.map((name) => number(`measure_${name}`))];
  const rows = [path, ...view.grid.lines.filter(({ kind }) => kind === "node").map((line) => line.path)].map((each) => view.tree.nodes.get(each));
  return csvText(columns, rows.map((row) => [Math.max(commit, row.commit ?? 0), rollup, row.path, row.depth, row.label, row.count, row.children, ...measures.map((name) => amount(row, name))]));
}

// The node, its chart, and its lines with their bars.
function pictureOf(view) {
  const { measure, tree, route, app } = view, { commit, commit_time: time } = tree.document, shapes = [];
  const text = (words, x, y, size, more = {}) => shapes.push({ shape: "text", role: "words", words, x, y, size, ...more });
  const place = [app.status.pipeline, route.rollup, ...segments(route.path).map((each) => shown(label(each)))].join(" › ");
  text(place, EDGE, 48, 15, { role: "soft" });
  text(written(tree.value(route.path, measure)), EDGE, 92, 36, { bold: true });
  text(`${measure}, ${written(tree.value(route.path, "count"))} keys, as of commit ${commit}${time ? `, ${readable(time)} UTC` : ""}`, EDGE, 118, 14, { role: "soft" });
  let y = 140;
  const chart = view.overTime.chart.shapes({ width: WIDTH - 2 * EDGE, height: CHART, size: 13 });
  if (chart.length) {
    shapes.push(...chart.map((each) => moved(each, EDGE, y)));
    y += CHART + 16;
  }
  const lines = (view.grid?.lines ?? []).filter(({ kind }) => kind === "node");
  for (const line of lines.slice(0, MOST_ROWS)) {
    row(view, line, y, shapes, text);
    y += ROW;
  }
  if (lines.length > MOST_ROWS) text(`and ${written(lines.length - MOST_ROWS)} more lines`, EDGE, (y += 6) + 14, 13, { role: "soft" });
  return { shapes, height: y + EDGE };
}

function row(view, line, y, shapes, text) {
  const { tree, grid, measure } = view, value = tree.value(line.path, measure), bar = { x: 460, width: 360 }, length = lengthOf(value ?? "0", grid.greatestBelow(line.parent));
  const indent = EDGE + (line.level - 1) * 18, words = shown(tree.nodes.get(line.path).label), most = Math.floor((bar.x - indent - 12) / 8);
  text(words.length > most ? `${words.slice(0, most - 1)}…` : words, indent, y + 18, 14);
  shapes.push({ shape: "rect", role: length < 0 ? "bar minus" : "bar", x: bar.x, y: y + 8, width: Math.max(0.5, (Math.abs(length) / 100) * bar.width), height: 10 });
  text(value === null || !view.shares(line.parent) ? "–" : shareText(value, tree.value(line.parent, measure) ?? "0"), 910, y + 18, 14, { role: "soft", anchor: "end" });
  text(written(value), WIDTH - EDGE, y + 18, 14, { anchor: "end" });
  shapes.push({ shape: "line", role: "grid", x1: EDGE, x2: WIDTH - EDGE, y1: y + ROW - 0.5, y2: y + ROW - 0.5 });
}

function written(value) {
  const found = parts(String(value ?? ""));
  return found ? `${found.negative ? "-" : ""}${groups(found.whole).join(",")}${found.fraction ? `.${found.fraction}` : ""}` : "–";
}

function moved(each, dx, dy) {
  if (each.shape === "line") return { ...each, x1: each.x1 + dx, x2: each.x2 + dx, y1: each.y1 + dy, y2: each.y2 + dy };
  if (each.shape !== "path") return { ...each, x: each.x + dx, y: each.y + dy };
  const shift = (text, by) => (Number(text) + by).toFixed(2);
  return { ...each, d: each.d.replace(/M([\d.-]+) ([\d.-]+)|H([\d.-]+)|V([\d.-]+)/g, (whole, x, y, across, down) => (x ? `M${shift(x, dx)} ${shift(y, dy)}` : across ? `H${shift(across, dx)}` : `V${shift(down, dy)}`)) };
}
