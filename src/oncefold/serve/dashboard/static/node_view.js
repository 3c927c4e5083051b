// A node: its totals, its way over time, and what lies below it or which keys are behind it.

import { AskError, amount } from "./api.js";
import { h, many, set, setText } from "./dom.js";
import { Grid } from "./grid.js";
import { KeysList } from "./keys_list.js";
import { labelOf, segments, shown } from "./nodepath.js";
import { flash, numberIn, showNumber } from "./number.js";
import { readable } from "./times.js";
import { format, nodeLink } from "./router.js";
import { SeriesStore } from "./series.js";
import { Timeline } from "./timeline.js";
import { Tree } from "./tree.js";
import { failure, pathLinks } from "./pieces.js";

const SETTLE = 180;
const REFRESH = 2000;
const SMALL = 24;

export class NodeView {
  // `app` has api, status, go(route, { replace }), watch(), kept state (`remember`, `remembered`) and say(words).
  constructor(app, route) {
    this.app = app;
    this.route = route;
    this.inSight = [];
    this.outdated = new Set();
    this.element = h("article", { class: "node-view" }, h("p", { class: "empty" }, "Loading"));
  }

  get title() {
    return this.route.path ? shown(labelOf(this.route.path)) : this.route.rollup;
  }

  get measure() {
    const names = [...this.app.status.measures.map(({ name }) => name), "count"];
    return names.includes(this.route.measure) ? this.route.measure : names[0];
  }

  get asOf() {
    return this.route.asOf || undefined;
  }

  async start() {
    const { api } = this.app, { rollup, path, sort } = this.route;
    this.tree = new Tree(api, { rollup, path, sort: sort || null, asOf: this.asOf });
    this.series = new SeriesStore(api, rollup, (ready) => this.onPoints(ready));
    try {
      await this.tree.load(this.app.remembered("open") ?? SMALL);
    } catch (error) {
      if (!(error instanceof AskError)) throw error;
      this.element.replaceChildren(failure(error, () => this.start()));
      return;
    }
    this.build();
    this.series.want([path]);
    this.app.watch();
  }

  build() {
    const { path, rollup } = this.route, deepest = !this.tree.canOpen(path);
    const keys = this.route.tab === "keys" || deepest;
    this.figures = h("dl", { class: "figures" });
    this.chart = new Timeline({ pastLink: (commit) => nodeLink(this.route, rollup, path, { asOf: commit, tab: this.route.tab }) });
    this.list = h("section", { class: "below", "aria-label": keys ? "Keys" : "Nodes below" });
    this.element.replaceChildren(
      h("div", { class: "summary card" },
        pathLinks(this.route, rollup, path, this.app.status),
        h("h1", { tabindex: -1 }, path ? this.title : "Total"),
        this.figures,
        this.chart.element),
      h("div", { class: "list card" }, h("div", { class: "tabs" }, ...this.tabs(keys, deepest)), this.list));
    this.showFigures();
    this.grid = null;
    this.keys = null;
    if (keys) this.showKeys();
    else this.showGrid();
  }

  tabs(keys, deepest) {
    const { rollup, path } = this.route;
    const tab = (words, link, current) => h("a", { href: link, class: "tab", "aria-current": current ? "page" : null }, words);
    const nodes = deepest ? [] : [tab("Below", nodeLink(this.route, rollup, path), !keys)];
    return [h("nav", { "aria-label": "What is listed" }, ...nodes, tab("Keys", nodeLink(this.route, rollup, path, { tab: "keys" }), keys)), this.measureChoice()];
  }

  measureChoice() {
    const names = [...this.app.status.measures.map(({ name }) => name), "count"];
    const select = h("select", { onchange: () => this.chooseMeasure(select.value) }, ...names.map((name) => h("option", { value: name, ".selected": name === this.measure }, name)));
    return h("label", { class: "choice" }, "Measure", select);
  }

  chooseMeasure(measure) {
    this.route = { ...this.route, measure };
    this.app.go(this.route, { replace: true, quiet: true });
    this.showFigures();
    this.drawChart();
    this.grid?.refresh();
    for (const link of this.element.querySelectorAll(".tabs nav a, .crumbs a")) {
      const [address, query] = link.getAttribute("href").split("?");
      const found = new URLSearchParams(query);
      found.set("measure", measure);
      set(link, "href", `${address}?${found}`);
    }
  }

