// Small charts without axes, as inline SVG: the way of a node in its line, and events by the second.

import { set, svg } from "./dom.js";
import { mantissa } from "./exact.js";

const FINE = 10_000n;

// Where each number lies between the least and the greatest, from 0 to 1; all in the middle where all are equal.
export function heights(values) {
  const numbers = values.map(mantissa);
  const least = numbers.reduce((a, b) => (b < a ? b : a), numbers[0] ?? 0n);
  const most = numbers.reduce((a, b) => (b > a ? b : a), numbers[0] ?? 0n);
  const range = most - least;
  return numbers.map((number) => (range === 0n ? 0.5 : Number(((number - least) * FINE) / range) / Number(FINE)));
}

const fixed = (number) => number.toFixed(2);

// A total holds until the next commit, so the line goes in steps.
function steps(xs, ys, width, height, inset) {
  const x = (at) => fixed(inset + xs[at] * (width - 2 * inset)), y = (at) => fixed(height - inset - ys[at] * (height - 2 * inset));
  let path = `M${x(0)} ${y(0)}`;
  for (let at = 1; at < xs.length; at += 1) path += `H${x(at)}V${y(at)}`;
  return path;
}

// The way of a number over the commits, small: `points` are { value }; those without one are left out.
export function sparkline(element, points, { width = 88, height = 22 } = {}) {
  set(element, "viewBox", `0 0 ${width} ${height}`);
  const known = points.filter(({ value }) => value !== null);
  if (known.length === 0) {
    element.replaceChildren();
    return;
  }
  const single = known.length === 1 ? [known[0], known[0]] : known;
  const ys = heights(single.map((point) => point.value)), xs = single.map((_, index) => index / (single.length - 1));
  const line = steps(xs, ys, width - 3, height, 2);
  const [path, dot] = element.childElementCount ? element.children : [svg("path", { class: "trace" }), svg("circle", { class: "end", r: 1.8 })];
  set(path, "d", line);
  set(dot, "cx", width - 5);
  set(dot, "cy", fixed(height - 2 - ys.at(-1) * (height - 4)));
  if (!element.childElementCount) element.append(path, dot);
}

// Bars of a second each, stacked by kind: `buckets` are maps from a kind to a number.
export function bars(element, buckets, kinds, { width = 300, height = 64 } = {}) {
  set(element, "viewBox", `0 0 ${width} ${height}`);
  const highest = Math.max(1, ...buckets.map((bucket) => kinds.reduce((sum, kind) => sum + (bucket.get(kind) ?? 0), 0)));
  const step = width / buckets.length;
  const found = [];
  buckets.forEach((bucket, index) => {
    let top = height;
    for (const kind of kinds) {
      const number = bucket.get(kind) ?? 0;
      if (!number) continue;
      const tall = Math.max(1, (number / highest) * (height - 1));
      top -= tall;
      found.push(svg("rect", { class: `bar ${kind}`, x: fixed(index * step + 0.5), width: fixed(step - 1), y: fixed(top), height: fixed(tall) }));
    }
  });
  element.replaceChildren(...found);
  return highest;
}
