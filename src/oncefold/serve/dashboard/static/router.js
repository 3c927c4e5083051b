// Every view has an address behind the "#", and every address a view.

import { join, segments } from "./nodepath.js";

const encoded = (text) => encodeURIComponent(text);
const encodedPath = (path) => segments(path).map(encoded).join("/");

// What a link keeps of the view that it stands in: the member of a route, and its name in the address.
const SHARED = [["measure", "measure"], ["sort", "sort"], ["order", "order"], ["top", "top"], ["chart", "chart"], ["range", "range"], ["asOf", "as_of"]];

// A route: { view: "node", rollup, path, tab, filter }, { view: "key", key, every }, { view: "search", q }, { view: "rejects", reason },
// { view: "conflicts" } or { view: "wall", nodes }, and what is shared.
export function parse(hash) {
  const [address, query = ""] = hash.replace(/^#/, "").split(/\?(.*)/s);
  const parameters = new URLSearchParams(query);
  const [, view = "", ...rest] = address.split("/");
  const decoded = rest.map(safelyDecoded);
  const shared = Object.fromEntries(SHARED.map(([name, key]) => [name, parameters.get(key)]));
  switch (view) {
    case "":
    case "totals":
      return { view: "node", rollup: decoded[0] ?? null, path: join(decoded.slice(1)), tab: parameters.get("tab"), filter: parameters.get("filter"), ...shared };
    case "key":
      return { view: "key", key: decoded.join("/"), every: parameters.has("every"), ...shared };
    case "search":
      return { view: "search", q: parameters.get("q") ?? "", ...shared };
    case "wall":
      return { view: "wall", nodes: parameters.getAll("node"), ...shared };
    case "rejects":
      return { view, reason: parameters.get("reason"), ...shared };
    case "conflicts":
      return { view, ...shared };
    default:
      return { view: "unknown", address, ...shared };
  }
}

function safelyDecoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function format(route) {
  return `#${address(route)}${query(route)}`;
}

function address(route) {
  if (route.view === "node") return `/totals/${encoded(route.rollup)}${route.path ? `/${encodedPath(route.path)}` : ""}`;
  if (route.view === "key") return `/key/${encoded(route.key)}`;
  return `/${route.view}`;
}

function query(route) {
  const found = [];
  if (route.view === "node" && route.tab) found.push(["tab", route.tab]);
  if (route.view === "key" && route.every) found.push(["every", "1"]);
  if (route.view === "search") found.push(["q", route.q]);
  if (route.view === "node" && route.filter) found.push(["filter", route.filter]);
  if (route.view === "wall") found.push(...route.nodes.map((node) => ["node", node]));
  if (route.view === "rejects" && route.reason) found.push(["reason", route.reason]);
  for (const [name, key] of SHARED) {
    if (route[name] && (name !== "asOf" || route.view === "node")) found.push([key, route[name]]);
  }
  return found.length ? `?${new URLSearchParams(found)}` : "";
}

export const kept = (route) => Object.fromEntries(SHARED.map(([name]) => [name, route[name] ?? null]));

export const nodeLink = (here, rollup, path, more = {}) => format({ ...kept(here), view: "node", rollup, path, ...more });

export const keyLink = (here, key, more = {}) => format({ ...kept(here), view: "key", key, ...more });
