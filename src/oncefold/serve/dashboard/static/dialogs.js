// What is asked of a person, and what the keys do.

import { h } from "./dom.js";

const KEYS = [
  ["/", "Search"],
  ["g", "To the tree"],
  ["a", "As of a past commit or time"],
  ["t", "Light, dark, or as the system says"],
  ["r", "To the rejected events"],
  ["w", "The node on a wall; Escape leaves it"],
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

// A token of a scope; of one for changes it may be refused, which gives null.
export async function askForToken(words, scope = "read") {
  for (;;) {
    const input = h("input", { type: "password", name: "token", autocomplete: "off", required: true, spellcheck: "false" });
    const content = [h("p", {}, words), h("label", { class: "field" }, "Token", input), h("p", { class: "quiet" }, `It needs the scope ${scope}. It is kept until this tab is closed, and sent to this server only.`)];
    const mayClose = scope !== "read";
    const found = await ask("This server asks for a token", content, { submit: "Go on", mayClose });
    const token = found?.get("token").trim();
    if (token || (found === null && mayClose)) return token ?? null;
  }
}

// Whether somebody wants this: what it does, and the words of the button.
export async function confirmed(title, words, submit) {
  return (await ask(title, words.map((each) => h("p", {}, each)), { submit })) !== null;
}

// A date and time in UTC, within what the store can tell of; `onchange` has it as a text.
function dateField({ oldest_commit_time: oldest, commit_time: newest }, value, label, onchange) {
  const minute = (text) => (text ? text.slice(0, 19) : null);
  const input = h("input", { type: "datetime-local", step: 1, min: minute(oldest), max: minute(newest), ".value": minute(value) ?? "", "aria-label": label });
  input.addEventListener("change", () => input.value && onchange(`${input.value}${input.value.length === 16 ? ":00" : ""}Z`));
  return input;
}

// Beside what the page says of the past: another commit, or another time.
export function pastPicker(past, status, onchange) {
  const commit = h("input", { type: "number", min: status.oldest_commit, max: status.commit, step: 1, value: past.commit, "aria-label": "Commit", required: true });
  commit.addEventListener("change", () => commit.checkValidity() && onchange(commit.value));
  return h("form", { class: "past-picker", onsubmit: (event) => event.preventDefault() }, h("label", {}, "Commit ", commit), h("label", {}, "or at ", dateField(status, past.exact, "Date and time, UTC", onchange), " UTC"));
}

// A commit's number or a time; empty is now, null is: nothing was chosen.
export async function askForPast(current, status) {
  const input = h("input", { name: "past", value: current ?? "", autocomplete: "off", placeholder: "120 or 2026-03-02T09:00Z" });
  const date = dateField(status, null, null, (text) => (input.value = text));
  const content = [
    h("label", { class: "field" }, "Commit or time", input),
    h("label", { class: "field" }, "Pick a date and time, UTC", date),
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
