// Times as a person reads them, beside the exact text that the server gave.

import { grouped } from "./dom.js";

const UNITS = [["d", 86_400_000], ["h", 3_600_000], ["min", 60_000], ["s", 1000]];

// The server's clock minus this machine's, told by the Date headers of its answers. Each is cut to its second and comes late,
// so the greatest difference is the best one; what two clocks that agree may differ by is taken for nothing.
let best = -Infinity;
const AGREE = 3000;

export function learnClock(date) {
  const there = Date.parse(date ?? "");
  if (!Number.isNaN(there)) best = Math.max(best, there + 500 - Date.now());
}

const ahead = () => (Math.abs(best) < AGREE || best === -Infinity ? 0 : best);

export const now = () => Date.now() + ahead();

// "3 s", "4 min 10 s", "2 h 5 min", "264 d 22 h": the two greatest units.
export function span(milliseconds) {
  let rest = Math.abs(milliseconds);
  if (rest < 1000) return "0 s";
  const first = UNITS.findIndex(([, size]) => rest >= size);
  const words = [];
  for (const [name, size] of UNITS.slice(first, first + 2)) {
    const number = Math.floor(rest / size);
    rest -= number * size;
    if (number || !words.length) words.push(`${grouped(number)} ${name}`);
  }
  return words.join(" ");
}

export function ago(text) {
  const since = now() - Date.parse(text);
  if (Number.isNaN(since)) return "";
  if (since < 1000 && since > -2000) return "just now";
  return since >= 0 ? `${span(since)} ago` : `${span(since)} ahead of the clock`;
}

// To the second, in UTC: "2026-11-23 07:23:03".
export const readable = (text) => (text ? text.replace("T", " ").replace(/(\.\d+)?(Z|\+00:00)$/, "") : "");

export const timeOfDay = (text) => readable(text).slice(11);
