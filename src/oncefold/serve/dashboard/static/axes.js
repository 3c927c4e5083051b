// What stands along the axes of a chart: rounded amounts, and times as calendars and clocks have them.

import { format, short } from "./exact.js";

const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR, MONTH = 30.4 * DAY, YEAR = 365.25 * DAY;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
// 1970-01-05 was a Monday.
const MONDAY = 4 * DAY;

const CLOCK = [SECOND, 5 * SECOND, 15 * SECOND, 30 * SECOND, MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY];
const CALENDAR = [1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200];

const below = (value, step) => value - (((value % step) + step) % step);

// Round amounts that enclose these two, about so many, as whole numbers of units: 0, 50, 100.
export function amountTicks(least, most, about) {
  const range = most - least;
  let step = 1n;
  search: for (let ten = 1n; ; ten *= 10n) {
    for (const size of [1n, 2n, 5n]) {
      step = size * ten;
      if (range <= step * BigInt(about)) break search;
    }
  }
  const found = [];
  for (let at = below(least, step); ; at += step) {
    found.push(at);
    if (at >= most) return found;
  }
}

// Round amounts have no use for their last zeros.
export const amountWords = (units, scale) => short(format(units, scale)).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");

// Round times within two, at most so many, each as { time, words }; the first says the day where the others are of a clock.
export function timeTicks(from, to, most) {
  const range = to - from;
  if (!(range >= SECOND)) return [{ time: from, words: Number.isFinite(from) ? `${dayWords(from)} ${clockWords(from, SECOND)}` : "" }];
  const clock = CLOCK.find((step) => range / step <= most);
  const found = clock ? clockTimes(from, to, clock) : calendarTimes(from, to, CALENDAR.find((months) => range / (months * MONTH) <= most) ?? 1200);
  return found.map((each, index) => ({ time: each.time, words: index === 0 && clock && clock < DAY && !each.midnight ? `${dayWords(each.time)} ${each.words}` : each.words }));
}

function clockTimes(from, to, step) {
  const found = [], origin = step === 7 * DAY ? MONDAY : 0;
  for (let time = below(from - origin + step - 1, step) + origin; time <= to; time += step) {
    const midnight = time % DAY === 0;
    found.push({ time, midnight, words: midnight ? dayWords(time) : clockWords(time, step) });
  }
  return found;
}

function calendarTimes(from, to, months) {
  const first = new Date(from), found = [];
  for (let month = below(first.getUTCFullYear() * 12 + first.getUTCMonth(), months); ; month += months) {
    const year = Math.floor(month / 12), time = Date.UTC(year, month % 12, 1);
    if (time > to) return found;
    if (time >= from) found.push({ time, words: months >= 12 ? String(year) : `${MONTHS[month % 12]} ${year}` });
  }
}

const two = (number) => String(number).padStart(2, "0");

function dayWords(time) {
  const day = new Date(time);
  return `${day.getUTCDate()} ${MONTHS[day.getUTCMonth()]}`;
}

function clockWords(time, step) {
  const at = new Date(time), words = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
  return step < MINUTE ? `${words}:${two(at.getUTCSeconds())}` : words;
}

// Ranges that one can choose, by the name that is in the address.
export const RANGES = new Map([["1h", HOUR], ["24h", DAY], ["7d", 7 * DAY], ["30d", 30 * DAY], ["90d", 90 * DAY], ["1y", YEAR], ["3y", 3 * YEAR], ["10y", 10 * YEAR]]);

const RANGE_WORDS = { "1h": "last hour", "24h": "last 24 hours", "7d": "last 7 days", "30d": "last 30 days", "90d": "last 90 days", "1y": "last year", "3y": "last 3 years", "10y": "last 10 years" };

export const rangeWords = (name) => RANGE_WORDS[name] ?? "all of it";

// The names of ranges that show a part of so long a time, and more than one step of it.
export const rangesWithin = (length, step) => [...RANGES].filter(([, size]) => size < length && size > 2 * step).map(([name]) => name);
