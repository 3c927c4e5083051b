// The tree as far as it is known: which nodes are open, their children in order, and the newest values of each.

import { amount } from "./api.js";
import { compare, mantissa } from "./exact.js";
import { compareLabels, labelOf, parent, segments } from "./nodepath.js";

export const PAGE = 500;
// The server sends no more children at once.
const MOST = 10_000;

export class Tree {
  // `order` has sort (a measure, "count", "label" or null), ascending, filter (a text in the labels of the top's children), and
  // top (so many children of each node, or null).
  constructor(api, { rollup, path, asOf, order }) {
    this.api = api;
    this.rollup = rollup;
    this.top = path;
    this.asOf = asOf;
    this.order = order;
    this.nodes = new Map();
    this.branches = new Map();
    this.open = new Set([path]);
    this.fresh = new Map();
    this.document = null;
  }

  // Load the node and what is open below it: these paths, or as many whole nodes as make no more than so many lines.
  // Raises AskError if the node itself cannot be had.
  async load(open) {
    await this.fetchBranch(this.top);
    if (typeof open === "number") await this.openUpTo(open);
    else await this.openAll(open);
  }

  async openAll(paths) {
    const wanted = paths.filter((path) => path !== this.top).sort((a, b) => segments(a).length - segments(b).length);
    for (const path of wanted) {
      if (!this.nodes.has(path) || !this.canOpen(path)) continue;
      this.open.add(path);
      await this.fetchBranch(path).catch((error) => this.fail(path, error));
    }
  }

  // A small tree is shown open, level by level, as far as a level fits whole.
  async openUpTo(most) {
    let lines = 0, level = [this.top];
    for (;;) {
      const children = level.flatMap((path) => this.branches.get(path)?.order ?? []);
      lines += children.length;
      const next = children.reduce((sum, path) => sum + this.nodes.get(path).children, 0);
      if (next === 0 || lines + next > most || !this.canOpen(children[0])) return;
      await this.openAll(children);
      level = children;
    }
  }

  async reload() {
    const open = [...this.open];
    this.nodes.clear();
    this.branches.clear();
    this.fresh.clear();
    await this.load(open);
  }

  async toggle(path) {
    if (this.open.has(path)) {
      this.open.delete(path);
      return;
    }
    this.open.add(path);
    if (this.branches.has(path) && !this.branches.get(path).error) return;
    this.branches.set(path, { order: [], more: false, loading: true, error: null });
    await this.fetchBranch(path).catch((error) => this.fail(path, error));
  }

  fail(path, error) {
    this.branches.set(path, { order: [], more: false, loading: false, error: error.message });
  }

  // The next children of a node: the next page of labels, or, in another order, so many more from the first on.
  async more(path) {
    const branch = this.branches.get(path);
    if (!branch || branch.loading) return;
    branch.loading = true;
    try {
      await this.fetchBranch(path, branch.ranked ? null : branch, branch.ranked ? branch.order.length + PAGE : PAGE);
    } catch (error) {
      branch.error = error.message;
    } finally {
      branch.loading = false;
    }
  }

  // Whether a node's children are asked for in an order, or with a filter, that the server knows.
  ranked(path) {
    const { sort, ascending, filter } = this.order;
    return (sort !== null && !(sort === "label" && ascending)) || Boolean(path === this.top && filter);
  }

  async fetchBranch(path, branch = null, limit = this.order.top ?? PAGE) {
    const ranked = this.ranked(path), { sort, ascending, filter } = this.order, wanted = Math.min(limit, MOST);
    const asked = { limit: wanted, after: branch?.order.length ? labelOf(branch.last) : undefined, asOf: this.asOf };
    if (ranked) Object.assign(asked, { sort: sort ?? undefined, order: ascending ? "ascending" : "descending", filter: (path === this.top && filter) || undefined });
    if (ranked && sort === null) asked.order = undefined;
    const order = this.order, found = await this.api.totals(this.rollup, path, asked);
    // Another order is wanted by now, and its answer is under way.
    if (order !== this.order && this.document) return;
    if (path === this.top) this.document = found;
    const [own, ...children] = found.rows;
    this.put(own, found.commit);
    for (const row of children) this.put(row, found.commit);
    const paths = children.map((row) => row.path);
    const known = branch ? branch.order.filter((each) => !paths.includes(each)) : [];
    // Pages of two commits are as old, together, as the older one.
    const commit = branch ? Math.min(branch.commit, found.commit) : found.commit;
    const filtered = Boolean(path === this.top && filter);
    const last = paths.at(-1) ?? branch?.last ?? null;
    this.branches.set(path, {
      order: [...known, ...paths], last, more: found.more, loading: false, error: null, commit, ranked, filtered, limit: wanted,
      extremes: new Map(),
    });
    this.arrange(path);
  }

