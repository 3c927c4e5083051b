// The bar at the top: search, the state of the connection, the past, light and dark.

import { h, set, setText } from "./dom.js";
import { showHelp } from "./dialogs.js";
import { kept, parse } from "./router.js";
import { SearchView } from "./search_view.js";
import { span } from "./times.js";

const TYPING = 160;
const READY_EVERY = 5000;
const THEMES = { auto: "as the system", light: "light", dark: "dark" };

export class Header {
  constructor(app) {
    this.app = app;
    this.search = document.querySelector("#search");
    this.state = document.querySelector("#connection");
    this.theme = document.querySelector("#theme");
    this.lost = document.querySelector("#lost");
    this.unready = document.querySelector("#unready");
    this.theme.addEventListener("click", () => this.nextTheme());
    document.querySelector("#help").addEventListener("click", showHelp);
    this.showTheme();
  }

  start() {
    document.querySelector("#as-of").addEventListener("click", () => this.app.past());
    this.search.form.addEventListener("submit", (event) => event.preventDefault());
    this.search.addEventListener("input", () => this.typed());
    this.search.addEventListener("keydown", (event) => this.onKey(event));
    setText(document.querySelector("#pipeline"), this.app.status.pipeline);
    this.checkReady();
    setInterval(() => this.checkReady(), READY_EVERY);
  }

  // Whether events are taken and all attached sources are read; if not, why.
  async checkReady() {
    if (document.hidden) return;
    const reason = await this.app.api.unready();
    if (reason === null) return;
    this.unready.hidden = reason === "";
    setText(this.unready, reason);
  }

  focusSearch() {
    this.search.focus();
    this.search.select();
  }

  typed() {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => {
      const here = parse(location.hash);
      this.app.go({ ...kept(here), view: "search", q: this.search.value }, { replace: here.view === "search" });
    }, TYPING);
  }

  onKey(event) {
    if (event.key === "Escape") {
      this.search.blur();
      if (this.app.view instanceof SearchView) history.back();
    } else if (event.key === "ArrowDown" || event.key === "Enter") {
      event.preventDefault();
      if (this.app.view instanceof SearchView) this.app.view.focusFirst();
      else if (this.search.value) this.typed();
    }
  }

  showRoute(route) {
    if (document.activeElement !== this.search) this.search.value = route.view === "search" ? route.q : "";
  }

  // Totals of the past do not move, whether or not the connection is there.
  showPast(past) {
    set(this.state, "data-past", past !== null);
    this.showWords();
  }

  showWords() {
    const words = { live: "Live", connecting: "Connecting", paused: "Paused", lost: "Offline" }[this.state.dataset.state] ?? "Connecting";
    setText(this.state.querySelector(".words"), this.state.dataset.past !== undefined && words !== "Offline" ? "The past" : words);
  }

  // Live, connecting, or lost since when and until when.
  connection(state) {
    clearInterval(this.counting);
    const before = this.state.dataset.state;
    this.state.dataset.state = state.name;
    this.showWords();
    if (before !== state.name && (state.name === "lost" || before === "lost")) this.app.say(state.name === "lost" ? "Connection lost" : "Connected again");
    this.lost.hidden = state.name !== "lost";
    if (state.name !== "lost") return;
    const button = h("button", { type: "button", onclick: () => this.app.stream.retryNow() }, "Try now");
    const wait = h("span", {});
    this.lost.replaceChildren(h("p", {}, h("strong", {}, "Connection lost."), " What is shown may be old. ", wait), button);
    const count = () => setText(wait, Date.now() < state.retryAt ? `Next try in ${span(Math.max(1000, state.retryAt - Date.now()))}.` : "Trying now.");
    count();
    set(this.lost, "title", state.error);
    this.counting = setInterval(count, 500);
  }

  nextTheme() {
    const names = Object.keys(THEMES), chosen = document.documentElement.dataset.theme ?? "auto";
    const next = names[(names.indexOf(chosen) + 1) % names.length];
    if (next === "auto") {
      delete document.documentElement.dataset.theme;
      localStorage.removeItem("oncefold-theme");
    } else {
      document.documentElement.dataset.theme = next;
      localStorage.setItem("oncefold-theme", next);
    }
    this.showTheme();
    this.app.say(`Colours: ${THEMES[next]}`);
  }

  showTheme() {
    const chosen = document.documentElement.dataset.theme ?? "auto";
    set(this.theme, "aria-label", `Colours: ${THEMES[chosen]}`);
    set(this.theme, "title", `Colours: ${THEMES[chosen]}`);
    this.theme.dataset.chosen = chosen;
  }
}
