// A chart as shapes: what is drawn where, apart from how (see picture.js). Exact numbers become positions at the very end.

import { amountTicks, amountWords, timeTicks } from "./axes.js";
import { mantissa, parts } from "./exact.js";

const FINE = 100_000n;
const fixed = (number) => number.toFixed(2);

// `data` is { kind: "commits" or "windows", points, from, to, at }: points of commits have { time, value }, those of windows
// { start, end, value }, times are milliseconds, values are texts or null; `at` is the point of the cursor.
export function chartShapes(data, { width, height, size = 11 }) {
  const values = data.points.map(({ value }) => (value === null ? null : mantissa(value)));
  const scale = parts(String(data.points.find(({ value }) => value !== null)?.value ?? "0"))?.fraction.length ?? 0;
  const known = values.filter((value) => value !== null), bars = data.kind === "windows";
  let least = known.reduce((a, b) => (b < a ? b : a), known[0] ?? 0n), most = known.reduce((a, b) => (b > a ? b : a), known[0] ?? 0n);
  if (bars) [least, most] = [least > 0n ? 0n : least, most < 0n ? 0n : most];
  const ticks = amountTicks(least, most, Math.min(5, Math.max(2, Math.floor(height / (size * 4)))));
  if (ticks.length === 1) ticks.push(ticks[0] + 1n);
  const words = ticks.map((tick) => amountWords(tick, scale)), low = ticks[0], range = ticks.at(-1) - low;
  const box = { left: Math.ceil(Math.max(...words.map((word) => word.length)) * size * 0.62) + 8, right: width - 6, top: size * 0.8, bottom: height - size - 9 };
  const x = (time) => box.left + (data.to > data.from ? Math.min(1, Math.max(0, (time - data.from) / (data.to - data.from))) : 0) * (box.right - box.left);
  const y = (value) => box.bottom - (Number(((value - low) * FINE) / range) / Number(FINE)) * (box.bottom - box.top);
  const shapes = ticks.map((tick) => ({ shape: "line", role: tick === 0n && bars ? "base" : "grid", x1: box.left, x2: box.right, y1: y(tick), y2: y(tick) }));
  ticks.forEach((tick, index) => shapes.push({ shape: "text", role: "axis", x: box.left - 6, y: y(tick) + size * 0.35, size, anchor: "end", words: words[index] }));
  shapes.push(...timeLabels(data, box, x, height, size));
  // Commits without any time between them are spread evenly.
  const spread = (index) => box.left + (index / Math.max(1, data.points.length - 1)) * (box.right - box.left);
  const xs = data.points.map((point, index) => (bars ? (x(point.start) + x(point.end)) / 2 : data.to > data.from ? x(point.time) : spread(index)));
  const drawn = bars ? barShapes(data.points, values, x, y, box) : lineShapes(xs, values, y, box);
  const marked = values[data.at] !== null && values[data.at] !== undefined;
  if (marked && !bars) shapes.push({ shape: "line", role: "cursor", x1: xs[data.at], x2: xs[data.at], y1: box.top, y2: box.bottom });
  shapes.push(...drawn);
  if (marked) {
    shapes.push({ shape: "circle", role: "end", x: xs[data.at], y: y(values[data.at]), r: 3.5 });
  }
  return { shapes, xs, box };
}

function timeLabels(data, box, x, height, size) {
  const found = timeTicks(data.from, data.to, Math.max(1, Math.floor((box.right - box.left) / (size * 8.5))));
  return found.flatMap(({ time, words }) => {
    const at = x(time), half = words.length * size * 0.29;
    const anchor = at - half < box.left - 10 ? "start" : at + half > box.right ? "end" : "middle";
    return [
      { shape: "line", role: "tick", x1: at, x2: at, y1: box.bottom, y2: box.bottom + 4 },
      { shape: "text", role: "axis", x: at, y: height - 2, size, anchor, words },
    ];
  });
}

// A total holds until the next commit, so the line goes in steps; where there is no value, there is no line.
function lineShapes(xs, values, y, box) {
  let line = "", area = "", begun = null, last = null;
  const end = (to) => {
    if (begun === null) return;
    line += `H${fixed(to)}`;
    area += `H${fixed(to)}V${fixed(box.bottom)}H${fixed(begun)}Z`;
    begun = null;
  };
  values.forEach((value, index) => {
    const at = xs[index];
    if (value === null) end(at);
    else if (begun === null) {
      const start = `M${fixed(at)} ${fixed(y(value))}`;
      line += start;
      area += start;
      begun = at;
    } else {
      const step = `H${fixed(at)}V${fixed(y(value))}`;
      line += step;
      area += step;
    }
    last = at;
  });
  end(last ?? box.left);
  return [{ shape: "path", role: "area", d: area }, { shape: "path", role: "trace", d: line }];
}

function barShapes(points, values, x, y, box) {
  const zero = y(0n);
  let up = "", down = "";
  points.forEach((point, index) => {
    if (values[index] === null) return;
    const left = x(point.start), wide = x(point.end) - left, gap = wide > 3 ? Math.min(2, wide * 0.2) : 0;
    const top = y(values[index]), bar = `M${fixed(left + gap / 2)} ${fixed(zero)}V${fixed(top)}H${fixed(Math.max(left + wide - gap / 2, left + 0.6))}V${fixed(zero)}Z`;
    if (values[index] < 0n) down += bar;
    else up += bar;
  });
  return [{ shape: "path", role: "column", d: up }, { shape: "path", role: "column minus", d: down }].filter(({ d }) => d && box);
}
