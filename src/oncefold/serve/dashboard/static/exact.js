// Exact decimals, as the server sends them: text. They are compared, divided and grouped here, and are never floats.

const FORM = /^(-?)(\d+)(?:\.(\d+))?$/;

export function parts(text) {
  const found = FORM.exec(text);
  if (found === null) return null;
  return { negative: found[1] === "-", whole: found[2], fraction: found[3] ?? "" };
}

// The number in units of its last place. All numbers of one measure have equally many places.
export function mantissa(text) {
  const found = parts(String(text));
  if (found === null) return 0n;
  const digits = BigInt(found.whole + found.fraction);
  return found.negative ? -digits : digits;
}

export function compare(a, b) {
  const left = mantissa(a), right = mantissa(b);
  return left < right ? -1 : left > right ? 1 : 0;
}

// The text of a number of units with so many places.
export function format(units, scale) {
  const digits = String(units < 0n ? -units : units).padStart(scale + 1, "0");
  const cut = digits.length - scale;
  return (units < 0n ? "-" : "") + digits.slice(0, cut) + (scale ? `.${digits.slice(cut)}` : "");
}

// Thousands of the whole part, the first of one to three digits.
export function groups(whole) {
  const first = whole.length % 3 || 3;
  const found = [whole.slice(0, first)];
  for (let at = first; at < whole.length; at += 3) found.push(whole.slice(at, at + 3));
  return found;
}

// Part of the whole in ten-thousandths, rounded half away from zero; null where the whole is nothing.
export function share(part, whole) {
  let over = mantissa(part) * 20000n, under = mantissa(whole);
  if (under === 0n) return null;
  if (under < 0n) [over, under] = [-over, -under];
  const rounded = over >= 0n ? (over / under + 1n) / 2n : (over / under - 1n) / 2n;
  const most = 99_999_999n;
  return Number(rounded > most ? most : rounded < -most ? -most : rounded);
}

// How long a bar is beside one of the greatest size, which is in units: percent, from -100 to 100; nothing of nothing.
export function lengthOf(text, greatest) {
  if (!greatest) return 0;
  const length = Number((mantissa(text) * 10000n) / greatest) / 100;
  return Math.max(-100, Math.min(100, length));
}

// A share as a person reads it: "12.4 %". What is more than nothing never reads as nothing, nor what is less than all as all.
export function percent(tenThousandths, exact = true) {
  if (tenThousandths === null) return "–";
  const tenths = Math.round(Math.abs(tenThousandths) / 10);
  const sign = tenThousandths < 0 ? "-" : "";
  if (tenths === 0 && !exact) return `<${sign}0.1 %`;
  if (tenths === 1000 && tenThousandths > 0 && !exact) return ">99.9 %";
  return `${sign}${groups(String(Math.floor(tenths / 10))).join(",")}.${tenths % 10} %`;
}

// Share of parent in words, for two texts.
export function shareText(part, whole) {
  const found = share(part, whole);
  const nothing = mantissa(part) === 0n, all = mantissa(part) === mantissa(whole);
  return percent(found, nothing || all);
}

const SHORT = [[15, " qn"], [12, " tn"], [9, " bn"], [6, " m"], [3, " k"]];

// Three digits for an axis, rounded half away from zero: "1.57 bn".
export function short(text) {
  const found = parts(String(text));
  if (found === null) return String(text);
  const sign = found.negative ? "-" : "", places = found.fraction.length;
  const size = BigInt(found.whole + found.fraction);
  for (const [index, [zeros, name]] of SHORT.entries()) {
    const before = found.whole.length - zeros;
    if (before <= 0) continue;
    const decimals = Math.max(0, 3 - before);
    const units = rounded(size, places + zeros - decimals);
    // 999,999 is a whole million once it is rounded.
    if (index > 0 && units >= 10n ** BigInt(3 + decimals)) return `${sign}1${SHORT[index - 1][1]}`;
    const [whole, rest = ""] = format(units, decimals).split(".");
    const fraction = rest.replace(/0+$/, "");
    return sign + groups(whole).join(",") + (fraction ? `.${fraction}` : "") + name;
  }
  if (places <= 2) return sign + found.whole + (places ? `.${found.fraction}` : "");
  const units = rounded(size, places - 2);
  return units >= 100000n ? `${sign}1 k` : (units === 0n ? "" : sign) + format(units, 2);
}

// A number of units without its last digits, rounded half up.
const rounded = (units, digits) => (units * 2n + 10n ** BigInt(digits)) / (2n * 10n ** BigInt(digits));

// How wide a number is when it is written with separators, in digits.
export function width(text) {
  const found = parts(String(text));
  if (found === null) return String(text).length;
  const separators = (groups(found.whole).length - 1) * 0.45;
  return found.whole.length + separators + (found.negative ? 0.7 : 0) + (found.fraction ? found.fraction.length + 0.45 : 0);
}
