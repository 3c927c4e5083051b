// Windows of time, as levels of a rollup have them: where they are below a node, what they are called, when they begin and end.

import { addsUp, amount } from "./api.js";
import { format, mantissa } from "./exact.js";
import { segments } from "./nodepath.js";
import { isEach } from "./pieces.js";

const MOST = 3_000;
// A node with more children than that has its windows looked up below each of them in turn, not all at once.
const MOST_CHILDREN = 60;

const FORM = /^(\d+)(s|m|h|d|w|mo|q|y)$/;
const NAMES = { s: "second", m: "minute", h: "hour", d: "day", w: "week", mo: "month", q: "quarter", y: "year" };
const MILLISECONDS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

export function windowWords(text) {
  const [, number, unit] = FORM.exec(text) ?? [];
  if (!unit) return text;
  return number === "1" ? `By ${NAMES[unit]}` : `By ${number} ${NAMES[unit]}s`;
}

// When the window with this label begins, in milliseconds; null for a label that is no time, as that of events without one is.
export function windowStart(label) {
  if (!/^\d{4}(-\d\d){0,2}(T[\d:.]+(Z|[+-]\d\d:\d\d))?$/.test(label)) return null;
  const found = Date.parse(label);
  return Number.isNaN(found) ? null : found;
}

export function windowEnd(start, text) {
  const [, number, unit] = FORM.exec(text) ?? ["", "1", "d"];
  const length = Number(number);
  if (MILLISECONDS[unit]) return start + length * MILLISECONDS[unit];
  const at = new Date(start), months = length * { mo: 1, q: 3, y: 12 }[unit];
  return Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + months, 1);
}

export const windowLength = (text) => windowEnd(0, text);

// The ways to see a node by windows: { name, words, window, rollup, path, levels }, `levels` below the node. The root is the same in
// every rollup, so that one which begins with a window shows it too.
export function windowsOf(rollups, rollup, path) {
  const found = [], depth = segments(path).length;
  const add = ({ name, windows }, from, top) => {
    (windows ?? []).forEach((window, index) => {
      if (window && index >= from && !found.some((each) => each.window === window)) found.push({ name: window, words: windowWords(window), window, rollup: name, path: top, levels: index - from + 1 });
    });
  };
  add(rollups.find((each) => each.name === rollup), depth, path);
  if (path === "") for (const other of rollups) if (other.name !== rollup && other.windows?.[0]) add({ ...other, windows: other.windows.slice(0, 1) }, 0, "");
  return found;
}

// Whether sums over several branches are those of a window: each key is below one of them alone.
function oneLeaf(rollups, { rollup, levels, path }) {
  const found = rollups.find(({ name }) => name === rollup), from = segments(path).length;
  return !found.levels.slice(from, from + levels - 1).some((_, index) => isEach(found, from + index));
}

// Whether a measure can be shown so: windows below several branches are added up.
export function canShow(rollups, found, measure, children) {
  return found.levels === 1 || (addsUp(measure) && oneLeaf(rollups, found) && children <= MOST_CHILDREN);
}

// The newest windows below a node with what a measure shows in each: { points, without }, the labels that are no times.
export async function loadWindows(api, found, { name, scale = 0 }, asOf) {
  const direct = found.levels === 1;
  const asked = direct ? { limit: MOST, sort: "label", order: "descending", asOf } : { depth: found.levels, asOf };
  const answer = await api.totals(found.rollup, found.path, asked);
  const own = segments(found.path).length, values = new Map(), paths = new Map();
  for (const row of answer.rows) {
    if (segments(row.path).length !== own + found.levels) continue;
    const value = name === "count" ? String(row.count) : amount(row, name);
    values.set(row.label, direct ? value : String((BigInt(values.get(row.label) ?? 0n)) + mantissa(value ?? "0")));
    if (direct) paths.set(row.label, row.path);
  }
  const points = [], without = [];
  for (const [label, value] of values) {
    const start = windowStart(label);
    if (start === null) without.push(label);
    else points.push({ label, start, end: windowEnd(start, found.window), path: paths.get(label) ?? null, value: direct ? value : format(BigInt(value), name === "count" ? 0 : scale) });
  }
  points.sort((a, b) => a.start - b.start);
  return { points, without, more: direct && answer.more };
}
