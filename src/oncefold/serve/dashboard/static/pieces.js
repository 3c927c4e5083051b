// Pieces that several views are made of.

import { h } from "./dom.js";
import { join, label, segments, shown } from "./nodepath.js";
import { nodeLink } from "./router.js";

// What went wrong, and the way on.
export const failure = (error, again) =>
  h("div", { class: "failure card", role: "alert" }, h("p", {}, error.message), h("p", {}, h("button", { type: "button", onclick: again }, "Try again"), " ", h("a", { href: "#/" }, "To the totals")));

// The way from the root down to a node, each step a link but the last.
export function pathLinks(route, rollup, path, status) {
  const steps = segments(path);
  const others = status.rollups.map(({ name }) => name);
  const root = others.length > 1 ? rollupChoice(route, rollup, others) : step(route, rollup, "", rollup, steps.length === 0);
  const links = steps.map((text, index) => step(route, rollup, join(steps.slice(0, index + 1)), shown(label(text)), index === steps.length - 1));
  if (others.length > 1 && steps.length) links.unshift(step(route, rollup, "", "all", false));
  return h("nav", { class: "crumbs", "aria-label": "Where this is" }, h("ol", {}, ...[root, ...links].map((each) => h("li", {}, each))));
}

const step = (route, rollup, path, words, last) =>
  last ? h("span", { "aria-current": "page" }, words) : h("a", { href: nodeLink(route, rollup, path) }, words);

function rollupChoice(route, rollup, names) {
  const select = h("select", { "aria-label": "Tree", onchange: () => (location.hash = nodeLink(route, select.value, "")) },
    ...names.map((name) => h("option", { value: name, ".selected": name === rollup }, name)));
  return select;
}

// A leaf names the labels of all levels of all rollups, each level once: what of it is a path in one of them.
export function pathInRollup(leaf, rollups, name) {
  const levels = [...new Set(rollups.flatMap((rollup) => rollup.levels))];
  const labels = segments(leaf);
  const wanted = rollups.find((rollup) => rollup.name === name).levels;
  if (labels.length !== levels.length) return null;
  return join(wanted.map((level) => labels[levels.indexOf(level)]));
}

export const leafWords = (leaf) => segments(leaf).map((text) => shown(label(text))).join(" › ");

export const emptyWords = (words) => h("p", { class: "empty" }, words);