  put(row, commit) {
    const known = this.nodes.get(row.path);
    if (known && known.commit > commit) return;
    this.nodes.set(row.path, { ...row, commit });
  }

  get levels() {
    return this.document?.levels ?? [];
  }

  canOpen(path) {
    return segments(path).length < this.levels.length;
  }

  value(path, measure) {
    const node = this.nodes.get(path);
    if (!node) return null;
    return measure === "count" ? node.count : amount(node, measure);
  }

  // Whether all children of a node are here, none left out by a page or a filter.
  whole(path) {
    const branch = this.branches.get(path);
    return Boolean(branch) && !branch.more && !branch.filtered;
  }

  // The order of two nodes, those without a value last.
  byValue(a, b) {
    const left = this.value(a, this.order.sort), right = this.value(b, this.order.sort);
    if (left === null || right === null) return (left === null) - (right === null);
    return this.order.ascending ? compare(left, right) : compare(right, left);
  }

  // Sorts the children that are here. Of a branch that is not here whole, the server alone knows the order.
  arrange(path) {
    const branch = this.branches.get(path), { sort, ascending } = this.order;
    if (!this.whole(path) && branch.ranked) return;
    const byName = (a, b) => compareLabels(labelOf(a), labelOf(b));
    if (sort === null || sort === "label") branch.order.sort(sort && !ascending ? (a, b) => byName(b, a) : byName);
    else branch.order.sort((a, b) => this.byValue(a, b) || byName(a, b));
  }

  // Another order, filter or number of children: what is not here whole, or is to be cut, comes from the server again.
  async reorder(order) {
    const cut = order.top !== this.order.top, filtered = order.filter !== this.order.filter;
    this.order = order;
    const again = [];
    for (const [path, branch] of this.branches) {
      if (branch.error) continue;
      if (cut || !this.whole(path) || (filtered && path === this.top)) again.push(path);
      else this.arrange(path);
    }
    for (const path of again) if (!this.open.has(path)) this.branches.delete(path);
    await Promise.all(again.filter((path) => this.open.has(path)).map((path) => this.fetchBranch(path)));
  }

  // The greatest size among the children of a node, or those that match, whether they are here or not, for the lengths of bars: in units
  // of the last place. Until it is known it is that of those that are here; `onKnown` is called when it is a greater one.
  greatest(path, measure, onKnown) {
    const branch = this.branches.get(path);
    if (!branch) return null;
    const sizes = branch.order.map((child) => size(this.value(child, measure))), here = sizes.reduce((a, b) => (b > a ? b : a), 0n);
    if (!branch.more) return here;
    const known = branch.extremes.get(measure);
    if (typeof known === "bigint") return known > here ? known : here;
    if (known === undefined) {
      branch.extremes.set(measure, "asked");
      this.extreme(path, measure).then((found) => {
        branch.extremes.set(measure, found);
        if (found > here) onKnown();
      }, () => branch.extremes.delete(measure));
    }
    return here;
  }

  async extreme(path, measure) {
    // Of children in the order of this measure, one end is here.
    const { sort, ascending, filter } = this.order, matching = path === this.top && filter ? filter : undefined;
    const unknown = ["descending", "ascending"].filter((order) => sort !== measure || (order === "ascending") !== ascending);
    const ends = await Promise.all(unknown.map((order) => this.api.totals(this.rollup, path, { limit: 1, sort: measure, order, filter: matching, asOf: this.asOf })));
    const values = ends.flatMap(({ rows }) => rows.slice(1)).map((row) => size(measure === "count" ? row.count : amount(row, measure)));
    return values.reduce((a, b) => (b > a ? b : a), 0n);
  }

  // Take the values of a commit; the paths whose values are others now, and whether lines came or went.
  apply(rows, commit) {
    const changed = new Set();
    let moved = false;
    for (const row of rows) {
      if (row.rollup !== this.rollup) continue;
      const known = this.nodes.get(row.path);
      if (known) {
        if (known.commit > commit) continue;
        if (differs(known, row)) changed.add(row.path);
        this.nodes.set(row.path, { ...known, ...row, commit });
        if (Number(row.count) === 0 && row.path !== this.top) moved = this.remove(row.path) || moved;
      } else if (this.insert(row, commit)) {
        changed.add(row.path);
        moved = true;
      }
    }
    return { changed, moved };
  }

