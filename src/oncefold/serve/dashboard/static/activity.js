// What happens as a whole: events by outcome, how fresh the totals are, the newest rejects.

import { bars } from "./charts.js";
import { grouped, h, set, setText, svg } from "./dom.js";
import { reject, rejectsWords } from "./lists_view.js";
import { numberIn, showNumber } from "./number.js";
import { OUTCOMES, Rate, SECONDS } from "./rate.js";
import { ago, now, readable, span } from "./times.js";

const NEWEST = 4;
const LOOK_EVERY = 1500;
const REJECTS_AFTER = 700;

export class Activity {
  constructor(app) {
    this.app = app;
    this.rate = new Rate();
    this.last = null;
    this.build();
  }

  build() {
    this.total = numberIn("span", "0", { class: "great" });
    this.perSecond = h("span", { class: "rate" });
    this.chart = svg("svg", { class: "bars", "aria-hidden": "true", preserveAspectRatio: "none" });
    this.under = h("p", { class: "under" });
    this.peak = h("span", { class: "axis high", "aria-hidden": "true" });
    this.outcomes = new Map(OUTCOMES.map((outcome) => [outcome, { total: numberIn("td", "0"), rate: h("td", { class: "num rate" }) }]));
    const rows = [...this.outcomes].map(([outcome, { total, rate }]) => {
      const row = h("tr", {}, h("th", { scope: "row" }, h("span", { class: `key-mark ${outcome}`, "aria-hidden": "true" }), outcome.replace("_", " ")), total, rate);
      this.outcomes.get(outcome).row = row;
      return row;
    });
    const table = h("table", { class: "outcomes" },
      h("caption", { class: "unseen" }, "Events by outcome"),
      h("thead", { class: "unseen" }, h("tr", {}, h("th", { scope: "col" }, "Outcome"), h("th", { scope: "col" }, "Ever"), h("th", { scope: "col" }, "Per second"))), h("tbody", {}, ...rows));
    this.facts = h("dl", { class: "facts" });
    this.rejects = h("ol", { class: "rejects" });
    this.allRejects = h("p", { class: "all" });
    this.live = [
      card("Events", h("p", { class: "headline" }, this.total, this.perSecond), h("div", { class: "plot" }, this.chart, this.peak), this.under, table),
      card("Freshness", this.facts),
      card("Newest rejects", this.rejects, this.allRejects)];
    this.element = h("aside", { class: "activity", "aria-label": "Activity" }, ...this.live);
  }

  // Beside totals of the past stands what is known of that commit, and nothing of now; null is now.
  showPast(past) {
    const text = JSON.stringify(past);
    if (text === this.pastText) return;
    this.pastText = text;
    if (!past) {
      this.element.replaceChildren(...this.live);
      return;
    }
    const facts = [
      ["Commit", numberIn("span", past.commit)],
      ["Committed", past.exact ? h("time", { datetime: past.exact, title: past.exact }, past.time) : "before the first event"],
      ["Newest event", past.newestEvent ? h("span", { title: past.newestEvent }, readable(past.newestEvent)) : "no event has a time"],
      ["Pipeline", this.app.status.pipeline],
    ];
    this.element.replaceChildren(card("As of", h("dl", { class: "facts" }, ...facts.map(fact)), h("p", { class: "under" }, "Events, rejects and conflicts are known as of now only.")));
  }

  start() {
    this.last = this.app.status;
    this.show();
    this.loadRejects();
    this.ticking = setInterval(() => this.tick(), 1000);
  }

  onCommit(message) {
    const counts = message.counts ?? {};
    if (!message.caughtUp) this.rate.add(counts);
    this.last = { ...this.last, ...message, counts: added(this.last.counts, counts), events: this.last.events + sum(counts) };
    this.show();
    if (counts.rejected) this.loadRejectsSoon();
    this.lookSoon();
  }

  // Some facts are only in the status: it is asked now and then while something happens.
  lookSoon() {
    this.looking ??= setTimeout(async () => {
      this.looking = null;
      await this.look().catch(() => {});
    }, LOOK_EVERY);
  }

