// The parts that pages and reports are made of: charts, tables, facts, and queries side by side.
"use strict";
(function (R) {
  const { h } = R;
  const words = (list, side) => list.map(([before, text, kind, same]) =>
    [before, same ? h("span." + kind, {}, text) : h((side === "gold" ? "del." : "ins.") + kind, {}, text)]);

  // Clauses of gold and answer: what the answer lacks is struck, what it has instead is underlined.
  R.diff = function (clauses, names = ["gold", "answer"]) {
    const side = (clause, which) => h("td", {}, h("code.sql", {}, words(clause[which], which)));
    return h("div.scroll", { tabindex: 0, role: "group", "aria-label": "queries by clause" },
      h("table.diff", {},
        h("thead", {}, h("tr", {}, ["clause", ...names].map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", {}, clauses.map((clause) => h("tr", {}, h("th", { scope: "row" }, clause.name), side(clause, "gold"), side(clause, "answer"))))));
  };
  R.facts = (items) => h("dl.facts", {}, items.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value instanceof Node ? value : R.text(value)))));
  R.problems = (list) => list && list.length ? h("div.problems", { role: "status" }, h("strong", {}, "Not all of this run could be read"), h("ul", {}, list.map((one) => h("li", {}, R.text(one))))) : null;
  R.badge = (text, right) => h("span.badge" + (right === true ? ".right" : right === false ? ".wrong" : ""), {}, text);

  R.block = function (block) {
    switch (block.kind) {
      case "chart": return R.chart(block);
      case "dots": return R.dots(block);
      case "heading": return h("h2", {}, block.text);
      case "text": return h("p", {}, R.text(block.text));
      case "facts": return R.facts(block.items);
      case "table": return R.table(block.head, block.rows, { caption: block.caption, numbers: block.numbers || [] });
      case "diffs": return h("div", {}, block.items.map((item) => h("section.example", {}, h("h3", {}, R.text(item.question)), h("p.small", {}, R.text(item.said)),
        item.diffs.map(([name, clauses]) => [h("p.small", {}, name), R.diff(clauses)]))));
      default: return null;
    }
  };
  // Charts that follow each other share a grid.
  R.blocks = function (blocks) {
    const found = [];
    for (const block of blocks) {
      const node = R.block(block);
      if (block.kind !== "chart" && block.kind !== "dots") found.push(node);
      else if (found.length && found[found.length - 1].className === "charts") found[found.length - 1].append(node);
      else found.push(h("div.charts", {}, node));
    }
    return found;
  };
})(window.rollsql);
