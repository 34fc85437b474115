// A picture of rows, chosen by what the columns hold: {kind, x, y}. Data decides, never code from a model.

import { cellText, isNumber, shape } from "./dom.js";

const WIDTH = 640, HEIGHT = 300, LEFT = 64, BOTTOM = 64, TOP = 16, RIGHT = 16;
const MOST_BARS = 60, MOST_POINTS = 1000;
const DATE = /^\d{4}(-\d\d(-\d\d.*)?)?$/;

export function columnKinds(columns, rows) {
  return columns.map((_, place) => {
    const cells = rows.map((row) => row[place]).filter((cell) => cell !== null);
    if (!cells.length) return "none";
    if (cells.every(isNumber)) return "number";
    return cells.every((cell) => typeof cell === "string" && DATE.test(cell)) ? "date" : "text";
  });
}

// The kinds of chart that these rows allow, the most fitting first.
export function choices(columns, rows) {
  if (rows.length < 2) return [];
  const kinds = columnKinds(columns, rows);
  const numbers = kinds.flatMap((kind, place) => (kind === "number" ? [place] : []));
  const named = kinds.findIndex((kind) => kind === "text" || kind === "date");
  const found = [];
  for (const y of numbers) {
    if (named >= 0 && kinds[named] === "date") found.push({ kind: "line", x: named, y });
    if (named >= 0 && rows.length <= MOST_BARS) found.push({ kind: "bar", x: named, y });
    for (const x of numbers) if (x < y && rows.length <= MOST_POINTS) found.push({ kind: "points", x, y });
  }
  return found;
}

export function title(choice, columns) {
  return `${{ bar: "Bars", line: "Line", points: "Points" }[choice.kind]}: ${columns[choice.y]} by ${columns[choice.x]}`;
}

export function draw(choice, columns, rows) {
  const points = rows.filter((row) => row[choice.y] !== null && (choice.kind !== "points" || row[choice.x] !== null))
    .map((row) => ({ label: cellText(row[choice.x]), x: Number(cellText(row[choice.x])), y: Number(cellText(row[choice.y])) }));
  if (choice.kind === "line") points.sort((a, b) => (a.label < b.label ? -1 : 1));
  const picture = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title(choice, columns) });
  if (!points.length) return picture;
  const values = points.map((point) => point.y);
  const up = scale(Math.min(choice.kind === "bar" ? 0 : Infinity, ...values), Math.max(choice.kind === "bar" ? 0 : -Infinity, ...values), HEIGHT - BOTTOM, TOP);
  for (const tick of up.ticks) {
    const y = up.at(tick);
    picture.append(
      shape("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y }),
      shape("text", { class: "soft", x: LEFT - 8, y: y + 4, "text-anchor": "end" }, short(tick)),
    );
  }
  ({ bar: bars, line: line, points: scatter })[choice.kind](picture, points, up);
  return picture;
}

function bars(picture, points, up) {
  const step = (WIDTH - LEFT - RIGHT) / points.length;
  points.forEach((point, place) => {
    const y = up.at(Math.max(point.y, 0)), height = Math.abs(up.at(point.y) - up.at(0));
    const bar = shape("rect", { class: "bar", x: LEFT + (place + 0.1) * step, width: step * 0.8, y, height });
    bar.append(shape("title", {}, `${point.label}: ${point.y}`));
    picture.append(bar);
  });
  labels(picture, points.map((point, place) => [LEFT + (place + 0.5) * step, point.label]));
}

function line(picture, points, up) {
  const step = (WIDTH - LEFT - RIGHT) / Math.max(1, points.length - 1);
  const places = points.map((point, place) => [LEFT + place * step, up.at(point.y)]);
  picture.append(shape("path", { class: "curve", d: "M" + places.map((place) => place.join(",")).join("L") }));
  labels(picture, points.map((point, place) => [LEFT + place * step, point.label]));
}

function scatter(picture, points, up) {
  const values = points.map((point) => point.x);
  const across = scale(Math.min(...values), Math.max(...values), LEFT + 8, WIDTH - RIGHT - 8);
  for (const point of points) {
    const dot = shape("circle", { class: "dot", cx: across.at(point.x), cy: up.at(point.y), r: 4 });
    dot.append(shape("title", {}, `${point.x}, ${point.y}`));
    picture.append(dot);
  }
  labels(picture, across.ticks.map((tick) => [across.at(tick), short(tick)]));
}

// As many labels as have room, slanted where they are long.
function labels(picture, wanted) {
  const every = Math.ceil(wanted.length / 16);
  const slanted = wanted.some(([, text]) => text.length * 7 > (WIDTH - LEFT - RIGHT) / Math.min(wanted.length, 16));
  wanted.forEach(([x, text], place) => {
    if (place % every) return;
    const y = HEIGHT - BOTTOM + 16;
    const turn = slanted ? { transform: `rotate(-35 ${x} ${y})`, "text-anchor": "end" } : { "text-anchor": "middle" };
    picture.append(shape("text", { class: "soft", x, y, ...turn }, text.length > 14 ? `${text.slice(0, 13)}…` : text));
  });
}

function scale(low, high, from, to) {
  if (low === high) [low, high] = [low - 1, high + 1];
  const size = 10 ** Math.floor(Math.log10((high - low) / 4));
  const step = [1, 2, 5, 10].map((factor) => factor * size).find((candidate) => (high - low) / candidate <= 5);
  const first = Math.floor(low / step) * step, last = Math.ceil(high / step) * step;
  const ticks = [];
  for (let tick = first; tick <= last + step / 2; tick += step) ticks.push(Number(tick.toPrecision(12)));
  return { ticks, at: (value) => from + ((value - first) / (last - first)) * (to - from) };
}

const short = (number) => new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 }).format(number);
