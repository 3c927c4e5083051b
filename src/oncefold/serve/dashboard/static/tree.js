// The tree as far as it is known: which nodes are open, their children in order, and the newest values of each.

import { amount } from "./api.js";
import { compare } from "./exact.js";
import { compareLabels, labelOf, parent, segments } from "./nodepath.js";

export const PAGE = 500;

export class Tree {
  constructor(api, { rollup, path, asOf, sort }) {
    this.api = api;
    this.rollup = rollup;
    this.top = path;
    this.asOf = asOf;
    this.sort = sort;
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

  // The next page of a node's children.
  async more(path) {
    const branch = this.branches.get(path);
    if (!branch || branch.loading) return;
    branch.loading = true;
    try {
      await this.fetchBranch(path, branch);
    } catch (error) {
      branch.error = error.message;
    } finally {
      branch.loading = false;
    }
  }

  async fetchBranch(path, branch = null) {
    const after = branch?.order.length ? labelOf(branch.last) : undefined;
    const found = await this.api.totals(this.rollup, path, { limit: PAGE, after, asOf: this.asOf });
    if (path === this.top) this.document = found;
    const [own, ...children] = found.rows;
    this.put(own, found.commit);
    for (const row of children) this.put(row, found.commit);
    const paths = children.map((row) => row.path);
    const known = branch ? branch.order.filter((each) => !paths.includes(each)) : [];
    // Pages of two commits are as old, together, as the older one.
    const commit = branch ? Math.min(branch.commit, found.commit) : found.commit;
    const last = paths.at(-1) ?? branch?.last ?? null;
    this.branches.set(path, { order: [...known, ...paths], last, more: found.more, loading: false, error: null, commit });
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
    return measure === "count" ? node.count : amount(node, measure);
  }

  // The order of two nodes by a number, the greatest first, those without one last.
  byValue(a, b) {
    const left = this.value(a, this.sort), right = this.value(b, this.sort);
    return left === null || right === null ? (left === null) - (right === null) : compare(right, left);
  }

  // Sorts children by name, or by a number, the greatest first. A branch that is not loaded whole stays in its order by name.
  arrange(path) {
    const branch = this.branches.get(path);
    const byName = (a, b) => compareLabels(labelOf(a), labelOf(b));
    if (!this.sort || branch.more) branch.order.sort(byName);
    else branch.order.sort((a, b) => this.byValue(a, b) || byName(a, b));
  }

  sortBy(sort) {
    this.sort = sort;
    for (const path of this.branches.keys()) this.arrange(path);
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
    const beyond = branch.more && compareLabels(name, labelOf(branch.last)) > 0;
    if (beyond || branch.commit > commit) return false;
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
      if (branch.error) found.push({ kind: "error", path: `${path}\u0000`, parent: path, level, words: branch.error });
      else if (branch.loading) found.push({ kind: "loading", path: `${path}\u0000`, parent: path, level });
      else if (branch.more) found.push({ kind: "more", path: `${path}\u0000`, parent: path, level, left });
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
    const whole = [...above].every((path) => !this.branches.get(path)?.more);
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

  // Open nodes that changed, and whose children are not watched as a whole: they are to be fetched again.
  outdated(changed) {
    return [...changed].filter((path) => this.open.has(path) && this.branches.has(path) && !this.branches.get(path).more);
  }

  async refresh(path) {
    if (this.branches.has(path)) await this.fetchBranch(path);
  }
}

function differs(known, row) {
  const amounts = Object.entries(row.measures).some(([name, value]) => known.measures[name] !== value);
  return amounts || String(known.count) !== String(row.count);
}
