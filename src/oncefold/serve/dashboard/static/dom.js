// Making elements. Text only ever becomes text: nothing here, or anywhere in the page, parses markup.

const SVG = "http://www.w3.org/2000/svg";

export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

export function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props)) set(element, name, value);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// `on...` listens, `.name` sets a property, everything else is an attribute; null, undefined and false leave it out.
export function set(element, name, value) {
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name.startsWith(".")) element[name.slice(1)] = value;
  else if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value === true ? "" : value);
}

// Sets a text only where it is another: the document is not touched for what did not change.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export const many = (number, one, more = `${one}s`) => `${grouped(number)} ${number === 1 ? one : more}`;

// A whole number for reading inside a sentence.
export const grouped = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, ",");

export const reducedMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
