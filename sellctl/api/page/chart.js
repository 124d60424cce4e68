// The chart of one open position: its price since the process started, with entry, stop and target. The style sheet
// gives it its colours, so that it follows light and dark.

import { clock, dollars, name } from "./format.js";

const HEIGHT = 220;
const LEFT = 6;
const RIGHT = 116; // room for the labels of the levels
const TOP = 12;
const BOTTOM = 26;
const LABEL_HEIGHT = 16;
const MARGIN = 0.06; // of the range of prices, above and below

const node = (tag, attributes, text = "") => {
  const it = document.createElementNS("http://www.w3.org/2000/svg", tag);
  Object.entries(attributes).forEach(([key, value]) => it.setAttribute(key, value));
  it.textContent = text;
  return it;
};

// Draws `prices`, of which those that are unknown are gaps, and `levels` into an SVG element of this width.
export const drawChart = (svg, width, title, prices, levels) => {
  const points = prices.map((it) => [Date.parse(it.at), it.price === null ? null : Number(it.price)]);
  const known = points.filter(([, price]) => price !== null);
  const heights = [...known.map(([, price]) => price), ...levels.map((it) => Number(it.price))];
  const [low, high] = [Math.min(...heights), Math.max(...heights)];
  const margin = (high - low || Math.abs(high) || 1) * MARGIN;
  const [first, last] = [points[0][0], points.at(-1)[0]];
  const across = (at) => LEFT + ((at - first) / (last - first || 1)) * (width - LEFT - RIGHT);
  const down = (price) => TOP + ((high + margin - price) / (high - low + 2 * margin)) * (HEIGHT - TOP - BOTTOM);
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  svg.replaceChildren(
    node("title", {}, title),
    ...levels.map((it) => line(it.name, LEFT, width - RIGHT, down(Number(it.price)))),
    node("path", { class: "price", d: pathOf(points.map(([at, price]) => [across(at), price === null ? null : down(price)])) }),
    node("circle", { class: "price", r: 3, cx: across(known.at(-1)[0]), cy: down(known.at(-1)[1]) }),
    ...labels(levels, known.at(-1)[1], down).map((it) => node("text", { class: it.style, x: width - RIGHT + 8, y: it.y }, it.text)),
    node("text", { class: "axis", x: LEFT, y: HEIGHT - 6 }, clock(first)),
    node("text", { class: "axis", x: width - RIGHT, y: HEIGHT - 6, "text-anchor": "end" }, clock(last)),
  );
};

const styleOf = (level) => (level === "entry" ? "entry" : ["take_profit", "roi_table", "scale_out"].includes(level) ? "target" : "stop");

const line = (level, x1, x2, y) => node("line", { class: `level ${styleOf(level)}`, x1, x2, y1: y, y2: y });

const pathOf = (points) => {
  let gap = true;
  return points.map(([x, y]) => {
    if (y === null) { gap = true; return ""; }
    const step = `${gap ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
    gap = false;
    return step;
  }).join("");
};

// The labels beside the levels and the last price, moved apart so that none covers another.
const labels = (levels, now, down) => {
  const wanted = [
    ...levels.map((it) => ({ style: styleOf(it.name), text: `${name(it.name)} ${dollars(it.price)}`, y: down(Number(it.price)) + 4 })),
    { style: "price", text: `now ${dollars(String(now))}`, y: down(now) + 4 },
  ].sort((one, other) => one.y - other.y);
  let free = TOP;
  for (const it of wanted) { it.y = Math.max(it.y, free); free = it.y + LABEL_HEIGHT; }
  let lowest = HEIGHT - BOTTOM + 8;
  for (const it of wanted.toReversed()) { it.y = Math.min(it.y, lowest); lowest = it.y - LABEL_HEIGHT; }
  return wanted;
};
