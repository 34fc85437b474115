// The schema as a picture: joined tables in neighbouring columns, what a question is about lit.

import { shape } from "./dom.js";

const LINE = 18, HEAD = 26, WIDTH = 190, GAP_X = 90, GAP_Y = 22, MOST_LINES = 12;

export function draw(schema) {
  const boxes = new Map(schema.tables.map((table) => [table.name, { table, lines: lines(table) }]));
  const joined = schema.joins.filter((join) => boxes.has(join.from[0]) && boxes.has(join.to[0]));
  place(boxes, joined);
  const all = [...boxes.values()];
  const width = Math.max(WIDTH, ...all.map((box) => box.x + WIDTH)) + 20;
  const height = Math.max(HEAD, ...all.map((box) => box.y + box.height)) + 20;
  const picture = shape("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": described(schema) });
  picture.append(...joined.map((join) => line(boxes.get(join.from[0]), boxes.get(join.to[0]), join)), ...all.map(box));
  return picture;
}

function lines(table) {
  const shown = [...table.columns].sort((a, b) => (b.linked || b.key) - (a.linked || a.key)).slice(0, MOST_LINES);
  const found = table.columns.filter((column) => shown.includes(column))
    .map((column) => ({ text: column.name, key: column.key, type: column.type, linked: column.linked }));
  const hidden = table.columns.length - shown.length + table.left_out;
  return hidden ? [...found, { text: `… ${hidden} more`, type: "", linked: false }] : found;
}

// Each connected part spreads in columns from its most joined table.
function place(boxes, joins) {
  const near = new Map([...boxes.keys()].map((name) => [name, new Set()]));
  for (const join of joins) if (join.from[0] !== join.to[0]) {
    near.get(join.from[0]).add(join.to[0]);
    near.get(join.to[0]).add(join.from[0]);
  }
  const waiting = [...boxes.keys()].sort((a, b) => near.get(b).size - near.get(a).size);
  const seen = new Set();
  let left = 0;
  const columns = [];
  for (const hub of waiting) {
    if (seen.has(hub)) continue;
    let layer = [hub];
    seen.add(hub);
    const alone = !near.get(hub).size;
    while (layer.length) {
      if (alone && columns.length && columns.at(-1).alone && columns.at(-1).height < 400) columns.at(-1).add(boxes.get(hub));
      else for (const part of split(layer, boxes)) columns.push(column(part.map((name) => boxes.get(name)), alone));
      const next = layer.flatMap((name) => [...near.get(name)]).filter((name) => !seen.has(name));
      layer = [...new Set(next)];
      layer.forEach((name) => seen.add(name));
    }
  }
  const tallest = Math.max(0, ...columns.map((one) => one.height));
  for (const one of columns) {
    let top = 10 + (one.alone ? 0 : (tallest - one.height) / 2);
    for (const box of one.boxes) {
      Object.assign(box, { x: 10 + left, y: top, height: height(box) });
      top += height(box) + GAP_Y;
    }
    left += WIDTH + GAP_X;
  }
}

function column(boxes, alone) {
  const made = { boxes: [], alone, height: 0, add(box) { this.boxes.push(box); this.height += height(box) + GAP_Y; } };
  boxes.forEach((box) => made.add(box));
  return made;
}

function split(layer, boxes) {
  const parts = [[]];
  let filled = 0;
  for (const name of layer) {
    if (filled > 640) { parts.push([]); filled = 0; }
    parts.at(-1).push(name);
    filled += height(boxes.get(name)) + GAP_Y;
  }
  return parts;
}

const height = (box) => HEAD + box.lines.length * LINE + 8;

function box({ table, lines: shown, x, y, height: tall }) {
  const lit = table.linked ? " linked" : "";
  const group = shape("g", { transform: `translate(${x} ${y})` });
  group.append(
    shape("title", {}, table.name),
    shape("rect", { class: "box" + lit, width: WIDTH, height: tall, rx: 6 }),
    shape("rect", { class: "head" + lit, x: 1, y: 1, width: WIDTH - 2, height: HEAD - 2, rx: 5 }),
    shape("text", { class: "title" + (lit && " linked-text"), x: 10, y: 18 }, cut(table.name, 21)),
  );
  shown.forEach((one, number) => {
    const at = HEAD + (number + 0.8) * LINE;
    const name = cut(one.text, 22);
    group.append(shape("text", { class: (one.linked ? "linked-text" : "") + (one.key ? " key" : ""), x: 10, y: at }, name));
    if (name.length < 16) group.append(shape("text", { class: "soft", x: WIDTH - 8, y: at, "text-anchor": "end" }, cut(one.type.toLowerCase(), 9)));
  });
  return group;
}

function line(from, to, join) {
  const style = `join${join.inferred ? " inferred" : ""}${join.on_path ? " path" : ""}`;
  const y1 = from.y + height(from) / 2, y2 = to.y + height(to) / 2;
  let path;
  if (from === to) path = `M${from.x + WIDTH},${y1 - 8}c40,-20 40,40 0,20`;
  else if (from.x === to.x) path = `M${from.x + WIDTH},${y1}C${from.x + WIDTH + 45},${y1} ${to.x + WIDTH + 45},${y2} ${to.x + WIDTH},${y2}`;
  else {
    const [a, b] = from.x < to.x ? [from.x + WIDTH, to.x] : [from.x, to.x + WIDTH];
    path = `M${a},${y1}C${(a + b) / 2},${y1} ${(a + b) / 2},${y2} ${b},${y2}`;
  }
  return shape("path", { class: style, d: path }, shape("title", {}, `${join.from.join(".")} = ${join.to.join(".")}`));
}

function described(schema) {
  const linked = schema.tables.filter((table) => table.linked).map((table) => table.name);
  return `${schema.tables.length} tables of ${schema.database}` + (linked.length ? `; linked: ${linked.join(", ")}` : "");
}

const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
