// One question with its answers: queries by clause, rows side by side, tokens, prompt, schema.
"use strict";
(function (R) {
  const { h, s } = R;

  R.groupView = async function (run, step, number) {
    const page = await R.load(`runs/${run}/steps/${step}/groups/${number}`);
    if (page.missing || page.damaged) return page;
    const at = (n) => ["runs", run, "steps", step, "groups", n];
    return {
      title: page.question || "(no text)",
      crumbs: [[["runs", run], run], [["runs", run, "steps", step], `step ${step}`], [null, `group ${number + 1} of ${page.groups}`]],
      keys: { before: number > 0 ? at(number - 1) : undefined, after: number + 1 < page.groups ? at(number + 1) : undefined, up: ["runs", run, "steps", step] },
      node: [h("p", {}, R.link(["runs", run, "questions", ...page.first], "This question over all steps")), ...body(page, `runs/${run}/steps/${step}/groups/${number}`)],
    };
  };
  R.devQuestionView = async function (run, number) {
    const page = await R.load(`runs/${run}/dev/${number}`);
    if (page.missing || page.damaged) return page;
    const at = (n) => ["runs", run, "dev", n];
    return {
      title: page.question || "(no text)", crumbs: [[["runs", run], run], [["runs", run, "dev"], "dev"], [null, page.id]],
      keys: { before: number > 0 ? at(number - 1) : undefined, after: number + 1 < page.groups ? at(number + 1) : undefined, up: ["runs", run, "dev"] },
      node: body(page, `runs/${run}/dev/${number}`),
    };
  };

  function body(page, address) {
    const firstWrong = page.answers.findIndex((answer) => !answer.right);
    const shown = h("div", { id: "answer" });
    const name = (answer) => `${answer.stage ? answer.stage + ": " : answer.count + " × "}${answer.verdict}`;
    let schema = null, chosen = Math.max(0, firstWrong);
    const buttons = page.answers.map((answer, n) => h("button" + (answer.right ? ".right" : ".wrong"), { type: "button", id: `answer-${n}`, "aria-pressed": "false", onclick: () => pick(n) }, (answer.right ? "✓ " : "✗ ") + name(answer)));
    function pick(n) {
      chosen = n;
      buttons.forEach((button, m) => button.setAttribute("aria-pressed", String(m === n)));
      shown.replaceChildren(...answerParts(page.answers[n], n, address));
      if (schema) schema.light(n);
    }
    const graph = h("div", {}, h("p", {}, "…"));
    const details = h("details", { id: "schema", open: true }, h("summary", {}, "Schema: what the question is linked to, and what gold and answer use"), graph);
    R.load(address + "/schema").then((found) => {
      if (found.why_not || found.missing) return graph.replaceChildren(h("p.small", {}, R.text(found.why_not || found.missing)));
      schema = R.schemaPicture(found);
      graph.replaceChildren(schema.node);
      schema.light(chosen);
    });
    if (buttons.length) pick(chosen);
    return [
      R.facts([["database", page.database], ["kind", page.hardness || "–"], ["tables in gold", String(page.tables)], page.count !== undefined && ["right", `${page.right} of ${page.count}`]].filter(Boolean)),
      h("h2", {}, "Gold"), h("code.sql", {}, R.text(page.gold)),
      h("h2", {}, page.dev ? "Answers of each stage" : "Answers, equal ones together"),
      h("div.answers", { role: "group", "aria-label": "Answers" }, buttons), page.left_out ? h("p.small", {}, `${page.left_out} further answers are left out.`) : "", shown, details,
      page.prompt ? h("details", { id: "prompt" }, h("summary", {}, "Prompt"), h("pre", { tabindex: 0, "aria-label": "prompt" }, R.text(page.prompt))) : "",
    ];
  }

  function answerParts(answer, n, address) {
    const rows = h("div", {}, h("p", {}, "Executing gold and answer again …"));
    R.load(`${address}/rows/${n}`).then((found) => rows.replaceChildren(...rowsParts(found)));
    const facts = [["verdict", R.badge(answer.verdict, answer.right)], answer.reward !== undefined && ["reward", R.number(answer.reward)], answer.advantage !== undefined && ["advantage", R.number(answer.advantage)],
      ...Object.entries(answer.parts).map(([part, value]) => [part, R.number(value)]), answer.samples && ["samples", answer.samples.join(", ")],
      answer.policy_step !== undefined && answer.policy_step !== null && ["sampled by policy", String(answer.policy_step)], answer.ended && ["ended by", answer.ended], answer.sampled !== undefined && answer.sampled !== null && ["right when sampled", R.percent(answer.sampled)]].filter(Boolean);
    return [R.facts(facts), answer.error ? h("div.note", {}, R.text(answer.error)) : "", ...(answer.before && answer.before.length ? [h("h3", {}, "Earlier turns"), h("ol", {}, answer.before.map((sql) => h("li", {}, h("code.sql", {}, R.text(sql)))))] : []),
      h("h3", {}, "By clause"), answer.sql ? R.diff(answer.diff) : h("p", {}, "There is no SQL in this answer."),
      h("h3", {}, "Rows"), rows, answer.tokens.length ? [h("h3", {}, "Tokens"), tokenStrip(answer.tokens)] : ""].flat();
  }

  const cell = ([kind, text]) => (kind === "n" ? h("span.null", {}, "NULL") : R.text(text));
  function rowsParts(found) {
    if (found.missing || found.why_not) return [h("p.small", {}, R.text(found.missing || found.why_not))];
    const said = found.error ? `The answer did not run: ${found.error}` : found.right ? "The rows are the same answer." :
      found.differ === 0 ? "The rows are the same, but this is not the same answer: columns or their order differ." : found.differ === 1 ? "One row differs." : `${found.differ.toLocaleString("en")} rows differ.`;
    const wide = found.gold_columns.length, other = found.answer_columns.length;
    const side = (row, width, edge) => [...Array(Math.max(1, width)).keys()].map((n) => h("td" + (n === 0 && edge ? ".edge" : ""), {}, row && row[n] ? cell(row[n]) : ""));
    const mark = (line) => (line[2] || found.right ? "=" : line[0] && line[1] ? "≠" : line[0] ? "only gold" : "only answer");
    const lines = found.lines.map((line) => h("tr" + (line[2] || found.right ? "" : line[0] ? ".differ" : ".extra"), {}, h("td.mark", {}, mark(line)), side(line[0], wide), other ? side(line[1], other, true) : ""));
    const rows = (count) => `${count.toLocaleString("en")} row${count === 1 ? "" : "s"}`;
    const head = h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "line"), h("th", { scope: "colgroup", colspan: Math.max(1, wide) }, `gold, ${rows(found.gold_rows)}`), other ? h("th.edge", { scope: "colgroup", colspan: other }, `answer, ${rows(found.answer_rows)}`) : ""),
      h("tr", {}, h("td", {}, ""), found.gold_columns.map((name) => h("th", { scope: "col" }, R.text(name))), found.answer_columns.map((name, n) => h("th" + (n ? "" : ".edge"), { scope: "col" }, R.text(name)))));
    const cut = found.lines.length < Math.max(found.gold_rows, found.answer_rows) ? h("p.small", {}, `${found.lines.length} lines are shown, those that differ first of all.`) : "";
    return [h("p", { role: "status" }, R.text(said), " ", h("span.small", {}, `Executed again: ${found.verdict}.`)), cut,
      lines.length ? h("div.scroll", { tabindex: 0, role: "group", "aria-label": "rows of gold and answer" }, h("table.rows", {}, head, h("tbody", {}, lines))) : h("p.small", {}, "Neither has a row.")];
  }

  // The likelier a token, the paler; arrow keys read one after the other.
  function tokenStrip(tokens) {
    const readout = h("p.readout", { "aria-live": "polite" }, "Darker tokens were less likely. Arrow keys or a pointer read them.");
    const shade = (logProb) => (logProb === null ? "" : `hsl(24 80% ${Math.round(96 - 36 * Math.min(1, -logProb / 3))}%)`);
    const said = (value) => (value === null ? "not kept" : `${value.toFixed(3)} (${(100 * Math.exp(value)).toFixed(1)} %)`);
    let at = -1;
    const spans = tokens.map(([text, engine], n) => h("span", { style: { background: shade(engine) }, onpointerenter: () => read(n) }, text === "" ? "·" : text));
    function read(n) {
      if (at >= 0) spans[at].className = "";
      at = Math.max(0, Math.min(spans.length - 1, n));
      spans[at].className = "at";
      const [text, engine, learner] = tokens[at];
      readout.textContent = `token ${at + 1} of ${tokens.length}, ${JSON.stringify(R.plain(text))}: log-probability of the engine ${said(engine)}, of the learner ${said(learner)}`;
    }
    const strip = h("code.strip", { tabindex: 0, role: "group", "aria-label": "tokens of the answer", onkeydown: (event) => {
      const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (move) { read(at + move); event.preventDefault(); event.stopPropagation(); }
    } }, spans);
    return h("div", {}, h("div", {}, strip), readout);
  }

  const WIDTH = 200, LINE = 17, GAP = 70;
  R.schemaPicture = function (found) {
    const { tables, joins, name, left_out } = found.picture, boxes = new Map();
    const left = (table) => 10 + table.x * (WIDTH + GAP), top = (table) => 10 + table.y * LINE;
    const row = (table, column) => { const n = table.columns.findIndex((one) => one.name === column); return top(table) + (n < 0 ? 0.5 : n + 1.7) * LINE; };
    const by = new Map(tables.map((table) => [table.name, table]));
    const width = Math.max(...tables.map((table) => left(table))) + WIDTH + 50, height = Math.max(...tables.map((table) => top(table) + (table.columns.length + (table.left_out ? 1 : 0) + 1.5) * LINE)) + 10;
    const svg = s("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": spokenSchema(found) });
    for (const join of joins) {
      const [a, b] = [by.get(join.from[0]), by.get(join.to[0])];
      const ys = [row(a, join.from[1]), row(b, join.to[1])];
      const d = a.x === b.x ? `M${left(a) + WIDTH} ${ys[0]} c40 0 40 ${ys[1] - ys[0]} 0 ${ys[1] - ys[0]}` : curve(a.x < b.x ? left(a) + WIDTH : left(a), ys[0], a.x < b.x ? left(b) : left(b) + WIDTH, ys[1]);
      svg.append(s("path", { d, class: `join${join.inferred ? " inferred" : ""}${join.on_path ? " path" : ""}` }, s("title", {}, `${join.from[0]}.${join.from.slice(1)} = ${join.to[0]}.${join.to.slice(1)}, ${join.inferred ? "inferred" : "declared"}`)));
    }
    for (const table of tables) {
      const cut = (text) => (text.length > 26 ? text.slice(0, 25) + "…" : text);
      const lines = table.columns.map((column, n) => s("text", { x: left(table) + 10, y: top(table) + (n + 2) * LINE + 2, class: column.linked ? "linked" : "" }, (column.key ? "◆ " : "") + cut(column.name), s("title", {}, `${column.name} ${column.type}`)));
      if (table.left_out) lines.push(s("text", { x: left(table) + 10, y: top(table) + (table.columns.length + 2) * LINE + 2 }, `… ${table.left_out} more`));
      const box = s("g", { class: "box" + (table.linked ? " linked" : "") },
        s("rect", { x: left(table), y: top(table), width: WIDTH, height: (lines.length + 1.5) * LINE, rx: 5 }), s("rect", { class: "head", x: left(table), y: top(table), width: WIDTH, height: 1.3 * LINE, rx: 5 }),
        s("text", { x: left(table) + 10, y: top(table) + LINE - 1, class: "name" }, cut(table.name) + (table.view ? " (view)" : "")), lines);
      boxes.set(table.name, box);
      svg.append(box);
    }
    const uses = h("p.small", { role: "status" });
    function light(n) {
      const gold = new Set(found.gold.tables), answer = new Set((found.answers[n] || { tables: [] }).tables);
      for (const [table, box] of boxes) { box.classList.toggle("gold", gold.has(table)); box.classList.toggle("answer", answer.has(table)); }
      const only = [...gold].filter((one) => !answer.has(one)), more = [...answer].filter((one) => !gold.has(one));
      uses.replaceChildren(`Gold uses ${[...gold].map(R.plain).join(", ") || "no table"}; the answer ` + (!only.length && !more.length ? "uses the same." : [only.length && `lacks ${only.map(R.plain).join(", ")}`, more.length && `has ${more.map(R.plain).join(", ")} besides`].filter(Boolean).join(" and ") + "."));
    }
    const legend = h("p.small", {}, "A diamond is a key. Blue frame: linked to the question; blue names: linked columns. Green head: gold uses the table; yellow: the answer does. Lines are joins, dashed where they are inferred, red on a shortest path between the tables that the question names.");
    return { light, node: h("div", {}, h("p", {}, R.text(name), left_out ? `, ${left_out} tables are left out` : ""), uses, h("div.scroll", { tabindex: 0, role: "group", "aria-label": "schema graph" }, svg), legend) };
  };
  const curve = (x1, y1, x2, y2) => `M${x1} ${y1} C${(x1 + x2) / 2} ${y1} ${(x1 + x2) / 2} ${y2} ${x2} ${y2}`;
  const spokenSchema = ({ picture }) => `Tables: ${picture.tables.map((table) => table.name + (table.linked ? " (linked)" : "")).join(", ")}. Joins: ${picture.joins.map((join) => `${join.from.join(".")} to ${join.to.join(".")}`).join(", ") || "none"}.`;
})(window.rollsql);