  async look() {
    const found = await this.app.api.status();
    const rejects = this.last?.rejects;
    this.last = { ...this.last, ...found };
    this.show();
    if (found.rejects !== rejects) this.loadRejectsSoon();
  }

  loadRejectsSoon() {
    this.loading ??= setTimeout(() => {
      this.loading = null;
      this.loadRejects();
    }, REJECTS_AFTER);
  }

  async loadRejects() {
    try {
      const found = await this.app.api.rejects(NEWEST);
      const text = JSON.stringify(found.rows);
      if (text !== this.rejectsText) this.rejects.replaceChildren(...found.rows.map((row) => reject(row)));
      this.rejectsText = text;
      // Words without anything behind them are no link.
      const words = rejectsWords(found.total);
      if (this.allRejects.textContent !== words) this.allRejects.replaceChildren(found.total ? h("a", { href: "#/rejects" }, words) : words);
    } catch {
      // The connection's state says what is wrong, and the next reject asks again.
    }
  }

  tick() {
    if (document.hidden || !this.last) return;
    this.showRates();
    this.showAges();
  }

  show() {
    showNumber(this.total, String(this.last.events));
    for (const [outcome, { total, row }] of this.outcomes) {
      const number = this.last.counts[outcome] ?? 0;
      showNumber(total, String(number));
      row.hidden = number === 0;
    }
    this.showRates();
    this.showFacts();
  }

  showRates() {
    const idle = this.rate.idle();
    setText(this.perSecond, `${shortRate(this.rate.perSecond())} per second`);
    for (const [outcome, { rate }] of this.outcomes) {
      const found = this.rate.perSecond(outcome);
      setText(rate, found ? `${shortRate(found)}/s` : "");
    }
    const buckets = this.rate.buckets();
    const highest = bars(this.chart, buckets, OUTCOMES);
    setText(this.under, idle ? "no event in the last minute" : "the last minute, second by second");
    setText(this.peak, idle ? "" : `${grouped(highest)}/s`);
    set(this.chart, "data-seconds", SECONDS);
  }

  showFacts() {
    const found = this.last;
    const facts = [
      ["Commit", numberIn("span", found.commit)],
      ["Committed", h("span", { class: "age", "data-time": found.commit_time, title: found.commit_time ?? "" })],
      ["Newest event", found.newest_event ? h("span", { title: found.newest_event }, readable(found.newest_event)) : "no event has a time"],
      ["Lag", h("span", { class: "lag", "data-time": found.newest_event })],
      ["Keys", h("span", {}, numberIn("span", found.live), " counted, ", numberIn("span", found.keys), " met")],
      ["Nodes", numberIn("span", found.nodes)],
      ["Conflicts", found.conflicts ? h("a", { href: "#/conflicts" }, grouped(found.conflicts)) : "none"],
      ["Pipeline", found.pipeline],
    ];
    const text = JSON.stringify([found.commit, found.commit_time, found.newest_event, found.live, found.keys, found.nodes, found.conflicts]);
    if (text === this.factsText) return;
    this.factsText = text;
    this.facts.replaceChildren(...facts.map(fact));
    this.showAges();
  }

  showAges() {
    const age = this.facts.querySelector(".age"), lag = this.facts.querySelector(".lag");
    if (age) setText(age, age.dataset.time ? ago(age.dataset.time) : "nothing yet");
    if (!lag) return;
    const behind = now() - Date.parse(lag.dataset.time ?? "");
    setText(lag, Number.isNaN(behind) ? "unknown" : behind < 0 ? `none; ${span(behind)} ahead` : span(behind));
  }
}

const fact = ([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value));

const card = (words, ...children) => h("section", { class: "card" }, h("h2", {}, words), ...children);

const sum = (counts) => Object.values(counts).reduce((total, number) => total + number, 0);

function added(before, counts) {
  const after = { ...before };
  for (const [outcome, number] of Object.entries(counts)) after[outcome] = (after[outcome] ?? 0) + number;
  return after;
}

// Rates are estimates: three digits say enough.
const shortRate = (rate) => (rate >= 10 || rate === 0 ? grouped(Math.round(rate)) : rate.toFixed(1));