  insert(row, commit) {
    const above = parent(row.path), branch = above === null ? null : this.branches.get(above);
    if (!branch || branch.error || Number(row.count) === 0) return false;
    const name = labelOf(row.path), depth = segments(row.path).length;
    const elsewhere = branch.filtered || (branch.more && (branch.ranked || compareLabels(name, labelOf(branch.last)) > 0));
    if (elsewhere || branch.commit > commit) return false;
    this.nodes.set(row.path, { ...row, depth, label: name, children: depth < this.levels.length ? 1 : 0, commit });
    branch.order.push(row.path);
    this.arrange(above);
    return true;
  }

  remove(path) {
    const branch = this.branches.get(parent(path));
    this.nodes.delete(path);
    this.open.delete(path);
    this.branches.delete(path);
    if (!branch) return false;
    const before = branch.order.length;
    branch.order = branch.order.filter((each) => each !== path);
    return branch.order.length < before;
  }

  // What is to be seen, from top to bottom: nodes, and after the children of a node what is still to come.
  lines() {
    const found = [];
    const below = (path, level) => {
      const branch = this.branches.get(path);
      if (!branch) return;
      const left = this.left(path, branch);
      branch.order.forEach((child, index) => {
        found.push({ kind: "node", path: child, parent: path, level, position: index + 1, size: branch.order.length + left });
        if (this.open.has(child)) below(child, level + 1);
      });
      const rest = { path: `${path}\u0000`, parent: path, level };
      if (branch.error) found.push({ ...rest, kind: "error", words: branch.error });
      else if (branch.loading) found.push({ ...rest, kind: "loading" });
      else if (branch.more && branch.order.length >= MOST && branch.ranked) found.push({ ...rest, kind: "end", left, filtered: branch.filtered });
      else if (branch.more) found.push({ ...rest, kind: "more", left, filtered: branch.filtered });
    };
    below(this.top, 1);
    return found;
  }

  left(path, branch) {
    return branch.more ? Math.max(1, (this.nodes.get(path)?.children ?? 0) - branch.order.length) : 0;
  }

  // Which nodes to watch, with these in sight, and how deep. A node stands for its children; but where one has more children
  // than are loaded, it would tell of all of them, and everything in sight stands for itself.
  watched(inSight) {
    const above = new Set([this.top, ...inSight.map(parent).filter((path) => path !== null)]);
    const whole = [...above].every((path) => this.whole(path) || !this.branches.has(path));
    return whole ? { paths: [...above], depth: 1 } : { paths: [...new Set([...above, ...inSight])], depth: 0 };
  }

  // The oldest commit that what is watched is of.
  since({ paths, depth }) {
    const commits = paths.map((path) => (depth ? this.branches.get(path)?.commit : this.freshness(path)));
    return commits.reduce((oldest, commit) => (commit !== undefined && (oldest === null || commit < oldest) ? commit : oldest), null);
  }

  freshness(path) {
    const own = this.branches.get(path)?.commit ?? 0, above = this.branches.get(parent(path))?.commit ?? 0;
    return Math.max(own, above, this.fresh.get(path) ?? 0);
  }

  // What is watched is as of this commit now.
  caughtUp({ paths, depth }, commit) {
    for (const path of paths) {
      const branch = this.branches.get(path);
      if (depth && branch?.commit !== undefined) branch.commit = Math.max(branch.commit, commit);
      else this.fresh.set(path, commit);
    }
  }

  // Open nodes whose children are to be fetched again after a commit that changed these: those that nobody watches as a whole, and
  // those that are shown in part in an order that any commit may change.
  outdated(changed) {
    return [...this.branches].filter(([path, branch]) => this.open.has(path) && (this.whole(path) ? changed.has(path) : branch.ranked)).map(([path]) => path);
  }

  async refresh(path) {
    const branch = this.branches.get(path);
    if (branch) await this.fetchBranch(path, null, branch.ranked || branch.more ? branch.limit : Math.max(this.order.top ?? PAGE, branch.order.length + PAGE));
  }
}

const size = (value) => {
  const units = value === null ? 0n : mantissa(value);
  return units < 0n ? -units : units;
};

function differs(known, row) {
  const amounts = Object.entries(row.measures).some(([name, value]) => known.measures[name] !== value);
  return amounts || String(known.count) !== String(row.count);
}
