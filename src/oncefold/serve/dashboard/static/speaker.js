// Words for a screen reader: politely, and of changing totals only now and then.

const LIVE_EVERY = 20_000;

export class Speaker {
  constructor(element) {
    this.element = element;
    this.spoken = -LIVE_EVERY;
    this.next = null;
  }

  // `live` words are about totals that move: the newest are said, at most every twenty seconds.
  say(words, { live = false } = {}) {
    if (!live) {
      this.speak(words);
      return;
    }
    this.newest = words;
    const wait = this.spoken + LIVE_EVERY - performance.now();
    if (wait <= 0) this.speakNewest();
    else this.next ??= setTimeout(() => this.speakNewest(), wait);
  }

  speakNewest() {
    clearTimeout(this.next);
    this.next = null;
    this.spoken = performance.now();
    this.speak(this.newest);
  }

  speak(words) {
    this.element.textContent = typeof words === "function" ? words() : words;
  }
}
