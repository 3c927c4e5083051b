// Pieces that several views are made of.

import { grouped, h, many } from "./dom.js";
import { join, label, levelWords, segments, shown } from "./nodepath.js";
import { nodeLink } from "./router.js";

const MOST_LINKS = 60;

// What went wrong, and the way on.
export const failure = (error, again, ...more) =>
  h("div", { class: "failure card", role: "alert" }, h("p", {}, error.message), ...more, h("p", {}, h("button", { type: "button", onclick: again }, "Try again"), " ", h("a", { href: "#/" }, "To the totals")));

// A node that is not there: the nodes that are, as links, from the nearest one above it that exists.
export async function missingNode(app, route, error, again) {
  if (error.status !== 404) return failure(error, again);
  const rollups = app.status.rollups.map(({ name }) => name);
  if (!rollups.includes(route.rollup)) {
    return missing(error, again, "The trees that there are", rollups.map((name) => [name, nodeLink(route, name, "")]));
  }
  for (let steps = segments(route.path).slice(0, -1); ; steps = steps.slice(0, -1)) {
    const path = join(steps);
    const found = await app.api.totals(route.rollup, path, { limit: MOST_LINKS, asOf: route.asOf ?? undefined }).catch(() => null);
    if (found) {
      const [own, ...children] = found.rows, place = steps.length ? `below ${steps.map((text) => shown(label(text))).join(" › ")}` : `at the top of ${route.rollup}`;
      const words = found.more ? `The first ${grouped(children.length)} of ${many(own.children, "node")} ${place}` : `The nodes ${place}`;
      return missing(error, again, words, [...(steps.length ? [[`${shown(label(steps.at(-1)))} itself`, nodeLink(route, route.rollup, path)]] : []), ...children.map((row) => [shown(row.label), nodeLink(route, route.rollup, row.path)])]);
    }
    if (!steps.length) return failure(error, again);
  }
}

function missing(error, again, words, links) {
  return h("div", { class: "failure card" },
    h("h1", { tabindex: -1 }, "There is no such node"), h("p", { role: "alert" }, error.message),
    h("h2", {}, words), h("ul", { class: "ways" }, ...links.map(([name, href]) => h("li", {}, h("a", { href }, name)))),
    h("p", {}, h("button", { type: "button", onclick: again }, "Try again"), " ", h("a", { href: "#/" }, "To the totals")));
}

// What to do with an empty store: a command that sends events to this server.
export function firstSteps(app) {
  const address = new URL("events", document.baseURI).href;
  const token = app.api.hasToken() ? ' -H "Authorization: Bearer $ONCEFOLD_INGEST_TOKEN"' : "";
  const command = `curl --data-binary @events.jsonl -H "Content-Type: application/x-ndjson"${token} ${address}`;
  const copy = h("button", { type: "button", onclick: () => copied(command, copy, app) }, "Copy");
  return [h("p", {}, "Send the first events, a JSON object on each line, with:"), h("p", { class: "command" }, h("code", { tabindex: 0 }, command), copy)];
}

async function copied(text, button, app) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(button.parentElement.querySelector("code"));
    button.textContent = "Selected";
  }
  app.say(`${button.textContent}: the command`);
}

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

const levelsOf = (rollups) => [...new Set(rollups.flatMap((rollup) => rollup.levels))];

// Whether a level of a rollup has a node for each element of an array: a key may be in several of them.
export const isEach = (rollup, level) => rollup?.each?.includes(rollup.levels[level]) ?? false;

// A leaf names the labels of all levels of all rollups, each level once: what of it is a path in one of them. Null where a key may be
// in several.
export function pathInRollup(leaf, rollups, name) {
  const levels = levelsOf(rollups), labels = segments(leaf);
  const { levels: wanted, each } = rollups.find((rollup) => rollup.name === name);
  if (labels.length !== levels.length || each?.length) return null;
  return join(wanted.map((level) => labels[levels.indexOf(level)]));
}

export const leafWords = (leaf) => segments(leaf).map((text) => shown(label(text))).join(" › ");

// A leaf with the names of its levels; the bare leaf where they are not known, as those of an earlier definition are not.
export function namedLeaf(leaf, rollups) {
  const levels = levelsOf(rollups), labels = segments(leaf);
  if (labels.length !== levels.length) return h("span", {}, leafWords(leaf));
  return h("span", { class: "leaf" }, ...labels.flatMap((text, index) => [index ? " " : "", h("span", {}, h("span", { class: "level" }, levelWords(levels[index])), " ", shown(label(text)))]));
}

export const emptyWords = (words) => h("p", { class: "empty" }, words);
