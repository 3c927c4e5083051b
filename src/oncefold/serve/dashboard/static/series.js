// Nodes over time: fetched when a node comes into sight, few at a time, and carried on by what the stream tells.

const AT_ONCE = 2;
const POINTS = 40;

export class SeriesStore {
  // `onReady(path)` is told when a node's points have come: so many, from a time on.
  constructor(api, rollup, onReady, { points = POINTS, since = null } = {}) {
    this.wanted = { points, since };
    this.most = 2 * points;
    this.api = api;
    this.rollup = rollup;
    this.onReady = onReady;
    this.found = new Map();
    this.waiting = [];
    this.running = 0;
    this.closed = false;
  }

  get = (path) => this.found.get(path)?.points ?? null;

  // These are in sight: what is not there yet is fetched, in this order, and what was wanted before and is not any more is left.
  want(paths) {
    this.waiting = paths.filter((path) => !this.found.has(path));
    this.go();
  }

  go() {
    while (this.running < AT_ONCE && this.waiting.length && !this.closed) this.fetch(this.waiting.shift());
  }

  async fetch(path) {
    this.running += 1;
    const entry = { points: null, later: [] };
    this.found.set(path, entry);
    try {
      const answer = await this.api.series(this.rollup, path, this.wanted);
      const last = answer.points.at(-1)?.commit ?? 0;
      entry.points = [...answer.points, ...entry.later.filter((point) => point.commit > last)];
    } catch {
      this.found.delete(path);
    } finally {
      this.running -= 1;
    }
    if (this.closed) return;
    if (entry.points) this.onReady(path);
    this.go();
  }

  // A node has these values as of a commit. True where its line is another now.
  append(path, point) {
    const entry = this.found.get(path);
    if (!entry) return false;
    const points = entry.points ?? entry.later;
    if ((points.at(-1)?.commit ?? -1) >= point.commit) return false;
    points.push(point);
    if (entry.points && points.length > this.most) entry.points = thinned(points);
    return entry.points !== null;
  }

  forget() {
    this.found.clear();
  }

  close() {
    this.closed = true;
    this.waiting = [];
  }
}

// Every second point of the older half goes; the first and the newest stay.
function thinned(points) {
  const half = Math.floor(points.length / 2);
  return points.filter((_, index) => index >= half || index % 2 === 0);
}
