// Shapes as they are drawn: as SVG in the page, as a file of SVG, and on a canvas for a PNG. Elsewhere they are only described.

import { svg } from "./dom.js";

const elementOf = {
  line: ({ role, x1, x2, y1, y2 }, paint) => svg("line", { class: role, x1, x2, y1, y2, ...paint }),
  path: ({ role, d }, paint) => svg("path", { class: role, d, ...paint }),
  rect: ({ role, x, y, width, height }, paint) => svg("rect", { class: role, x, y, width, height, ...paint }),
  circle: ({ role, x, y, r }, paint) => svg("circle", { class: role, cx: x, cy: y, r, ...paint }),
  text: ({ role, x, y, size, anchor = "start", bold, words }, paint) => svg("text", { class: role, x, y, "font-size": size, "text-anchor": anchor, "font-weight": bold ? 600 : null, ...paint }, words),
};

export function drawShapes(element, shapes, width, height) {
  element.setAttribute("viewBox", `0 0 ${width} ${height}`);
  element.replaceChildren(...shapes.map((each) => elementOf[each.shape](each, {})));
}

// The colours of the page as it is: light or dark.
export function colours() {
  const style = getComputedStyle(document.documentElement), of = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    paper: of("card"), font: style.fontFamily,
    fill: { area: of("area"), end: of("stroke"), column: of("bar"), "column minus": of("minus-bar"), bar: of("bar"), "bar minus": of("minus-bar"), axis: of("soft"), words: of("ink"), soft: of("soft"), minus: of("minus") },
    stroke: { trace: of("stroke"), grid: of("line"), base: of("rule"), tick: of("rule"), cursor: of("rule") },
  };
}

const paintOf = (role, { fill, stroke }) => ({ fill: fill[role] ?? "none", stroke: stroke[role] ?? null, "stroke-width": stroke[role] ? (role === "trace" ? 1.5 : 1) : null });

export function svgFile(shapes, width, height) {
  const found = colours();
  const root = svg("svg", { xmlns: "http://www.w3.org/2000/svg", width, height, viewBox: `0 0 ${width} ${height}`, "font-family": found.font },
    svg("rect", { width, height, fill: found.paper }), ...shapes.map((each) => elementOf[each.shape](each, paintOf(each.role, found))));
  return new Blob(['<?xml version="1.0" encoding="UTF-8"?>\n', new XMLSerializer().serializeToString(root)], { type: "image/svg+xml" });
}

export async function pngFile(shapes, width, height) {
  const found = colours(), canvas = document.createElement("canvas"), context = canvas.getContext("2d");
  [canvas.width, canvas.height] = [width * 2, height * 2];
  context.scale(2, 2);
  context.fillStyle = found.paper;
  context.fillRect(0, 0, width, height);
  for (const each of shapes) paint(context, each, found);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

function paint(context, each, found) {
  const { fill, stroke, "stroke-width": wide } = paintOf(each.role, found);
  if (each.shape === "text") {
    context.font = `${each.bold ? 600 : 400} ${each.size}px ${found.font}`;
    context.textAlign = { start: "left", middle: "center", end: "right" }[each.anchor ?? "start"];
    context.fillStyle = fill;
    context.fillText(each.words, each.x, each.y);
    return;
  }
  const path = new Path2D(each.shape === "path" ? each.d : undefined);
  if (each.shape === "rect") path.rect(each.x, each.y, each.width, each.height);
  if (each.shape === "circle") path.arc(each.x, each.y, each.r, 0, 2 * Math.PI);
  if (each.shape === "line") path.moveTo(each.x1, each.y1);
  if (each.shape === "line") path.lineTo(each.x2, each.y2);
  if (fill !== "none") {
    context.fillStyle = fill;
    context.fill(path);
  }
  if (!stroke) return;
  context.strokeStyle = stroke;
  context.lineWidth = wide;
  context.stroke(path);
}
