// A number on the page. Its separators are drawn by the style sheet, so that what is selected and copied is exact.

import { h, reducedMotion, set } from "./dom.js";
import { groups, parts } from "./exact.js";

// Puts an exact number into an element; says whether it was another before.
export function showNumber(element, value) {
  const text = String(value);
  if (element.dataset.exact === text) return false;
  const before = element.dataset.exact;
  element.dataset.exact = text;
  set(element, "title", text);
  const found = parts(text);
  if (found === null) {
    element.textContent = text;
    element.classList.remove("negative");
    return before !== undefined;
  }
  const [first, ...others] = groups(found.whole);
  element.replaceChildren((found.negative ? "-" : "") + first, ...others.map((three) => h("span", { class: "g" }, three)));
  if (found.fraction) element.append(h("span", { class: "fraction" }, `.${found.fraction}`));
  element.classList.toggle("negative", found.negative);
  return before !== undefined;
}

export const numberIn = (tag, value, props = {}) => {
  const element = h(tag, { ...props, class: `num ${props.class ?? ""}`.trim() });
  showNumber(element, value);
  return element;
};

// Shows for a moment that a number is another; while it shows, one that changes again shows no more than that.
export function flash(element) {
  if (!element.isConnected || element.getAnimations().length) return;
  const marked = getComputedStyle(element).getPropertyValue("--flash").trim() || "transparent";
  const frames = [{ backgroundColor: marked }, { backgroundColor: marked, offset: 0.3 }, { backgroundColor: "transparent" }];
  element.animate(frames, { duration: 1100, easing: reducedMotion() ? "step-end" : "ease-out" });
}