  showFigures({ flashing = false } = {}) {
    const own = this.tree.nodes.get(this.route.path);
    const names = ["count", ...this.app.status.measures.map(({ name }) => name)];
    if (this.figures.childElementCount !== names.length) {
      this.figures.replaceChildren(...names.map((name) => h("div", { "data-name": name }, h("dt", {}, name), numberIn("dd", this.tree.value(this.route.path, name) ?? "–"))));
    }
    names.forEach((name, index) => {
      const box = this.figures.children[index], cell = box.lastElementChild;
      box.classList.toggle("chosen", name === this.measure);
      if (own && showNumber(cell, this.tree.value(this.route.path, name) ?? "–") && flashing) flash(cell);
    });
  }

  showGrid() {
    const { rollup } = this.route;
    this.grid = new Grid(this.tree, this.app.status.measures, {
      open: (path) => this.app.go({ ...this.route, path, tab: null }),
      toggle: (path) => this.toggle(path),
      more: (path) => this.more(path),
      sortBy: (sort) => this.sortBy(sort),
      link: (path) => nodeLink(this.route, rollup, path),
      measure: () => this.measure,
      points: (path) => this.pointsOf(path),
      onSight: (paths) => this.onSight(paths),
    });
    this.list.replaceChildren(this.grid.element);
    this.emptyWords = h("p", { class: "empty" });
    this.list.append(this.emptyWords, ...this.severalLeaves());
    this.refreshGrid();
  }

  // Where a key may count in several of the nodes below, the node is not their sum.
  severalLeaves() {
    const { levels, each = [] } = this.app.status.rollups.find(({ name }) => name === this.route.rollup);
    const below = levels.slice(segments(this.route.path).length).filter((level) => each.includes(level));
    if (!below.length) return [];
    return [h("p", { class: "verdict" }, `A key counts once for each of its ${below.join(", ")}, and once in the nodes above: their totals are not the sums of what is below them.`)];
  }

  refreshGrid() {
    this.grid.refresh();
    const empty = this.grid.lines.length === 0;
    this.grid.element.hidden = empty;
    const words = this.asOf ? "Nothing counted here at that commit." : "Nothing counts here yet. Totals appear with the first event that is folded.";
    this.emptyWords.hidden = !empty;
    setText(this.emptyWords, words);
  }

  showKeys() {
    if (this.asOf) {
      const link = h("a", { href: nodeLink(this.route, this.route.rollup, this.route.path, { asOf: null, tab: "keys" }) }, "Show the keys as of now");
      this.list.replaceChildren(h("p", { class: "empty" }, "Which keys are behind a total is known as of now only. ", link));
      return;
    }
    this.keys = new KeysList(this.app, this.route);
    this.list.replaceChildren(this.keys.element);
    this.keys.load();
  }

  async toggle(path) {
    const going = this.tree.toggle(path);
    this.refreshGrid();
    await going;
    this.app.remember("open", [...this.tree.open].slice(0, 300));
    if (this.grid) this.refreshGrid();
    this.app.watch();
  }

  async more(path) {
    const before = this.tree.branches.get(path);
    const going = before?.error && before.order.length === 0 ? this.tree.refresh(path).catch((error) => this.tree.fail(path, error)) : this.tree.more(path);
    this.refreshGrid();
    const first = before?.order.length ?? 0;
    await going;
    this.refreshGrid();
    const next = this.tree.branches.get(path)?.order[first];
    if (next) this.grid.focus(next);
    this.app.watch();
  }

  sortBy(sort) {
    this.route = { ...this.route, sort: sort || null };
    this.app.go(this.route, { replace: true, quiet: true });
    this.tree.sortBy(sort || null);
    this.grid.refresh();
    const partly = [...this.tree.branches.values()].some((branch) => branch.more);
    this.app.say(sort ? `Sorted by ${sort}, greatest first${partly ? "; where more is to be loaded, by name" : ""}` : "Sorted by name");
  }

