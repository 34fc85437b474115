// All runs, one run, several side by side, and ablations.
"use strict";
(function (R) {
  const { h } = R;
  const ago = (time) => {
    const minutes = (Date.now() / 1000 - time) / 60;
    return !time ? "–" : minutes < 1 ? "now" : minutes < 90 ? `${Math.round(minutes)} min ago` : minutes < 2880 ? `${Math.round(minutes / 60)} h ago` : `${Math.round(minutes / 1440)} days ago`;
  };
  const marked = new Set();

  R.runsView = async function () {
    const { runs } = await R.load("runs");
    const compare = h("button", { type: "button", disabled: true, onclick: () => R.go(["compare", [...marked].join("+")]) }, "Compare");
    const told = () => { compare.disabled = marked.size < 2; compare.textContent = marked.size ? `Compare ${marked.size} runs` : "Compare: mark two or more"; };
    const box = (run) => run.kind === "ablation" ? "" : h("input", { type: "checkbox", id: "mark-" + run.slug, "aria-label": "mark " + run.name, checked: marked.has(run.slug),
      onchange: (event) => { event.target.checked ? marked.add(run.slug) : marked.delete(run.slug); told(); } });
    const head = ["mark", "run", "status", "step", "model", "data", "algorithm", "best on dev", "curve", "changed"];
    const rows = [...runs].sort((a, b) => b.changed - a.changed).map((run) => [
      box(run), h("span", {}, R.link(run.kind === "ablation" ? ["runs", run.slug, "ablation"] : ["runs", run.slug], R.text(run.name)), run.problems.length ? h("span.badge.wrong", { title: run.problems.join("\n") }, "damaged files") : ""),
      R.badge(run.kind === "ablation" ? "ablation" : run.status, run.status === "running" ? true : undefined),
      run.step === undefined ? "" : run.steps ? `${run.step} of ${run.steps}` : String(run.step), run.model || "", run.data || "", run.algorithm || "",
      R.percent(run.best, 1), run.spark && run.spark.length ? R.spark(run.spark, run.spark_of) : "", ago(run.changed)]);
    told();
    const start = R.mode && R.mode.control ? R.link(["control"], "Start a run") : "";
    const node = runs.length ? [h("p", {}, compare, " ", start), R.table(head, rows, { numbers: [3, 7], caption: "Runs, the newest first" })]
      : h("p", {}, "There is no run here yet. A run appears as soon as it writes its first file; rl.view takes the folders of runs as arguments. ", start);
    return { title: "Runs", crumbs: [], node };
  };

  R.shade = (share) => share === null ? "" : `hsl(146 ${Math.round(18 + 30 * share)}% ${Math.round(94 - 62 * share)}%)`;
  R.stepBar = function (slug, bar, at) {
    const rewards = bar.map((cell) => cell.reward).filter((value) => value !== null);
    const [low, high] = [Math.min(...rewards, 0), Math.max(...rewards, 1e-9)];
    const focusable = at === undefined ? bar.length - 1 : bar.findIndex((cell) => cell.step === at);
    const label = (cell) => `step ${cell.step}, reward ${R.number(cell.reward)}${cell.alarms.length ? ", alarm: " + cell.alarms.join("; ") : ""}${cell.checkpoint ? ", checkpoint" : ""}${cell.samples ? "" : ", without samples"}`;
    const cells = bar.map((cell, n) => h("a" + (cell.alarms.length ? ".alarm" : "") + (cell.checkpoint ? ".kept" : "") + (cell.reward === null ? ".none" : ""), {
      href: R.address(["runs", slug, "steps", cell.step]), "aria-label": label(cell), title: label(cell), tabindex: n === focusable ? 0 : -1,
      style: { background: cell.reward === null ? "" : R.shade((cell.reward - low) / (high - low)) } }));
    const box = h("div.bar", { role: "navigation", "aria-label": "Steps; arrow keys move" }, cells);
    box.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: -1, ArrowRight: 1, Home: -1e6, End: 1e6 }[event.key], here = cells.indexOf(document.activeElement);
      if (!move || here < 0) return;
      const next = cells[Math.max(0, Math.min(cells.length - 1, here + move))];
      cells[here].tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
      event.preventDefault();
      event.stopPropagation();
    });
    return box;
  };

  R.runView = async function (slug) {
    const run = await R.load("runs/" + slug);
    if (run.missing || run.damaged) return run;
    const alarms = run.bar.filter((cell) => cell.alarms.length);
    const log = h("pre", { tabindex: 0, "aria-label": "log" }, "…");
    const details = h("details", { id: "log", ontoggle: async () => {
      if (!details.open) return;
      const found = await R.load(`runs/${slug}/log`);
      log.replaceChildren(R.text((found.whole ? "" : "… the beginning is left out\n") + found.text));
      log.scrollTop = log.scrollHeight;
    } }, h("summary", {}, "Log"), log);
    const stages = Object.entries(run.stages).map(([stage, found]) => [{ base: "base", sft: "before RL", rl: "after RL" }[stage] || stage, String(found.n), R.percent(found.ex_strict, 1), interval(found.ex_strict_ci), R.percent(found.ex_strict_sampled, 1), interval(found.ex_strict_sampled_ci)]);
    const node = [R.problems(run.problems),
      R.facts([["status", R.badge(run.status, run.status === "running" ? true : undefined)], ["step", run.steps ? `${run.step} of ${run.steps}` : String(run.step)], ["model", run.model], ["data", run.data], ["algorithm", run.algorithm], ["best on dev", R.percent(run.best, 1)]]),
      run.kind === "rl" && h("p", {}, R.link(["runs", slug, "questions"], "Questions over steps"), " · ", R.link(["runs", slug, "dev"], "Dev questions, before and after")),
      run.kind === "rl" && run.bar.length > 0 && [h("h2", {}, "Steps"), h("p.small", {}, "A cell is a step, the darker the more reward; a red frame is an alarm, a dot a checkpoint. Open one to see its samples."), R.stepBar(slug, run.bar)],
      alarms.length > 0 && h("details", {}, h("summary", {}, `Alarms at ${alarms.length} steps`), h("ul", {}, alarms.slice(-100).map((cell) => h("li", {}, R.link(["runs", slug, "steps", cell.step], `step ${cell.step}`), ": ", R.text(cell.alarms.join("; ")))))),
      stages.length > 0 && [h("h2", {}, "Dev accuracy, all questions"), R.table(["stage", "questions", "greedy", "95 % interval", "sampled", "95 % interval"], stages, { numbers: [1, 2, 4], caption: "ex_strict" })],
      h("h2", {}, "Curves"), run.charts.length ? R.blocks(run.charts) : h("p", {}, "No step is done yet."),
      run.costs.length > 0 && [h("h2", {}, "What it took"), costs(run.costs)],
      h("h2", {}, "Settings"), settings(run.settings), h("h2", {}, "Log"), details];
    return { title: run.name, crumbs: [[null, run.name]], node: node.flat(Infinity).filter(Boolean), keys: { up: [] } };
  };
  function costs(list) {
    const planned = list.some(([, plan]) => plan !== null);
    const shown = list.map(([name, plan, value]) => [name, ...(planned ? [plan === null ? "" : R.number(plan)] : []), R.number(value)]);
    return R.table(["what", ...(planned ? ["planned"] : []), "measured"], shown, { numbers: [1, 2] });
  }
  const interval = (pair) => (pair ? `${(100 * pair[0]).toFixed(1)} … ${(100 * pair[1]).toFixed(1)}` : "");

  function settings(list) {
    const changed = list.filter(([, , other]) => other !== null);
    const rows = (some) => some.map(([key, value, other]) => [key, R.value(value), other === null ? "" : R.value(other)]);
    return [changed.length ? R.table(["setting", "value", "default"], rows(changed), { caption: "Not as by default" }) : h("p", {}, "All as by default."),
      h("details", {}, h("summary", {}, `All ${list.length} settings`), R.table(["setting", "value", "default where it differs"], rows(list)))];
  }

  const DASHES = ["", "6 3", "2 3", "8 3 2 3"];
  R.compareView = async function (slugs) {
    const runs = await Promise.all(slugs.map((slug) => R.load("runs/" + encodeURIComponent(slug))));
    const lost = runs.find((run) => run.missing || run.damaged);
    if (lost) return lost;
    const kinds = new Set(runs.map((run) => `${run.kind} on ${run.data}`));
    if (kinds.size > 1) return { title: "Not comparable", crumbs: [[null, "compare"]], node: h("div.problems", {}, `Runs are compared on one benchmark and of one kind only; these are ${[...kinds].join(" and ")}.`) };
    const titles = runs[0].charts.filter((chart) => !chart.lanes).map((chart) => chart.title);
    const charts = titles.map((title) => merged(title, runs)).filter((chart) => chart.series.length);
    const keys = [...new Set(runs.flatMap((run) => run.settings.map(([key]) => key)))];
    const value = (run, key) => { const found = run.settings.find(([name]) => name === key); return found ? R.value(found[1]) : "–"; };
    const differ = keys.filter((key) => !/^run\.(name|dir|overwrite)$/.test(key) && new Set(runs.map((run) => value(run, key))).size > 1);
    const names = runs.map((run) => run.name);
    return { title: "Compare " + names.join(", "), crumbs: [[null, "compare"]], keys: { up: [] }, node: [
      R.table(["run", "status", "step", "best on dev"], runs.map((run) => [R.link(["runs", run.slug], R.text(run.name)), run.status, String(run.step), R.percent(run.best, 1)]), { numbers: [2, 3] }),
      h("h2", {}, "Settings that differ"), differ.length ? R.table(["setting", ...names], differ.map((key) => [key, ...runs.map((run) => value(run, key))])) : h("p", {}, "None, but for names and places."),
      h("h2", {}, "Curves"), h("p.small", {}, "A colour is a run; where a chart has several lines, the first is whole and the others are dashed."), R.blocks(charts)].flat() };
  };
  function merged(title, runs) {
    const first = runs[0].charts.find((chart) => chart.title === title);
    const series = runs.flatMap((run, n) => {
      const chart = run.charts.find((one) => one.title === title);
      return chart ? chart.series.slice(0, 4).map((one, place) => ({ ...one, band: undefined, name: `${run.name}: ${one.name}`, colour: R.colour("run", n), dash: DASHES[place] })) : [];
    });
    return { ...first, stack: false, series };
  }

  R.ablationView = async function (slug) {
    const found = await R.load(`runs/${slug}/ablation`);
    if (found.missing || found.damaged) return found;
    return { title: found.name, crumbs: [[null, found.name]], keys: { up: [] }, node: [R.problems(found.problems), h("p", {}, R.text(found.about)), ...R.blocks(found.blocks)].filter(Boolean) };
  };
})(window.rollsql);
