// What is asked of a person, and what the keys do.

import { h } from "./dom.js";

const KEYS = [
  ["/", "Search"],
  ["g", "To the tree"],
  ["a", "As of a past commit or time"],
  ["t", "Light, dark, or as the system says"],
  ["r", "To the rejected events"],
  ["?", "This list"],
];

const GRID_KEYS = [
  ["Up, Down", "From line to line"],
  ["Right", "Open a node, then go into it"],
  ["Left", "Close a node, or go to the one above"],
  ["Enter", "Show the node by itself, with its keys"],
  ["Space", "Open or close a node"],
  ["Home, End", "To the first, to the last line"],
];

// A dialog that is gone when it is closed. Gives what was submitted, or null.
function ask(title, content, { submit = null, mayClose = true } = {}) {
  return new Promise((resolve) => {
    const form = h("form", { method: "dialog" }, h("h2", { id: "dialog-title" }, title), ...content,
      h("p", { class: "buttons" }, mayClose && h("button", { type: "button", onclick: () => dialog.close() }, submit ? "Cancel" : "Close"), submit && h("button", { class: "primary" }, submit)));
    const dialog = h("dialog", { "aria-labelledby": "dialog-title" }, form);
    let found = null;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      found = new FormData(form);
      dialog.close();
    });
    dialog.addEventListener("cancel", (event) => !mayClose && event.preventDefault());
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(found);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

export async function askForToken(words) {
  for (;;) {
    const input = h("input", { type: "password", name: "token", autocomplete: "off", required: true, spellcheck: "false" });
    const content = [h("p", {}, words), h("label", { class: "field" }, "Token", input), h("p", { class: "quiet" }, "It needs the scope read. It is kept until this tab is closed, and sent to this server only.")];
    const found = await ask("This server asks for a token", content, { submit: "Go on", mayClose: false });
    const token = found?.get("token").trim();
    if (token) return token;
  }
}

// A commit's number or a time; empty is now, null is: nothing was chosen.
export async function askForPast(current) {
  const input = h("input", { name: "past", value: current ?? "", autocomplete: "off", placeholder: "120 or 2026-03-02T09:00Z" });
  const content = [
    h("label", { class: "field" }, "Commit or time", input),
    h("p", { class: "quiet" }, "A commit's number, or a time: then it is the last commit at or before it. A time without an offset is in UTC, a date is its midnight. Empty is now."),
  ];
  const found = await ask("Totals as of", content, { submit: "Show" });
  return found === null ? null : found.get("past").trim();
}

export function showHelp() {
  if (document.querySelector("dialog[open]")) return;
  const list = (keys) => h("dl", { class: "keyboard" }, ...keys.map(([key, words]) => h("div", {}, h("dt", {}, ...key.split(", ").map((each) => h("kbd", {}, each))), h("dd", {}, words))));
  ask("Keys", [list(KEYS), h("h3", {}, "In the tree"), list(GRID_KEYS), h("p", { class: "quiet" }, "Every view has an address of its own: it can be kept, sent, and reloaded. Numbers are copied exactly, without separators.")]);
}