  onSight(paths) {
    if (paths.length === this.inSight.length && paths.every((path, index) => path === this.inSight[index])) return;
    this.inSight = paths;
    clearTimeout(this.settling);
    this.settling = setTimeout(() => {
      this.series.want([this.route.path, ...this.inSight]);
      this.app.watch();
    }, SETTLE);
  }

  pointsOf(path) {
    const found = this.series.get(path);
    return found?.map((point) => ({ ...point, value: valueOf(point, this.measure) })) ?? null;
  }

  onPoints(path) {
    if (path === this.route.path) this.drawChart();
    this.grid?.drawPoints(path);
  }

  drawChart() {
    const points = this.pointsOf(this.route.path) ?? [];
    const found = this.tree.document;
    if (!this.asOf || !points.length) this.chart.show(points, this.measure, null);
    else this.chart.show(this.withPast(points, found), this.measure, found.commit);
  }

  // The points, and among them the one of the past that is shown.
  withPast(points, { commit, commit_time: time, rows: [own] }) {
    const others = points.filter((point) => point.commit !== commit);
    const past = { commit, time: time ?? others[0]?.time, value: valueOf(own, this.measure) };
    return [...others, past].sort((a, b) => a.commit - b.commit);
  }

  // What is to be watched for this view, and from which commit on.
  watching() {
    if (!this.tree?.document || this.asOf) return null;
    const watched = this.grid ? this.tree.watched(this.inSight) : { paths: [this.route.path], depth: 0 };
    this.watched = watched;
    return { rollup: this.route.rollup, ...watched, since: this.tree.since(watched) };
  }

  onCommit(message) {
    if (!this.tree?.document || this.asOf) return;
    const { changed, moved } = this.tree.apply(message.rows, message.commit);
    if (this.watched) this.tree.caughtUp(this.watched, message.commit);
    for (const row of message.rows) this.carryOn(row, message);
    if (changed.has(this.route.path)) this.changedHere();
    if (!this.grid) return;
    if (moved) this.refreshGrid();
    this.grid.update(changed);
    if (this.watched?.depth === 0) this.refreshLater(this.tree.outdated(changed));
  }

  carryOn(row, message) {
    if (row.rollup !== this.route.rollup) return;
    const point = { ...row, commit: message.commit, time: message.commit_time };
    if (this.series.append(row.path, point)) this.onPoints(row.path);
  }

  changedHere() {
    this.showFigures({ flashing: true });
    this.keys?.outdated();
    this.app.say(() => {
      const own = this.tree.value(this.route.path, this.measure);
      return `${this.title}: ${this.measure} ${own}, ${many(this.tree.value(this.route.path, "count"), "key")}`;
    }, { live: true });
  }

  // Children that nobody tells about are looked at again, now and then.
  refreshLater(paths) {
    for (const path of paths) this.outdated.add(path);
    if (this.outdated.size === 0 || this.refreshing) return;
    this.refreshing = setTimeout(async () => {
      const found = [...this.outdated];
      this.outdated.clear();
      await Promise.allSettled(found.map((path) => this.tree.refresh(path)));
      this.refreshing = null;
      if (this.grid) this.refreshGrid();
    }, REFRESH);
  }

  async onReset() {
    if (!this.tree?.document) return;
    this.series.forget();
    await this.tree.reload();
    this.showFigures();
    if (this.grid) this.refreshGrid();
    this.keys?.load();
    this.series.want([this.route.path, ...this.inSight]);
    this.app.watch();
  }

  // What the banner says about the past; null for now.
  past() {
    const found = this.tree?.document;
    if (!this.asOf || !found) return null;
    return { commit: found.commit, time: found.commit_time ? readable(found.commit_time) : "", exact: found.commit_time, now: format({ ...this.route, asOf: null }) };
  }

  destroy() {
    this.grid?.destroy();
    this.series?.close();
    clearTimeout(this.settling);
    clearTimeout(this.refreshing);
    this.gone = true;
  }
}

const valueOf = (point, measure) => String((measure === "count" ? point.count : amount(point, measure)) ?? "0");

