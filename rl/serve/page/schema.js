// The schema as a picture: joined tables in neighbouring columns, what a question is about lit.

import { shape } from "./dom.js";

const LINE = 18, HEAD = 26, WIDTH = 190, GAP_X = 90;

export function draw(schema) {
  const boxes = new Map(schema.tables.map((table) => [table.name, placed(table)]));
  const all = [...boxes.values()];
  const width = Math.max(WIDTH, ...all.map((box) => box.x + WIDTH)) + 60;
  const height = Math.max(HEAD, ...all.map((box) => box.y + box.height)) + 20;
  const picture = shape("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": described(schema) });
  picture.append(...schema.joins.map((join) => line(boxes.get(join.from[0]), boxes.get(join.to[0]), join)), ...all.map(box));
  return picture;
}

// The server says in which column a table stands, and how many lines from above.
function placed(table) {
  const shown = table.left_out ? [...table.columns, { name: `… ${table.left_out} more`, type: "" }] : table.columns;
  return { table, shown, x: 10 + table.x * (WIDTH + GAP_X), y: 10 + table.y * LINE, height: HEAD + shown.length * LINE + 8 };
}

function box({ table, shown, x, y, height }) {
  const lit = table.linked ? " linked" : "";
  const group = shape("g", { transform: `translate(${x} ${y})` });
  group.append(
    shape("title", {}, table.name),
    shape("rect", { class: "box" + lit, width: WIDTH, height, rx: 6 }),
    shape("rect", { class: "head" + lit, x: 1, y: 1, width: WIDTH - 2, height: HEAD - 2, rx: 5 }),
    shape("text", { class: "title" + (lit && " linked-text"), x: 10, y: 18 }, cut(table.name, 21)),
  );
  shown.forEach((one, number) => {
    const at = HEAD + (number + 0.8) * LINE;
    const name = cut(one.name, 22);
    group.append(shape("text", { class: (one.linked ? "linked-text" : "") + (one.key ? " key" : ""), x: 10, y: at }, name));
    if (name.length < 16) group.append(shape("text", { class: "soft", x: WIDTH - 8, y: at, "text-anchor": "end" }, cut(one.type.toLowerCase(), 9)));
  });
  return group;
}

function line(from, to, join) {
  const style = `join${join.inferred ? " inferred" : ""}${join.on_path ? " path" : ""}`;
  const y1 = from.y + from.height / 2, y2 = to.y + to.height / 2;
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
