// The page: one header, one view after another, one stream of changes behind them all.

import { Activity } from "./activity.js";
import { Api } from "./api.js";
import { askForPast, askForToken, pastPicker, showHelp } from "./dialogs.js";
import { h, set } from "./dom.js";
import { Header } from "./header.js";
import { KeyView } from "./key_view.js";
import { ConflictsView, RejectsView } from "./lists_view.js";
import { NodeView } from "./node_view.js";
import { failure } from "./pieces.js";
import { format, kept, parse } from "./router.js";
import { SearchView } from "./search_view.js";
import { Speaker } from "./speaker.js";
import { Stream } from "./stream.js";
import { WallView } from "./wall.js";

const VIEWS = { node: NodeView, key: KeyView, rejects: RejectsView, conflicts: ConflictsView, search: SearchView, wall: WallView };

class App {
  constructor() {
    this.api = new Api(askForToken);
    this.main = document.querySelector("main");
    this.banner = document.querySelector("#banner");
    this.speaker = new Speaker(document.querySelector("#speaker"));
    this.header = new Header(this);
    this.view = null;
    this.hash = null;
  }

  async start() {
    try {
      this.status = await this.api.status();
    } catch (error) {
      this.main.replaceChildren(failure(error, () => this.start()));
      this.retrying = setTimeout(() => this.start(), 5000);
      return;
    }
    clearTimeout(this.retrying);
    this.main.replaceChildren((this.place = h("div", { class: "view" })));
    this.activity = new Activity(this);
    this.main.append(this.activity.element);
    this.stream = new Stream(this.api, {
      commit: (message) => this.onCommit(message),
      reset: (message) => this.onReset(message),
      state: (state) => this.header.connection(state),
    });
    this.stream.commit = this.status.commit;
    this.activity.start();
    this.header.start();
    addEventListener("hashchange", () => this.route());
    addEventListener("keydown", (event) => this.onKey(event));
    addEventListener("scroll", () => this.keepScroll(), { passive: true });
    history.scrollRestoration = "manual";
    await this.route();
  }

  // Shows what the address says. The focus goes to the new view's heading, unless it is in the search.
  async route() {
    clearTimeout(this.scrolling);
    if (location.hash === this.hash) return;
    const first = this.hash === null;
    this.hash = location.hash;
    const route = this.completed(parse(location.hash));
    this.header.showRoute(route);
    if (route.view === "search" && this.view instanceof SearchView) {
      this.named(this.view);
      await this.view.ask(route);
      return;
    }
    this.view?.destroy();
    const view = (this.view = route.view in VIEWS ? new VIEWS[route.view](this, route) : unknown(route));
    this.place.replaceChildren(view.element);
    this.showPast();
    await view.start?.();
    if (this.view !== view) return;
    this.named(view);
    this.showPast();
    this.watch();
    scrollTo(0, history.state?.scroll ?? 0);
    if (!first && route.view !== "search") view.element.querySelector("h1")?.focus({ preventScroll: true });
  }

  completed(route) {
    return route.view === "node" && !route.rollup ? { ...route, rollup: this.status.rollups[0].name } : route;
  }

  named(view) {
    document.title = `${view.title} · ${this.status.pipeline} · Oncefold`;
  }

  // Goes to a route. `quiet`: the view has shown it already.
  go(route, { replace = false, quiet = false } = {}) {
    const hash = format(route);
    if (replace) history.replaceState(history.state, "", hash);
    else if (hash !== location.hash) history.pushState(null, "", hash);
    if (quiet) this.hash = hash;
    this.header.showRoute(parse(hash));
    if (!quiet) this.route();
  }

  // What the browser keeps with this entry of its history.
  remember(name, value) {
    history.replaceState({ ...history.state, [name]: value }, "");
  }

  remembered = (name) => history.state?.[name];

  keepScroll() {
    clearTimeout(this.scrolling);
    this.scrolling = setTimeout(() => this.remember("scroll", scrollY), 200);
  }

  // Tells the stream what is to be seen. A view without nodes still wants to know of commits.
  watch() {
    const wanted = this.view?.watching?.();
    this.stream.watch(wanted ?? { rollup: this.status.rollups[0].name, paths: [""], depth: 0, since: null });
  }

  onCommit(message) {
    this.activity.onCommit(message);
    this.view?.onCommit?.(message);
  }

  async onReset() {
    await this.activity.look().catch(() => {});
    await Promise.resolve(this.view?.onReset?.()).catch(() => {});
  }

  // One time on the whole page: the banner, the panel at the side and the header say the same.
  showPast() {
    const past = this.view?.past?.() ?? null, text = JSON.stringify(past);
    if (text === this.pastText) return;
    this.pastText = text;
    this.activity.showPast(past);
    this.header.showPast(past);
    this.banner.hidden = !past;
    if (!past) return;
    const time = past.time ? h("span", {}, ", ", h("time", { datetime: past.exact }, past.time), " UTC") : "";
    this.banner.replaceChildren(
      h("p", {}, h("strong", {}, "The past."), ` Totals as of commit ${past.commit}`, time, ". They do not move."),
      pastPicker(past, this.status, (asOf) => this.go({ ...this.completed(parse(location.hash)), asOf })),
      h("a", { class: "button", href: past.now }, "Back to now"));
  }

  say(words, options) {
    this.speaker.say(words, options);
  }

  async past() {
    const route = this.completed(parse(location.hash));
    const node = route.view === "node" ? route : { ...kept(route), view: "node", rollup: this.status.rollups[0].name, path: "" };
    const chosen = await askForPast(node.asOf, this.status);
    if (chosen !== null) this.go({ ...node, asOf: chosen || null });
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target.closest?.("input, select, textarea") && event.target.type !== "range" && event.target.type !== "checkbox") return;
    const actions = {
      "/": () => this.header.focusSearch(),
      "?": showHelp,
      a: () => this.past(),
      t: () => this.header.nextTheme(),
      w: () => this.toWall(),
      Escape: () => this.view instanceof WallView && (location.hash = this.view.leave.getAttribute("href")),
      g: () => this.toTree(),
      r: () => this.go({ ...kept(parse(location.hash)), view: "rejects" }),
    };
    if (!actions[event.key] || (event.key === "Escape" && !(this.view instanceof WallView))) return;
    event.preventDefault();
    actions[event.key]();
  }

  toWall() {
    const link = document.querySelector("a.wall-link");
    if (link) link.click();
    else if (!(this.view instanceof WallView)) this.go({ ...kept(parse(location.hash)), view: "wall", nodes: [] });
  }

  toTree() {
    const row = document.querySelector('.tree .line[tabindex="0"]');
    if (row) row.focus();
    else this.go({ ...kept(parse(location.hash)), view: "node", rollup: this.status.rollups[0].name, path: "" });
  }
}

const unknown = (route) => ({
  title: "Not found",
  element: h("article", { class: "failure card" }, h("h1", { tabindex: -1 }, "There is no such view"), h("p", {}, `${route.address} is no address of this page. `, h("a", { href: "#/" }, "To the totals"))),
  destroy: () => {},
});

const app = new App();
set(document.documentElement, "data-ready", true);
app.start();
