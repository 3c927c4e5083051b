// Paths of nodes: labels joined by "/". "\/" is a slash inside a label, "\\" a backslash, "\e" an empty label.

const MEANINGS = { "\\": "\\", "/": "/", n: "\n", r: "\r", t: "\t", e: "" };
const ESCAPES = { "\\": "\\\\", "/": "\\/", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

export function segments(path) {
  if (path === "") return [];
  const found = [];
  let from = 0;
  for (let at = 0; at < path.length; at += 1) {
    if (path[at] === "\\") at += 1;
    else if (path[at] === "/") {
      found.push(path.slice(from, at));
      from = at + 1;
    }
  }
  return [...found, path.slice(from)];
}

export const label = (segment) => segment.replace(/\\(.)/gs, (whole, sign) => MEANINGS[sign] ?? whole);

export const segment = (text) => (text === "" ? "\\e" : text.replace(/[\\/\n\r\t]/g, (sign) => ESCAPES[sign]));

export const join = (found) => found.join("/");

export const parent = (path) => (path === "" ? null : join(segments(path).slice(0, -1)));

export const labelOf = (path) => (path === "" ? "" : label(segments(path).at(-1)));

// Whether a path is that of a node or of one below it.
export const within = (path, top) => top === "" || path === top || path.startsWith(`${top}/`);

// What a person is shown for a label: an empty one has no other sign.
export const shown = (text) => (text === "" ? "(empty)" : text);

// The last part of a level's name, which may be a dotted path to a field.
export const levelWords = (name) => (/^[\w.]+$/.test(name) ? name.split(".").at(-1) : name);

// The order of labels that the server has: by code point.
export function compareLabels(a, b) {
  if (a === b) return 0;
  const left = Array.from(a), right = Array.from(b);
  for (let at = 0; at < left.length && at < right.length; at += 1) {
    if (left[at] !== right[at]) return left[at].codePointAt(0) - right[at].codePointAt(0);
  }
  return left.length - right.length;
}
