// Elements whose texts come from strangers: text is only ever set as text.

const SVG = "http://www.w3.org/2000/svg";

export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

export function shape(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== false && value !== null) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.map((child) => (child instanceof Node ? child : document.createTextNode(String(child)))));
  return made;
}

// A cell as JSON has it: {"hex"}, {"real"} and {"integer"} stand for what JSON cannot hold.
export function cellText(cell) {
  if (cell === null) return "NULL";
  if (typeof cell !== "object") return String(cell);
  if ("hex" in cell) return `<${cell.hex.length / 2} bytes>`;
  return cell.real ?? cell.integer;
}

export const isNumber = (cell) => typeof cell === "number" || (cell !== null && typeof cell === "object" && "integer" in cell);
