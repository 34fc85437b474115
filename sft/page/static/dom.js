// Elements from names and text. What a run holds gets into a page as text only: nothing here takes markup.
"use strict";
window.rollsql = window.rollsql || {};
(function (R) {
  const SVG = "http://www.w3.org/2000/svg";
  const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

  // Characters that are not seen, or turn the text around them, are written out.
  R.plain = (text) =>
    String(text).replace(HIDDEN, (c) => "⟨U+" + c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0") + "⟩");

  function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (name === "style") Object.assign(element.style, value);
      else element.setAttribute(name, value === true ? "" : R.plain(value));
    }
    for (const child of children.flat(Infinity)) {
      if (child === null || child === undefined || child === false) continue;
      element.append(child instanceof Node ? child : document.createTextNode(R.plain(child)));
    }
    return element;
  }

  // h("p.small", {title: "…"}, "text", node, [nodes])
  R.h = function (name, attributes, ...children) {
    const [tag, ...classes] = name.split(".");
    const element = document.createElement(tag);
    if (classes.length) element.className = classes.join(" ");
    return fill(element, attributes, children);
  };
  R.s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
  R.text = (text) => R.h("bdi", {}, text === null || text === undefined ? "" : text);
  R.link = (parts, ...children) => R.h("a", { href: R.address(parts) }, ...children);
  R.address = (parts) => "#/" + parts.map((part) => encodeURIComponent(part)).join("/");

  R.percent = (share, digits = 0) => (share === null || share === undefined ? "–" : (100 * share).toFixed(digits) + " %");
  R.number = function (value) {
    if (value === null || value === undefined || !isFinite(value)) return "–";
    if (Number.isInteger(value)) return value.toLocaleString("en");
    const size = Math.abs(value);
    return size >= 100 ? value.toFixed(0) : size >= 1 ? value.toFixed(2) : size >= 0.001 ? value.toFixed(4) : value.toExponential(1);
  };
  R.value = (value) => (value === null ? "" : typeof value === "string" ? value : JSON.stringify(value));

  // rows: lists of cells, which are text or nodes; numbers: columns that are aligned right.
  R.table = function (head, rows, { caption, numbers = [], classes = [] } = {}) {
    const cell = (tag, content, place, more) => R.h(tag + (numbers.includes(place) ? ".number" : ""), more, content);
    const table = R.h("table", {},
      caption && R.h("caption", {}, caption),
      R.h("thead", {}, R.h("tr", {}, head.map((name, place) => cell("th", name, place, { scope: "col" })))),
      R.h("tbody", {}, rows.map((row, n) => R.h("tr", { class: classes[n] },
        row.map((content, place) => cell("td", content instanceof Node ? content : R.text(content), place))))));
    return R.h("div.scroll", { tabindex: 0, role: "group", "aria-label": caption || head.filter(Boolean).join(", ") }, table);
  };
})(window.rollsql);
