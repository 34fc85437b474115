// A step's groups, the questions of a run over its steps, and dev questions before and after.
"use strict";
(function (R) {
  const { h } = R;
  const verdicts = (counts) => Object.entries(counts).map(([name, count]) => `${name} ${count}`).join(", ");
  const share = (row) => h("span.badge" + (row.right === row.count ? ".right" : row.right === 0 ? ".wrong" : ""), {}, `${row.right} of ${row.count}`);
  const history = (row, run) => R.spark((row.history || []).map((one) => one[1]), "share right over the steps");
  const indexing = (page) => page.indexed && page.indexed[0] < page.indexed[1]
    ? h("div.note", { role: "status" }, `Reading samples: ${page.indexed[0]} of ${page.indexed[1]} steps so far. `, h("button", { type: "button", onclick: () => R.show(true) }, "Read on")) : null;

  // Pages over all steps are asked for again until every step is read.
  async function whole(address) {
    let page = await R.load(address);
    for (let n = 0; n < 4 && page.indexed && page.indexed[0] < page.indexed[1] && performance.now() - begun(address) < 700; n++) page = await R.load(address);
    if (page.indexed && page.indexed[0] < page.indexed[1]) setTimeout(() => location.hash.endsWith(address) && R.show(true), 300);
    return page;
  }
  const times = new Map();
  const begun = (address) => { const now = performance.now(); if (now - (times.get(address) || 0) > 3000) times.set(address, now); return times.get(address); };

  // Kinds of questions come with the databases, which open behind the first page that needs them.
  function again(page) {
    const here = location.hash;
    if (page.opening) setTimeout(() => location.hash === here && !document.activeElement.closest(".filters") && R.show(true), 1500);
  }

  // Right answers of a step are tried on other rows when that is asked for: it executes each several times.
  const luck = new Map();
  function luckCheck(run, step, page) {
    const at = `runs/${run}/steps/${step}/luck`, found = luck.get(at), said = h("span.small", { role: "status" });
    if (found && found.lucky) {
      const groups = found.lucky.filter(([, count]) => count > 0);
      said.textContent = groups.length ? `${groups.reduce((sum, [, count]) => sum + count, 0)} right answers in ${groups.length} of ${page.groups.length} groups are wrong on the same schema with other rows: choose “some by luck” under Right answers.` : "Every right answer is right on the same schema with other rows, too.";
    } else if (found) said.textContent = R.plain(found.why_not || found.missing || found.damaged);
    const check = h("button", { type: "button", id: "luck", onclick: async () => {
      check.disabled = true;
      said.textContent = "Executing the right answers on other rows …";
      luck.set(at, await R.load(at));
      R.show(true);
    } }, "Check for luck");
    return h("p", {}, found ? "" : check, " ", said);
  }

  R.stepView = async function (run, step) {
    const page = await R.load(`runs/${run}/steps/${step}`);
    if (page.missing || page.damaged) return page;
    again(page);
    const counted = new Map((luck.get(`runs/${run}/steps/${step}/luck`) || {}).lucky || []);
    const rows = page.groups.map((row) => ({ ...row, step, lucky: counted.get(row.group) }));
    const past = page.before === null ? null : await R.load(`runs/${run}/steps/${page.before}`);
    const earlier = ((past && past.groups) || []).map((row) => ({ ...row, step: page.before }));
    const of = (n) => [`step ${n}`, (row) => (row.step === n ? R.share(row) : null)];
    const kinds = (kept) => earlier.length ? breakdowns([...kept, ...R.filtered(earlier)], [of(page.before), of(step)]) : "";
    const at = (n) => (n === null ? undefined : ["runs", run, "steps", n]);
    const summary = (kept) => h("p.small", {}, kept.length ? `Right: ${R.percent(kept.reduce((sum, row) => sum + row.right, 0) / kept.reduce((sum, row) => sum + row.count, 0), 1)} of their samples; with right and wrong answers: ${R.percent(kept.filter((row) => row.signal).length / kept.length)} of the groups.` : "No group passes the filters.");
    const cells = (row) => [R.link(["runs", run, "steps", step, "groups", row.group], R.text(short(row.question))), R.lucky(row) > 0 ? h("span", {}, share(row), " ", h("span.badge.wrong", {}, `${R.lucky(row)} by luck`)) : share(row), R.number(row.reward), verdicts(row.verdicts), row.signal ? "yes" : "no", row.database, row.hardness, String(row.tables), history(row)];
    return {
      title: `Step ${step}`, crumbs: [[["runs", run], run], [null, `step ${step}`]],
      keys: { before: at(page.before), after: at(page.after), up: ["runs", run] },
      node: [R.problems(page.problems), steps(page, run), luckCheck(run, step, page), indexing(page),
        ...R.filteredList(rows, ["question", "right", "reward", "verdicts", "teaches", "database", "kind", "tables", "over steps"], cells, { above: (kept) => h("div", {}, summary(kept), kinds(kept)), numbers: [2, 7], caption: "Groups" })].filter(Boolean),
    };
  };
  const short = (text, most = 160) => (text.length > most ? text.slice(0, most) + " …" : text || "(no text)");
  const steps = (page, run) => h("p", {}, page.before !== null && R.link(["runs", run, "steps", page.before], `← step ${page.before}`), " ", page.after !== null && R.link(["runs", run, "steps", page.after], `step ${page.after} →`));

  R.questionsView = async function (run) {
    const page = await whole(`runs/${run}/questions`);
    if (page.missing || page.damaged) return page;
    again(page);
    const cells = (row) => [R.link(["runs", run, "questions", ...row.first], R.text(short(row.question))), row.database, row.hardness, String(row.tables), String(row.history.length), R.percent(row.history[0] && row.history[0][1]), R.percent(R.share(row)), history(row)];
    return {
      title: "Questions over steps", crumbs: [[["runs", run], run], [null, "questions"]], keys: { up: ["runs", run] },
      node: [indexing(page), ...R.filteredList(page.questions, ["question", "database", "kind", "tables", "asked", "right at first", "right at last", "over steps"], cells, { numbers: [3, 4, 5, 6], caption: "Questions", above: (kept) => breakdowns(kept, [["at first", (row) => row.history.length ? row.history[0][1] : null], ["at last", R.share]]) })].filter(Boolean),
    };
  };

  R.questionView = async function (run, step, group) {
    const page = await whole(`runs/${run}/questions/${step}/${group}`);
    if (page.missing || page.damaged) return page;
    const chart = { title: "Right over steps", says: "Share of this question's samples that are right, each time that it was asked.", x: "step", y: "share of samples", percent: true, series: [{ name: "right", points: page.times.map((one) => [one.step, one.right / one.count]), dots: true }] };
    const answers = page.times.map((one) => h("section", {}, h("h3", {}, R.link(["runs", run, "steps", one.step, "groups", one.group], `Step ${one.step}`), " ", share(one)),
      R.table(["times", "verdict", "SQL"], one.answers.map((answer) => [String(answer.count), R.badge(answer.verdict, answer.right), h("code.sql", {}, R.text(answer.sql || "(no SQL)"))]), { numbers: [0] })));
    return {
      title: page.question || "(no text)", crumbs: [[["runs", run], run], [["runs", run, "questions"], "questions"], [null, page.id]],
      keys: { up: ["runs", run, "questions"] },
      node: [indexing(page), R.facts([["database", page.database], ["kind", page.hardness || "–"], ["id", page.id]]), h("h2", {}, "Gold"), h("code.sql", {}, R.text(page.gold)),
        page.times.length > 1 && h("div.charts", {}, R.chart(chart)), h("h2", {}, "Answers"), ...answers].filter(Boolean),
    };
  };

  // Shares by kind, tables and database; columns: [name, row -> share or null]
  function breakdowns(rows, columns) {
    const by = (name, read) => {
      const groups = new Map();
      for (const row of rows) { const key = read(row); if (key !== "") groups.set(key, [...(groups.get(key) || []), row]); }
      const mean = (some, value) => { const known = some.map(value).filter((one) => one !== null && one !== undefined); return known.length ? known.reduce((a, b) => a + b, 0) / known.length : null; };
      const lines = [...groups].map(([key, some]) => [key, some, columns.map(([, value]) => mean(some, value))]).sort((a, b) => (a[2][a[2].length - 1] || 0) - (b[2][b[2].length - 1] || 0));
      return groups.size > 1 && R.table([name, "questions", ...columns.map(([title]) => title)], lines.map(([key, some, means]) => [String(key), String(some.length), ...means.map((one) => R.percent(one, 1))]), { numbers: columns.map((_, n) => n + 2).concat(1), caption: "Right by " + name });
    };
    return h("details", { id: "breakdowns", open: rows.some((row) => row.stages) }, h("summary", {}, "Right by kind, tables and database"), h("div.charts", {}, by("kind", (row) => row.hardness), by("tables", (row) => (row.tables >= 3 ? "3 or more" : String(row.tables))), by("database", (row) => row.database)));
  }

  R.devView = async function (run) {
    const page = await R.load(`runs/${run}/dev`);
    if (page.missing || page.damaged) return page;
    again(page);
    const stages = ["base", "sft", "rl"].filter((stage) => page.rows.some((row) => row.stages[stage]));
    const names = { base: "base", sft: "before RL", rl: "after RL" };
    const at = (stage) => (row) => (row.stages[stage] ? R.badge(row.stages[stage].status, row.stages[stage].right) : "");
    const cells = (row) => [R.link(["runs", run, "dev", row.number], R.text(short(row.question))), ...stages.map((stage) => at(stage)(row)), row.database, row.hardness, String(row.tables)];
    const columns = stages.map((stage) => [names[stage], (row) => (row.stages[stage] ? +row.stages[stage].right : null)]);
    return {
      title: "Dev questions", crumbs: [[["runs", run], run], [null, "dev"]], keys: { up: ["runs", run] },
      node: page.rows.length ? [R.problems(page.problems), ...R.filteredList(page.rows, ["question", ...stages.map((stage) => names[stage]), "database", "kind", "tables"], cells, { above: (kept) => breakdowns(kept, columns), caption: "Greedy answers" })].filter(Boolean)
        : [R.problems(page.problems), h("p", {}, "This run has no dev evaluation yet.")].filter(Boolean),
    };
  };
})(window.rollsql);
