// A node's total over time, by its commits or by windows, with a cursor that a finger, a mouse or the arrow keys move along it.

import { RANGES, rangesWithin, rangeWords } from "./axes.js";
import { chartShapes } from "./chart_shapes.js";
import { grouped, h, set, setText, svg } from "./dom.js";
import { numberIn, showNumber } from "./number.js";
import { drawShapes } from "./picture.js";
import { readable } from "./times.js";

const ALL = "all";

export class Timeline {
  // `host` has pastLink(commit), nodeLink(path), chooseRange(name or null), chooseWay(name); the last two are for the lists above.
  constructor(host) {
    this.host = host;
    this.points = [];
    this.at = null;
    this.drawing = svg("svg", { class: "timeline", "aria-hidden": "true" });
    this.slider = h("input", { type: "range", min: 0, max: 0, step: 1, "aria-label": "Commit", oninput: () => this.move(Number(this.slider.value)) });
    this.value = numberIn("output", "");
    this.when = h("span", { class: "when" });
    this.link = h("a", { class: "past-link" });
    this.note = h("span", { class: "quiet" });
    this.ways = h("select", { "aria-label": "Steps", onchange: () => host.chooseWay(this.ways.value) });
    this.ranges = h("select", { "aria-label": "Range", onchange: () => host.chooseRange(this.ranges.value === ALL ? null : this.ranges.value) });
    this.choosing = h("div", { class: "chart-choices" }, this.ways, this.ranges);
    this.plot = h("div", { class: "plot" }, this.drawing, this.slider);
    this.plot.addEventListener("pointermove", (event) => this.point(event));
    this.plot.addEventListener("pointerdown", (event) => this.point(event));
    this.plot.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && !this.held && this.rest());
    this.plot.addEventListener("click", () => (this.held = this.at !== null && this.at < this.points.length - 1));
    this.element = h("figure", { class: "over-time", hidden: true }, this.choosing, this.plot,
      h("figcaption", {}, this.when, this.value, this.link, this.note));
    this.resizing = new ResizeObserver(() => this.draw());
    this.resizing.observe(this.plot);
  }

  destroy() {
    this.resizing.disconnect();
  }

  // Which lists there are above the chart: ways are { name, words }.
  choices({ ways, way, range }) {
    fillSelect(this.ways, ways.map(({ name, words }) => [name, words]), way);
    this.ways.hidden = ways.length < 2;
    this.way = way;
    this.range = range;
  }

  // `data`: { kind, points, step, fixed, note, from }. `fixed` is the commit that the view is as of, where it is of the past; `from`
  // the time that the range begins at; points have { time, commit, value } or { start, end, label, path, value }.
  show(data, measure) {
    const before = this.data, last = this.points.length - 1;
    const follows = !before || before.kind !== data.kind || this.at === null || this.at >= last || (before.fixed && this.points[this.at].commit === before.fixed);
    const kept = follows ? null : keyOf(this.points[this.at]);
    this.data = data;
    this.measure = measure;
    this.points = cut(data);
    const at = kept === null ? -1 : this.points.findLastIndex((point) => keyOf(point) <= kept);
    this.at = at >= 0 ? at : data.fixed ? lastUpTo(this.points, data.fixed) : null;
    this.showRanges(data);
    this.element.hidden = data.points.length < 2 && !this.range;
    this.draw();
  }

  showRanges({ kind, points, step = 0, length = null }) {
    const ends = kind === "windows" ? [points[0]?.start, points.at(-1)?.end] : [points[0]?.time, points.at(-1)?.time];
    const names = rangesWithin(length ?? ends[1] - ends[0], step);
    if (this.range && !names.includes(this.range)) names.push(this.range);
    fillSelect(this.ranges, [[ALL, rangeWords(null)], ...[...RANGES.keys()].filter((name) => names.includes(name)).map((name) => [name, rangeWords(name)])], this.range ?? ALL);
    this.ranges.hidden = names.length === 0;
    this.choosing.hidden = this.ranges.hidden && this.ways.hidden;
  }

  // The pointer is at a place along the chart; the slider below it is for keys.
  point(event) {
    if (event.target === this.slider && event.type === "pointerdown") event.preventDefault();
    if (!this.xs?.length || (event.type === "pointermove" && event.pointerType === "mouse" && this.held)) return;
    const x = event.clientX - this.plot.getBoundingClientRect().left;
    this.held = false;
    this.move(this.xs.reduce((best, each, index) => (Math.abs(each - x) < Math.abs(this.xs[best] - x) ? index : best), 0));
  }

  // The cursor goes back to where the view is: now, or its commit of the past.
  rest() {
    this.move(this.data.fixed ? lastUpTo(this.points, this.data.fixed) : null);
  }

  move(at) {
    this.at = at;
    this.draw();
  }

  get size() {
    return { width: Math.max(160, this.plot.clientWidth || 600), height: this.plot.clientHeight || 150 };
  }

  // What the chart shows, for a picture of another size.
  shapes({ width, height, size }) {
    return this.points.length < 1 ? [] : chartShapes({ ...this.drawn, at: -1 }, { width, height, size }).shapes;
  }

  draw() {
    if (!this.data || this.element.hidden || !this.points.length) {
      this.drawing.replaceChildren();
      for (const each of [this.value, this.link]) each.hidden = true;
      setText(this.when, this.range ? "Nothing in this range." : "");
      return;
    }
    const { kind, from } = this.data, windows = kind === "windows", last = this.points.length - 1, at = Math.min(this.at ?? last, last), point = this.points[at];
    const ends = windows ? [this.points[0].start, this.points[last].end] : [from ?? this.points[0].time, this.points[last].time];
    this.drawn = { kind, points: this.points, from: ends[0], to: ends[1], at };
    const { width, height } = this.size, size = parseFloat(getComputedStyle(this.plot).fontSize) * 0.8;
    const { shapes, xs } = chartShapes(this.drawn, { width, height, size });
    this.xs = xs;
    drawShapes(this.drawing, shapes, width, height);
    set(this.slider, "max", last);
    set(this.slider, "aria-label", windows ? "Window" : "Commit");
    this.slider.value = at;
    this.caption(point, at === last, windows);
  }

  caption(point, isLast, windows) {
    const value = point.value ?? "–";
    const when = windows ? point.label : `commit ${grouped(point.commit)}, ${readable(point.text)} UTC`;
    set(this.slider, "aria-valuetext", windows ? `${this.measure} ${value} in ${when}` : `${this.measure} ${value} as of ${when}`);
    const now = isLast && !windows && !this.data.fixed;
    setText(this.when, now ? "Now. Earlier commits are along the line." : `${when[0].toUpperCase()}${when.slice(1)}`);
    showNumber(this.value, value);
    this.value.hidden = now;
    const link = windows ? point.path && this.host.nodeLink(point.path) : !now && point.commit !== this.data.fixed && this.host.pastLink(String(point.commit));
    setText(this.link, windows ? `Show ${point.label}` : "See the tree as of this commit");
    set(this.link, "href", link || null);
    this.link.hidden = !link;
    setText(this.note, this.data.note ?? "");
  }
}

const keyOf = (point) => point.commit ?? point.start;

// The points of the range, those of windows by when they begin; commits come from the server so.
function cut({ kind, points, from }) {
  return kind === "windows" && from ? points.filter((point) => point.start >= from) : points;
}

function fillSelect(select, options, chosen) {
  const text = JSON.stringify(options);
  if (select.dataset.options !== text) {
    select.dataset.options = text;
    select.replaceChildren(...options.map(([value, words]) => h("option", { value }, words)));
  }
  select.value = chosen;
}

function lastUpTo(points, commit) {
  return Math.max(0, points.findLastIndex((point) => point.commit <= commit));
}
