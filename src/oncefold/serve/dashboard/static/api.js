// The one place that knows how the server is asked. Everything else speaks of nodes, keys and commits.

import { segments } from "./nodepath.js";
import { learnClock } from "./times.js";

const TOKEN = "oncefold-token";
const ADMIN_TOKEN = "oncefold-admin-token";

// Whether a measure of a node is the sum of those of its keys.
export const addsUp = ({ kind = "sum" }) => kind === "sum" || kind === "count";

// A measure's amount in a row; null where it has none.
export const amount = (row, measure) => row.measures?.[measure] ?? null;

// Something the server refused or could not be asked; the message is for a person.
export class AskError extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

export class Api {
  // `askForToken(words)` gives a token that a person typed.
  constructor(askForToken) {
    this.askForToken = askForToken;
    this.prompt = null;
  }

  status = () => this.json("status");

  // Why the server is not ready, empty if it is; null if it cannot be asked.
  async unready() {
    try {
      const answer = await fetch("readyz", { cache: "no-store" });
      return answer.ok ? "" : await problem(answer);
    } catch {
      return null;
    }
  }

  totals = (rollup, path, { limit, after, asOf, depth = 1, sort, order, filter } = {}) =>
    this.json(node("totals", rollup, path), { depth, limit, after, as_of: asOf, sort, order, filter });

  series = (rollup, path, { points, since }) => this.json(node("series", rollup, path), { points, since });

  explain = (rollup, path, { limit, after }) => this.json(node("explain", rollup, path), { limit, after });

  history = (key, every) => this.json(`history/${encodeURIComponent(key)}`, { every: every ? "true" : "false" });

  search = (q, limit, signal) => this.json("search", { q, limit }, signal);

  // The newest first, as conflicts are too; of one reason only, if that is given.
  rejects = (limit, reason) => this.json("rejects", { limit, order: "newest", reason });

  reasons = () => this.json("rejects/reasons");

  redrive = () => this.change("POST", "rejects/redrive");

  discard = (id) => this.change("DELETE", `rejects/${id}`);

  // All rejects of a reason up to this id: what came later nobody has seen.
  discardReason = (reason, upTo) => this.change("POST", "rejects/discard", { reason, up_to: upTo });

  hasToken = () => sessionStorage.getItem(TOKEN) !== null;

  conflicts = (limit) => this.json("conflicts", { limit });

  // The stream of changes: an answer whose body never ends.
  changes({ rollup, paths, depth, lastEventId }, signal) {
    return this.ask("changes", { rollup, path: paths, depth, last_event_id: lastEventId }, signal, "text/event-stream");
  }

  async json(address, parameters, signal) {
    const answer = await this.ask(address, parameters, signal, "application/json");
    learnClock(answer.headers.get("Date"));
    return answer.json();
  }

  async ask(address, parameters = {}, signal = undefined, accept = "application/json") {
    for (;;) {
      const token = sessionStorage.getItem(TOKEN);
      const headers = { Accept: accept, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
      const answer = await this.fetched(address + query(parameters), { headers, signal });
      if (answer.ok) return answer;
      const words = await problem(answer);
      if (answer.status !== 401) throw new AskError(words, answer.status);
      await this.newToken(token, token ? "The server does not know this token." : words);
    }
  }

  // Something that changes the store: with the token of an administrator, where the server asks for one.
  async change(method, address, parameters = {}) {
    for (;;) {
      const token = sessionStorage.getItem(ADMIN_TOKEN) ?? sessionStorage.getItem(TOKEN);
      const headers = { Accept: "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}) };
      const answer = await this.fetched(address + query(parameters), { method, headers });
      if (answer.ok) return answer.json();
      const words = await problem(answer);
      if (answer.status !== 401 && answer.status !== 403) throw new AskError(words, answer.status);
      sessionStorage.removeItem(ADMIN_TOKEN);
      const given = await this.askForToken(words, "admin");
      if (given === null) throw new AskError("Nothing was changed: that needs a token of the scope admin.");
      sessionStorage.setItem(ADMIN_TOKEN, given);
    }
  }

  async fetched(address, options) {
    try {
      return await fetch(address, { cache: "no-cache", ...options });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new AskError("The server cannot be reached.");
    }
  }

  // One prompt for all requests that wait for it; a token that was replaced meanwhile is tried first.
  async newToken(refused, words) {
    if (sessionStorage.getItem(TOKEN) !== refused) return;
    this.prompt ??= this.askForToken(words).then((token) => sessionStorage.setItem(TOKEN, token));
    try {
      await this.prompt;
    } finally {
      this.prompt = null;
    }
  }
}

// A path may be sent with its slashes, but not where a browser would take a label for a way up.
function node(question, rollup, path) {
  const found = segments(path);
  const slash = found.some((text) => text === "." || text === "..") ? "%2F" : "/";
  return [question, encodeURIComponent(rollup)].join("/") + (path ? `/${found.map(encodeURIComponent).join(slash)}` : "");
}

function query(parameters) {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== undefined && each !== null) found.append(name, each);
    }
  }
  return found.size ? `?${found}` : "";
}

async function problem(answer) {
  try {
    const found = await answer.json();
    return found.detail || found.title || `The server answered ${answer.status}.`;
  } catch {
    return `The server answered ${answer.status} ${answer.statusText}`.trim();
  }
}
