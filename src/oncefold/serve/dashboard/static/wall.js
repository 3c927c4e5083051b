// Large figures for a screen on the wall: several nodes side by side, from the address, and nothing to click.

import { h, many, set, setText } from "./dom.js";
import { lengthOf, mantissa } from "./exact.js";
import { label, segments, shown } from "./nodepath.js";
import { flash, numberIn, showNumber } from "./number.js";
import { OverTime } from "./over_time.js";
import { format, nodeLink } from "./router.js";
import { ago, now, span } from "./times.js";
import { Tree } from "./tree.js";

const REFRESH = 1000;
const CHILDREN = 6;

export class WallView {
  constructor(app, route) {
    this.app = app;
    this.route = route;
    this.heading = h("h1", { tabindex: -1 }, app.status.pipeline);
    this.state = h("span", { class: "wall-state" });
    this.leave = h("a", { class: "quiet", href: "#/" }, "Leave the wall");
    this.element = h("article", { class: "wall" }, h("header", {}, this.heading, this.state, this.leave));
  }

  title = "Wall";

  async start() {
    set(document.documentElement, "data-wall", true);
    const nodes = this.route.nodes.length ? this.route.nodes : [encodeURIComponent(this.app.status.rollups[0].name)];
    this.tiles = nodes.map((node) => new Tile(this.app, this.route, node, () => this.fit()));
    set(this.leave, "href", format({ ...this.route, view: "node", rollup: this.tiles[0].route.rollup, path: this.tiles[0].route.path, asOf: null }));
    this.board = h("div", { class: "tiles" }, ...this.tiles.map(({ element }) => element));
    this.element.append(this.board);
    await Promise.all(this.tiles.map((tile) => tile.start()));
    this.ticking = setInterval(() => this.showState(), 1000);
    this.showState();
  }

  // All figures are of one size: as large as the longest allows.
  fit() {
    this.board.style.setProperty("--digits", Math.max(...this.tiles.map(({ digits }) => digits)));
  }

  showState() {
    const found = this.app.activity.last, behind = now() - Date.parse(found.newest_event ?? "");
    const lag = Number.isNaN(behind) || behind < 0 ? "" : `, newest event ${span(behind)} old`;
    setText(this.state, found.commit_time ? `commit ${found.commit}, ${ago(found.commit_time)}${lag}` : "nothing yet");
  }

  watching = () => null;

  onCommit(message) {
    if (Object.keys(message.counts ?? {}).length) for (const tile of this.tiles ?? []) tile.outdated();
  }

  onReset() {
    for (const tile of this.tiles ?? []) tile.outdated();
  }

  past = () => null;

  destroy() {
    set(document.documentElement, "data-wall", null);
    clearInterval(this.ticking);
    for (const tile of this.tiles ?? []) tile.destroy();
  }
}

// One node: `node` is ROLLUP/PATH as the address of its view has it.
class Tile {
  constructor(app, route, node, onDigits) {
    this.digits = 6;
    this.onDigits = onDigits;
    const [rollup, ...path] = node.split("/").map(decoded);
    this.app = app;
    this.route = { ...route, view: "node", rollup, path: path.join("/"), sort: null, order: null, top: null };
    this.asOf = undefined;
    this.names = h("p", { class: "tile-place" });
    this.figure = h("p", { class: "num tile-figure" });
    this.under = h("p", { class: "tile-under" });
    this.rows = h("ol", { class: "tile-rows" });
    this.overTime = new OverTime(this);
    const words = path.map((text) => shown(label(text)));
    this.names.append(words.length ? `${[rollup, ...words.slice(0, -1)].join(" › ")}` : app.status.pipeline);
    this.element = h("section", { class: "tile card" }, this.names, h("h2", {}, h("a", { href: nodeLink(this.route, rollup, this.route.path) }, words.at(-1) ?? rollup)), this.figure, this.under, this.overTime.element, this.rows);
  }

  get measure() {
    const names = [...this.app.status.measures.map(({ name }) => name), "count"];
    return names.includes(this.route.measure) ? this.route.measure : names[0];
  }

  // What the chart asks of its view; nothing can be chosen on a wall.
  choose = () => {};

  pastLink = () => null;

  nodeLink = () => null;

  async start() {
    await this.load();
    if (this.tree?.document) await this.overTime.start();
  }

  async load() {
    const level = segments(this.route.path).length, windows = this.app.status.rollups.find(({ name }) => name === this.route.rollup)?.windows?.[level];
    const order = { sort: windows ? "label" : this.measure, ascending: false, filter: "", top: CHILDREN };
    const tree = new Tree(this.app.api, { rollup: this.route.rollup, path: this.route.path, order, asOf: undefined });
    try {
      await tree.load([]);
    } catch (error) {
      setText(this.under, error.message);
      this.element.classList.add("failed");
      return;
    }
    if (this.gone) return;
    this.element.classList.remove("failed");
    this.tree = tree;
    this.show();
  }

  show() {
    const { tree, measure } = this, { path } = this.route, own = tree.nodes.get(path);
    if (showNumber(this.figure, tree.value(path, measure) ?? "–")) flash(this.figure);
    this.digits = Math.max(6, String(tree.value(path, measure) ?? "").length * 1.15);
    this.onDigits();
    setText(this.under, `${measure}, ${many(own.count, "key")}`);
    const { order } = tree.branches.get(path), greatest = order.reduce((most, each) => larger(most, mantissa(tree.value(each, measure) ?? "0")), 0n);
    this.rows.replaceChildren(...order.map((each) => {
      const value = tree.value(each, measure), fill = h("span", { class: "fill" }), length = lengthOf(value ?? "0", greatest);
      fill.style.width = `${Math.abs(length)}%`;
      fill.classList.toggle("negative", length < 0);
      return h("li", {}, h("span", { class: "tile-name" }, shown(tree.nodes.get(each).label)), h("span", { class: "track", "aria-hidden": "true" }, fill), numberIn("span", value ?? "–"));
    }));
  }

  // Some commit came: a second later the node is looked at again.
  outdated() {
    this.overTime.outdated();
    this.waiting ??= setTimeout(async () => {
      await this.load();
      this.waiting = null;
      const { commit, commit_time: time, rows } = this.tree?.document ?? {};
      if (rows && !this.gone) this.overTime.carryOn(this.route.path, { ...rows[0], commit, time });
    }, REFRESH);
  }

  destroy() {
    this.gone = true;
    clearTimeout(this.waiting);
    this.overTime.close();
  }
}

const larger = (most, units) => (units < 0n ? (-units > most ? -units : most) : units > most ? units : most);

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
