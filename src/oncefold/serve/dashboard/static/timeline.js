// A node's total over time, with a cursor that a finger, a mouse or the arrow keys move along its commits.

import { nearest, timeline } from "./charts.js";
import { grouped, h, set, setText, svg } from "./dom.js";
import { compare, short } from "./exact.js";
import { showNumber } from "./number.js";
import { readable } from "./times.js";

const HEIGHT = 96;

export class Timeline {
  constructor({ pastLink }) {
    this.pastLink = pastLink;
    this.points = [];
    this.at = null;
    this.drawing = svg("svg", { class: "timeline", "aria-hidden": "true", preserveAspectRatio: "none" });
    this.slider = h("input", { type: "range", min: 0, max: 0, step: 1, "aria-label": "Commit", oninput: () => this.move(Number(this.slider.value)) });
    this.value = h("output", { class: "num" });
    this.when = h("span", { class: "when" });
    this.past = h("a", { class: "past-link" }, "See the tree as of this commit");
    this.high = h("span", {});
    this.low = h("span", {});
    const plot = h("div", { class: "plot" }, this.drawing, this.slider);
    plot.addEventListener("pointermove", (event) => this.point(event, plot));
    plot.addEventListener("pointerdown", (event) => this.point(event, plot));
    plot.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && !this.held && this.rest());
    plot.addEventListener("click", () => (this.held = this.at !== null && this.at < this.points.length - 1));
    this.element = h("figure", { class: "over-time" }, h("div", { class: "axes", "aria-hidden": "true" }, this.high, this.low), plot, h("figcaption", {}, this.when, this.value, this.past));
    this.resizing = new ResizeObserver(() => this.draw());
    this.resizing.observe(plot);
    this.plot = plot;
  }

  // `fixed` is the commit that the view is as of, where it is of the past.
  show(points, measure, fixed) {
    const follows = this.at === null || this.at >= this.points.length - 1 || this.points[this.at].commit === this.fixed;
    const commit = follows ? null : this.points[this.at]?.commit;
    this.points = points;
    this.measure = measure;
    this.fixed = fixed;
    const kept = commit ?? fixed;
    this.at = kept === null || kept === undefined ? null : lastUpTo(points, kept);
    this.element.hidden = points.length < 2;
    this.draw();
  }

  // The pointer is at a place along the line; the slider below it is for keys.
  point(event, plot) {
    if (event.type === "pointermove" && event.pointerType === "mouse" && this.held) return;
    const box = plot.getBoundingClientRect();
    this.held = false;
    this.move(nearest(this.points, (event.clientX - box.left) / box.width));
  }

  // The cursor goes back to where the view is: now, or its commit of the past.
  rest() {
    this.move(this.fixed ? lastUpTo(this.points, this.fixed) : null);
  }

  move(at) {
    this.at = at;
    this.draw();
  }

  draw() {
    if (this.points.length < 2) return;
    const last = this.points.length - 1, at = Math.min(this.at ?? last, last), point = this.points[at];
    timeline(this.drawing, this.points, at, { width: this.plot.clientWidth || 600, height: HEIGHT });
    set(this.slider, "max", last);
    this.slider.value = at;
    const when = `commit ${grouped(point.commit)}, ${readable(point.time)} UTC`;
    set(this.slider, "aria-valuetext", `${this.measure} ${point.value} as of ${when}`);
    setText(this.when, at === last ? "Now. Earlier commits are along the line." : `${when[0].toUpperCase()}${when.slice(1)}`);
    showNumber(this.value, point.value);
    set(this.past, "href", this.pastLink(String(point.commit)));
    this.value.hidden = at === last;
    this.past.hidden = at === last || point.commit === this.fixed;
    this.axis();
  }

  axis() {
    const sorted = this.points.map((point) => point.value).sort(compare);
    setText(this.high, short(sorted.at(-1)));
    setText(this.low, short(sorted[0]));
  }
}

function lastUpTo(points, commit) {
  const found = points.findLastIndex((point) => point.commit <= commit);
  return Math.max(0, found);
}
