// What the chart of a node shows: its commits, fetched from the server and carried on by what the stream tells, or its windows.

import { RANGES } from "./axes.js";
import { amount } from "./api.js";
import { SeriesStore } from "./series.js";
import { Timeline } from "./timeline.js";
import { canShow, loadWindows, windowLength, windowsOf } from "./windows.js";

const POINTS = 120;
const REFRESH = 2000;
export const COMMITS = "commits";

export class OverTime {
  // `view` has app, route, measure, asOf, tree, choose({ range, chart }), pastLink(commit) and nodeLink(rollup, path).
  constructor(view) {
    this.view = view;
    this.chart = new Timeline({
      pastLink: (commit) => view.pastLink(commit),
      nodeLink: (path) => view.nodeLink(this.way.rollup, path),
      chooseRange: (range) => this.choose({ range }),
      chooseWay: (chart) => this.choose({ chart }),
    });
    this.element = this.chart.element;
    this.windows = null;
    this.lengths = new Map();
  }

  async start() {
    await this.reload();
  }

  choose(changed) {
    this.view.choose(changed);
    this.reload();
  }

  // The ways there are to show the node: by its windows, and by commits.
  get ways() {
    const { app, route, measure, tree } = this.view, { rollups, measures } = app.status;
    const known = measures.find(({ name }) => name === measure) ?? { name: "count", kind: "count" };
    const children = tree.nodes.get(route.path)?.children ?? 0;
    const found = windowsOf(rollups, route.rollup, route.path).filter((each) => canShow(rollups, each, known, children) && children > 0);
    return [...found, { name: COMMITS, words: "By commit" }];
  }

  get way() {
    const { ways } = this;
    return ways.find(({ name }) => name === this.view.route.chart) ?? ways[0];
  }

  get range() {
    const { range } = this.view.route;
    return RANGES.has(range) ? range : null;
  }

  async reload() {
    this.series?.close();
    this.series = this.windows = null;
    const { way } = this;
    this.chart.choices({ ways: this.ways, way: way.name, range: this.range });
    if (way.name === COMMITS) this.loadCommits();
    else await this.loadWindows(way);
  }

  loadCommits() {
    const { api } = this.view.app, { rollup, path } = this.view.route;
    this.series = new SeriesStore(api, rollup, () => this.show(), { points: POINTS, since: this.since() });
    this.series.want([path]);
  }

  // When the range of commits begins: so long before the newest commit.
  since() {
    const newest = Date.parse(this.view.app.status.commit_time ?? "");
    return this.range && !Number.isNaN(newest) ? new Date(newest - RANGES.get(this.range)).toISOString() : null;
  }

  async loadWindows(way) {
    const { app, measure, asOf } = this.view;
    const known = app.status.measures.find(({ name }) => name === measure) ?? { name: "count", scale: 0 };
    try {
      const found = await loadWindows(app.api, way, known, asOf);
      if (this.closed || this.way.name !== way.name) return;
      this.windows = { ...found, way, measure };
      this.show();
    } catch {
      // Too many nodes to add up at once, or the server cannot be asked: the commits are always there.
      if (!this.closed && this.way.name === way.name && !this.windows) this.fallBack();
    }
  }

  fallBack() {
    this.chart.choices({ ways: [{ name: COMMITS, words: "By commit" }], way: COMMITS, range: this.range });
    this.loadCommits();
  }

  show() {
    const { measure } = this.view;
    if (this.windows) {
      if (this.windows.measure !== measure) return void this.reload();
      const { points, without, way, more } = this.windows, newest = points.at(-1)?.end;
      const words = [without.length ? `Not drawn: ${without.join(", ")}.` : "", more ? `The newest ${points.length.toLocaleString("en")} are shown.` : ""].filter(Boolean).join(" ");
      this.chart.show({ kind: "windows", points, step: windowLength(way.window), note: words, from: this.range && newest ? newest - RANGES.get(this.range) : null }, measure);
      return;
    }
    const found = this.series?.get(this.view.route.path) ?? [];
    const points = this.dated(this.withPast(found.map((point) => ({ ...point, value: valueOf(point, measure) }))));
    if (!this.range && points.length > 1) this.length = points.at(-1).time - points[0].time;
    const since = this.since();
    this.chart.show({ kind: COMMITS, points, fixed: this.view.asOf ? this.view.tree.document.commit : null, from: since ? Date.parse(since) : null, length: this.length ?? (this.range ? Infinity : null) }, measure);
  }

  // Times as milliseconds; a point without one, as the empty store has none, is where the next one is.
  dated(points) {
    const times = points.map(({ time }) => Date.parse(time ?? ""));
    return points.map((point, at) => ({ ...point, text: point.time, time: Number.isNaN(times[at]) ? (times.slice(at).find((later) => !Number.isNaN(later)) ?? 0) : times[at] }));
  }

  // The points, and among them the one of the past that is shown.
  withPast(points) {
    if (!this.view.asOf || !points.length) return points;
    const { commit, commit_time: time, rows: [own] } = this.view.tree.document;
    const past = { commit, time: time ?? points[0].time, value: valueOf(own, this.view.measure) };
    return [...points.filter((point) => point.commit !== commit), past].sort((a, b) => a.commit - b.commit);
  }

  // The node has these values as of a commit.
  carryOn(path, point) {
    if (this.series?.append(path, point)) this.show();
  }

  // Some commit changed the node: its windows are looked at again, soon.
  outdated() {
    if (!this.windows || this.refreshing) return;
    this.refreshing = setTimeout(async () => {
      this.refreshing = null;
      if (this.windows && !this.closed) await this.loadWindows(this.windows.way);
    }, REFRESH);
  }

  // Another measure.
  remeasure() {
    const { way } = this;
    this.chart.choices({ ways: this.ways, way: way.name, range: this.range });
    if (this.windows || way.name !== COMMITS) this.reload();
    else this.show();
  }

  close() {
    this.closed = true;
    this.series?.close();
    this.chart.destroy();
    clearTimeout(this.refreshing);
  }
}

export function valueOf(point, measure) {
  const found = measure === "count" ? point.count : amount(point, measure);
  return found === null || found === undefined ? null : String(found);
}
