// Every view has an address behind the "#", and every address a view.

import { join, segments } from "./nodepath.js";

const encoded = (text) => encodeURIComponent(text);
const encodedPath = (path) => segments(path).map(encoded).join("/");

// A route: { view: "node", rollup, path, tab, measure, sort, asOf }, { view: "key", key, every }, { view: "search", q },
// { view: "rejects" } or { view: "conflicts" }.
export function parse(hash) {
  const [address, query = ""] = hash.replace(/^#/, "").split(/\?(.*)/s);
  const parameters = new URLSearchParams(query);
  const [, view = "", ...rest] = address.split("/");
  const decoded = rest.map(safelyDecoded);
  const shared = { measure: parameters.get("measure"), sort: parameters.get("sort"), asOf: parameters.get("as_of") };
  switch (view) {
    case "":
    case "totals":
      return { view: "node", rollup: decoded[0] ?? null, path: join(decoded.slice(1)), tab: parameters.get("tab"), ...shared };
    case "key":
      return { view: "key", key: decoded.join("/"), every: parameters.has("every"), ...shared };
    case "search":
      return { view: "search", q: parameters.get("q") ?? "", ...shared };
    case "rejects":
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
  if (route.measure) found.push(["measure", route.measure]);
  if (route.sort) found.push(["sort", route.sort]);
  if (route.asOf && route.view === "node") found.push(["as_of", route.asOf]);
  return found.length ? `?${new URLSearchParams(found)}` : "";
}

// What a link keeps of the view that it stands in.
export const kept = ({ measure, sort, asOf }) => ({ measure, sort, asOf });

export const nodeLink = (here, rollup, path, more = {}) => format({ ...kept(here), view: "node", rollup, path, ...more });

export const keyLink = (here, key, more = {}) => format({ ...kept(here), view: "key", key, ...more });
