// Events by outcome over the last minute, a bucket a second, counted from what the stream tells.

export const OUTCOMES = ["inserted", "corrected", "deleted", "conflict_won", "duplicate", "stale", "conflict_lost", "rejected", "filtered", "ignored"];
export const SECONDS = 60;
const WINDOW = 5;

export class Rate {
  constructor(clock = () => performance.now()) {
    this.clock = clock;
    this.began = clock();
    this.seconds = new Map();
  }

  add(counts) {
    const second = this.second();
    const bucket = this.seconds.get(second) ?? new Map();
    for (const [outcome, number] of Object.entries(counts)) bucket.set(outcome, (bucket.get(outcome) ?? 0) + number);
    this.seconds.set(second, bucket);
  }

  second = () => Math.floor(this.clock() / 1000);

  // The buckets of the last minute, the oldest first.
  buckets() {
    const last = this.second();
    for (const second of this.seconds.keys()) {
      if (second <= last - SECONDS) this.seconds.delete(second);
    }
    return Array.from({ length: SECONDS }, (_, index) => this.seconds.get(last - SECONDS + 1 + index) ?? new Map());
  }

  // The mean of the last whole seconds: of one outcome, or of all.
  perSecond(outcome = null) {
    const last = this.second();
    const over = Math.max(1, Math.min(WINDOW, Math.floor((this.clock() - this.began) / 1000)));
    let sum = 0;
    for (let second = last - over; second < last; second += 1) {
      for (const [name, number] of this.seconds.get(second) ?? []) sum += outcome === null || name === outcome ? number : 0;
    }
    return sum / over;
  }

  idle = () => [...this.seconds.values()].every((bucket) => bucket.size === 0);
}
