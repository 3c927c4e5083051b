// A node: its totals, its way over time, and what lies below it or which keys are behind it.

import { AskError, addsUp } from "./api.js";
import { h, many, set, setText } from "./dom.js";
import { exportChoice } from "./export.js";
import { Grid } from "./grid.js";
import { KeysList } from "./keys_list.js";
import { labelOf, segments, shown } from "./nodepath.js";
import { flash, numberIn, showNumber } from "./number.js";
import { OverTime, valueOf } from "./over_time.js";
import { readable } from "./times.js";
import { format, nodeLink } from "./router.js";
import { SeriesStore } from "./series.js";
import { Tree } from "./tree.js";
import { firstSteps, isEach, missingNode, pathLinks } from "./pieces.js";

const SETTLE = 180;
const TYPING = 250;
const REFRESH = 2000;
const SMALL = 24;
const TOPS = [10, 20, 50, 100];

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

  get measures() {
    return [...this.app.status.measures.map(({ name }) => name), "count"];
  }

  get measure() {
    return this.measures.includes(this.route.measure) ? this.route.measure : this.measures[0];
  }

  get asOf() {
    return this.route.asOf || undefined;
  }

  // What of the children is wanted, and in which order; what the address says wrongly is left out.
  get order() {
    const { sort, order, filter, top } = this.route, known = [...this.measures, "label"].includes(sort) ? sort : null;
    const ascending = order ? order === "ascending" : known === null || known === "label";
    return { sort: known ?? (ascending ? null : "label"), ascending, filter: filter || "", top: /^[1-9]\d{0,3}$/.test(top ?? "") ? Number(top) : null };
  }

  async start() {
    const { api } = this.app, { rollup, path } = this.route;
    this.tree = new Tree(api, { rollup, path, order: this.order, asOf: this.asOf });
    this.series = new SeriesStore(api, rollup, (ready) => this.grid?.drawPoints(ready));
    try {
      await this.tree.load(this.app.remembered("open") ?? SMALL);
    } catch (error) {
      if (!(error instanceof AskError)) throw error;
      this.element.replaceChildren(await missingNode(this.app, this.route, error, () => this.start()));
      return;
    }
    if (this.gone) return;
    this.build();
    this.overTime.start();
    this.app.watch();
  }

  build() {
    const { path, rollup } = this.route, deepest = !this.tree.canOpen(path);
    const keys = this.route.tab === "keys" || deepest;
    this.figures = h("dl", { class: "figures" });
    this.overTime = new OverTime(this);
    this.list = h("section", { class: "below", "aria-label": keys ? "Keys" : "Nodes below" });
    this.element.replaceChildren(
      h("div", { class: "summary card" },
        h("div", { class: "title" }, pathLinks(this.route, rollup, path, this.app.status), h("h1", { tabindex: -1 }, path ? this.title : "Total"), this.figures),
        this.overTime.element),
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
    return [
      h("nav", { "aria-label": "What is listed" }, ...nodes, tab("Keys", nodeLink(this.route, rollup, path, { tab: "keys" }), keys)),
      h("div", { class: "choices" }, ...(keys ? [] : [this.filterField(), this.topChoice()]), this.measureChoice(), exportChoice(this), this.wallLink()),
    ];
  }

  filterField() {
    const input = h("input", { type: "search", value: this.order.filter, placeholder: "Filter", "aria-label": "Filter by name", autocomplete: "off", spellcheck: "false" });
    input.addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.reorder({ filter: input.value.trim() || null }), TYPING);
    });
    return h("span", { class: "choice filter" }, input);
  }

  topChoice() {
    const { top } = this.order, known = top === null || TOPS.includes(top) ? TOPS : [...TOPS, top].sort((a, b) => a - b);
    const option = (value, words) => h("option", { value, ".selected": value === String(top ?? "") }, words);
    const select = h("select", { onchange: () => this.reorder({ top: select.value || null }) }, option("", "all"), ...known.map((number) => option(String(number), `first ${number}`)));
    return h("label", { class: "choice" }, "Show", select);
  }

  measureChoice() {
    const kinds = new Map(this.app.status.measures.map(({ name, kind }) => [name, kind ?? "sum"]));
    const words = (name) => (["sum", undefined].includes(kinds.get(name)) || kinds.get(name) === name ? name : `${name} (${kinds.get(name)})`);
    const select = h("select", { onchange: () => this.chooseMeasure(select.value) }, ...this.measures.map((name) => h("option", { value: name, ".selected": name === this.measure }, words(name))));
    return h("label", { class: "choice" }, "Measure", select);
  }

  wallLink() {
    const node = `${encodeURIComponent(this.route.rollup)}/${segments(this.route.path).map(encodeURIComponent).join("/")}`.replace(/\/$/, "");
    return this.asOf ? null : h("a", { class: "button wall-link", href: format({ view: "wall", nodes: [node], measure: this.route.measure, chart: this.route.chart, range: this.route.range }), title: "Large figures for a screen on the wall" }, "Wall");
  }

  // The address says what is shown now; the view shows it already.
  choose(changed) {
    this.route = { ...this.route, ...changed };
    this.app.go(this.route, { replace: true, quiet: true });
    this.relink(changed);
  }

  relink(changed) {
    const here = Object.entries(changed).filter(([name]) => name !== "filter");
    for (const link of this.element.querySelectorAll(".tabs nav a, .crumbs a")) {
      const [address, query] = link.getAttribute("href").split("?");
      const found = new URLSearchParams(query);
      for (const [name, value] of here) {
        if (value) found.set(name, value);
        else found.delete(name);
      }
      set(link, "href", found.size ? `${address}?${found}` : address);
    }
  }

  chooseMeasure(measure) {
    this.choose({ measure });
    this.showFigures();
    this.overTime.remeasure();
    this.grid?.refresh();
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
    this.grid = new Grid(this.tree, this.app.status.measures, {
      open: (path) => this.app.go({ ...this.route, path, tab: null, filter: null }),
      toggle: (path) => this.toggle(path),
      more: (path) => this.more(path),
      sortBy: (sort) => this.sortBy(sort),
      link: (path) => this.nodeLink(this.route.rollup, path),
      measure: () => this.measure,
      shares: (above) => this.shares(above),
      points: (path) => this.pointsOf(path),
      onSight: (paths) => this.onSight(paths),
    });
    this.emptyWords = h("div", { class: "empty" });
    this.list.replaceChildren(this.grid.element, this.emptyWords, ...this.severalLeaves());
    this.refreshGrid();
  }

  nodeLink = (rollup, path) => nodeLink(this.route, rollup, path);

  pastLink = (commit) => nodeLink(this.route, this.route.rollup, this.route.path, { asOf: commit, tab: this.route.tab });

  // Whether the children of a node add up to it: of sums and counts they do, unless a key is in several of them.
  shares(above) {
    const measure = this.app.status.measures.find(({ name }) => name === this.measure);
    const rollup = this.app.status.rollups.find(({ name }) => name === this.route.rollup);
    return (!measure || addsUp(measure)) && !isEach(rollup, segments(above).length);
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
    this.emptyWords.hidden = !empty;
    if (!empty) return;
    const nothing = !this.asOf && !this.order.filter && this.app.activity.last.events === 0;
    const words = this.order.filter ? "Nothing here has this in its name." : this.asOf ? "Nothing counted here at that commit." : "Nothing counts here yet. Totals appear with the first event that is folded.";
    const key = `${words}${nothing}`;
    if (this.emptyWords.dataset.words === key) return;
    this.emptyWords.dataset.words = key;
    this.emptyWords.replaceChildren(h("p", {}, words), ...(nothing ? firstSteps(this.app) : []));
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

  // By a column, the greatest first; once more, the other way round. Names are the other way round first.
  async sortBy(key) {
    const { sort, ascending } = this.order, same = key === null ? sort === null || sort === "label" : sort === key;
    const up = same ? !ascending : key === null;
    await this.reorder({ sort: key ?? (up ? null : "label"), order: key === null ? (up ? null : "descending") : up ? "ascending" : null });
    this.app.say(key ? `Sorted by ${key}, ${up ? "least" : "greatest"} first` : `Sorted by name${up ? "" : ", backwards"}`);
  }

  async reorder(changed) {
    this.choose(changed);
    set(this.list, "aria-busy", "true");
    const order = (this.tree.wanted = this.order);
    try {
      await this.tree.reorder(order);
    } catch (error) {
      this.tree.fail(this.route.path, error);
    }
    if (this.tree.wanted !== order || this.gone) return;
    set(this.list, "aria-busy", null);
    this.refreshGrid();
    this.app.watch();
    if (changed.filter !== undefined) this.app.say(many(this.grid.lines.filter(({ kind }) => kind === "node").length, "line"));
  }

  onSight(paths) {
    if (paths.length === this.inSight.length && paths.every((path, index) => path === this.inSight[index])) return;
    this.inSight = paths;
    clearTimeout(this.settling);
    this.settling = setTimeout(() => {
      this.series.want(this.inSight);
      this.app.watch();
    }, SETTLE);
  }

  // The way of a node's measure, up to the commit that is shown.
  pointsOf(path) {
    const found = this.series.get(path), last = this.asOf ? this.tree.document.commit : Infinity;
    return found?.filter(({ commit }) => commit <= last).map((point) => ({ ...point, value: valueOf(point, this.measure) })) ?? null;
  }

  // What is to be watched for this view, and from which commit on.
  watching() {
    if (!this.tree?.document || this.asOf) return null;
    const watched = this.grid ? this.tree.watched(this.inSight) : { paths: [this.route.path], depth: 0 };
    this.watched = watched;
    return { rollup: this.route.rollup, ...watched, since: this.tree.since(watched) };
  }

  onCommit(message) {
    if (!this.tree?.document || this.asOf || !this.overTime) return;
    const { changed, moved } = this.tree.apply(message.rows, message.commit);
    if (this.watched) this.tree.caughtUp(this.watched, message.commit);
    for (const row of message.rows) this.carryOn(row, message);
    if (changed.has(this.route.path)) this.changedHere();
    if (Object.keys(message.counts ?? {}).length) this.overTime.outdated();
    if (!this.grid) return;
    if (moved) this.refreshGrid();
    this.grid.update(changed);
    if (this.watched?.depth === 0) this.refreshLater(this.tree.outdated(changed));
  }

  carryOn(row, message) {
    if (row.rollup !== this.route.rollup) return;
    const point = { ...row, commit: message.commit, time: message.commit_time };
    if (row.path === this.route.path) this.overTime.carryOn(row.path, point);
    if (this.series.append(row.path, point)) this.grid?.drawPoints(row.path);
  }

  changedHere() {
    this.showFigures({ flashing: true });
    this.keys?.outdated();
    this.app.say(() => {
      const own = this.tree.value(this.route.path, this.measure) ?? "nothing";
      return `${this.title}: ${this.measure} ${own}, ${many(this.tree.value(this.route.path, "count"), "key")}`;
    }, { live: true });
  }

  // Children that nobody tells about are looked at again, now and then; seldom, where that takes long.
  refreshLater(paths) {
    for (const path of paths) this.outdated.add(path);
    if (this.outdated.size === 0 || this.refreshing) return;
    this.refreshing = setTimeout(async () => {
      const found = [...this.outdated], began = performance.now();
      this.outdated.clear();
      await Promise.allSettled(found.map((path) => this.tree.refresh(path)));
      this.refreshTime = performance.now() - began;
      this.refreshing = null;
      if (this.grid && !this.gone) this.refreshGrid();
    }, Math.max(REFRESH, 8 * (this.refreshTime ?? 0)));
  }

  async onReset() {
    if (!this.tree?.document || !this.overTime) return;
    this.series.forget();
    await this.tree.reload();
    this.showFigures();
    if (this.grid) this.refreshGrid();
    this.keys?.load();
    this.series.want(this.inSight);
    this.overTime.reload();
    this.app.watch();
  }

  // What the page says about the past; null for now.
  past() {
    const found = this.tree?.document;
    if (!this.asOf || !found) return null;
    return { commit: found.commit, time: found.commit_time ? readable(found.commit_time) : "", exact: found.commit_time, newestEvent: found.newest_event, now: format({ ...this.route, asOf: null }) };
  }

  destroy() {
    this.grid?.destroy();
    this.series?.close();
    this.overTime?.close();
    clearTimeout(this.settling);
    clearTimeout(this.refreshing);
    clearTimeout(this.typing);
    this.gone = true;
  }
}
