// The stream of changes: what is watched may change at any time, and a lost connection is taken up where it ended.

import { EventText } from "./sse.js";

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;
const SETTLE = 120;
const SILENCE = 45_000;
const HIDDEN_FOR = 10_000;

export class Stream {
  // `tell` has commit(message), reset(message) and state({ name, error, retryAt }); name is connecting, live, lost or paused.
  constructor(api, tell) {
    this.api = api;
    this.tell = tell;
    this.watched = null;
    this.commit = null;
    this.failures = 0;
    this.connection = null;
    this.timer = null;
    this.sleeping = null;
    // The next commit that is told catches up: it may be about long ago, or about events that were counted before.
    this.first = true;
    this.rewound = false;
    document.addEventListener("visibilitychange", () => this.onVisibility());
    addEventListener("online", () => this.retryNow());
  }

  // Watch these nodes, all of whose values are known as of `since`: what changed after it will be told.
  watch({ rollup, paths, depth, since }) {
    const watched = JSON.stringify([rollup, [...paths].sort(), depth]);
    const behind = since !== null && since !== undefined && (this.commit === null || since < this.commit);
    if (behind) {
      this.commit = since;
      this.rewound = true;
    }
    if (watched === this.watched?.text && !behind) return;
    this.watched = { text: watched, rollup, paths, depth };
    this.schedule(this.connection === null && this.failures === 0 ? 0 : SETTLE);
  }

  retryNow() {
    if (this.failures) this.schedule(0);
  }

  schedule(wait) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.connect(), wait);
  }

  async connect() {
    this.connection?.abort();
    if (document.hidden && this.sleeping === "asleep") return;
    const connection = (this.connection = new AbortController());
    if (this.failures === 0 && this.commit === null) this.tell.state({ name: "connecting" });
    const { rollup, paths, depth } = this.watched;
    try {
      const answer = await this.api.changes({ rollup, paths, depth, lastEventId: this.commit }, connection.signal);
      this.failures = 0;
      this.first = true;
      this.tell.state({ name: "live" });
      await this.read(answer.body.getReader(), connection);
      throw new Error("The server ended the connection.");
    } catch (error) {
      if (connection === this.connection && !connection.leaving) this.lost(error);
    }
  }

  async read(reader, connection) {
    const decoder = new TextDecoder(), text = new EventText();
    for (;;) {
      const watchdog = setTimeout(() => connection.abort(), SILENCE);
      try {
        const { done, value } = await reader.read();
        if (done) return;
        for (const event of text.events(decoder.decode(value, { stream: true }))) {
          if (connection === this.connection) this.take(event);
        }
      } finally {
        clearTimeout(watchdog);
      }
    }
  }

  take({ event, data }) {
    const message = JSON.parse(data);
    if (event === "commit" || event === "hello") this.commit = message.commit;
    if (event === "commit") {
      this.tell.commit({ ...message, counts: this.rewound ? {} : message.counts, caughtUp: this.first });
      this.rewound = this.first = false;
    }
    if (event === "reset") {
      this.commit = message.commit;
      this.tell.reset(message);
    }
  }

  lost(error) {
    this.connection = null;
    this.failures += 1;
    const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** (this.failures - 1)) * (0.75 + Math.random() / 2);
    this.tell.state({ name: "lost", error: error.message, retryAt: Date.now() + wait });
    this.schedule(wait);
  }

  // A page that nobody sees holds no connection: browsers have few of them for one server.
  onVisibility() {
    if (document.hidden) {
      this.sleeping ??= setTimeout(() => this.pause(), HIDDEN_FOR);
      return;
    }
    const asleep = this.sleeping === "asleep";
    if (!asleep) clearTimeout(this.sleeping);
    this.sleeping = null;
    if (asleep && this.watched) this.schedule(0);
  }

  pause() {
    this.sleeping = "asleep";
    clearTimeout(this.timer);
    if (this.connection) this.connection.leaving = true;
    this.connection?.abort();
    this.tell.state({ name: "paused" });
  }
}
