// One set of filters for steps, questions and dev questions; what is chosen stays from page to page.
"use strict";
(function (R) {
  const { h } = R;
  const chosen = (R.chosen = { text: "", verdict: "", signal: "", database: "", hardness: "", tables: "", luck: "", change: "", since: "", sort: "" });
  const share = (row) => (row.count ? row.right / row.count : row.history && row.history.length ? row.history[row.history.length - 1][1] : null);
  R.share = share;

  // How a question stood the last time that it was asked up to a step.
  function before(row, since) {
    const now = row.step === undefined ? Infinity : row.step;
    const past = (row.history || []).filter(([step]) => step <= since && step < now);
    return past.length ? past[past.length - 1][1] : null;
  }
  function later(row) {
    const history = row.history || [];
    const upTo = row.step === undefined ? history : history.filter(([step]) => step <= row.step);
    return upTo.length ? upTo[upTo.length - 1][1] : null;
  }
  const TESTS = {
    text: (row, value) => R.searched(row).includes(value.toLowerCase().replace(/\s+/g, " ")),
    verdict: (row, value) => Object.keys(row.verdicts || {}).includes(value) || Object.values(row.stages || {}).some((one) => one.status === value),
    signal: (row, value) => (row.count === undefined ? true : value === "signal" ? row.signal : value === "right" ? row.right === row.count : value === "wrong" ? row.right === 0 : !row.signal),
    luck: (row, value) => (value === "lucky" ? lucky(row) > 0 : value === "earned" ? row.right > 0 && lucky(row) === 0 : true),
    database: (row, value) => row.database === value,
    hardness: (row, value) => row.hardness === value,
    tables: (row, value) => (value === "3" ? row.tables >= 3 : String(row.tables) === value),
    change: (row, value) => {
      if (row.stages) return dev(row, value);
      const [old, now] = [before(row, chosen.since === "" ? Infinity : +chosen.since), later(row)];
      return old !== null && now !== null && (value === "fixed" ? now > old : value === "regressed" ? now < old : value === "never" ? now === 0 : now === 1);
    },
  };
  // Judged so in the run, or found so when its step was checked.
  const lucky = (row) => ((row.verdicts || {}).lucky || 0) + (row.lucky || 0);
  R.lucky = lucky;
  function dev(row, value) {
    const right = Object.values(row.stages).map((one) => one.right), [first, last] = [row.stages.sft ? row.stages.sft.right : right[0], right[right.length - 1]];
    return { fixed: !first && last, regressed: first && !last, never: !right.some(Boolean), always: first && last }[value];
  }
  R.searched = (row) => (row.search = row.search || [row.question, row.gold, row.database, row.id].filter(Boolean).join(" ").toLowerCase().replace(/\s+/g, " "));
  const SORTS = {
    "": null,
    worst: (a, b) => share(a) - share(b),
    best: (a, b) => share(b) - share(a),
    change: (a, b) => Math.abs(moved(b)) - Math.abs(moved(a)),
  };
  const moved = (row) => (row.history && row.history.length > 1 ? row.history[row.history.length - 1][1] - row.history[0][1] : 0);

  R.filtered = function (rows) {
    const kept = rows.filter((row) => Object.entries(TESTS).every(([name, test]) => chosen[name] === "" || test(row, chosen[name])));
    return SORTS[chosen.sort] ? [...kept].sort(SORTS[chosen.sort]) : kept;
  };

  const values = (rows, read) => [...new Set(rows.flatMap(read).filter((v) => v !== "" && v !== undefined))].sort();
  // rows: what there is to filter; changed: called after every choice.
  R.filterBar = function (rows, changed) {
    const select = (name, label, options) => {
      if (chosen[name] !== "" && !options.some(([value]) => value === chosen[name])) options.push([chosen[name], chosen[name]]);
      return h("label", {}, label, h("select", { id: "f-" + name, onchange: (event) => { chosen[name] = event.target.value; changed(); } },
        [["", "all"], ...options].map(([value, text]) => h("option", { value, selected: chosen[name] === value }, text.length > 40 ? text.slice(0, 39) + "…" : text))));
    };
    const same = (list) => list.map((one) => [one, one]);
    const isDev = rows.some((row) => row.stages);
    const input = (name, label, type, width) => h("label", {}, label, h("input", { id: "f-" + name, type, value: chosen[name], min: 0, style: { width }, oninput: (event) => { chosen[name] = event.target.value; changed(); } }));
    const clear = h("button", { type: "button", onclick: () => { for (const name of Object.keys(chosen)) chosen[name] = ""; R.show(true); } }, "Clear");
    return h("form.filters", { onsubmit: (event) => event.preventDefault(), "aria-label": "Filters" },
      input("text", "Text in question or gold", "search", "15em"),
      select("verdict", "Verdict", same(values(rows, (row) => [...Object.keys(row.verdicts || {}), ...Object.values(row.stages || {}).map((one) => one.status)]))),
      rows.some((row) => row.count !== undefined) && select("signal", "Group", [["signal", "right and wrong"], ["none", "no signal"], ["wrong", "none right"], ["right", "all right"]]),
      rows.some((row) => lucky(row) > 0 || row.lucky === 0) && select("luck", "Right answers", [["lucky", "some by luck"], ["earned", "none by luck"]]),
      select("database", "Database", same(values(rows, (row) => row.database))),
      select("hardness", "Hardness or kind", same(values(rows, (row) => row.hardness))),
      select("tables", "Tables in gold", [["1", "1"], ["2", "2"], ["3", "3 or more"]]),
      select("change", isDev ? "From SFT to RL" : "Change", [["fixed", "fixed"], ["regressed", "regressed"], ["never", isDev ? "never right" : "not right now"], ["always", isDev ? "right both times" : "all right now"]]),
      !isDev && input("since", "Since step", "number", "6em"),
      select("sort", "Order", [["worst", "worst first"], ["best", "best first"], ["change", "most changed"]]), clear);
  };

  // A list of rows behind the filters, a part at a time.
  R.filteredList = function (rows, head, cells, options = {}) {
    const place = h("div", { "aria-live": "polite" });
    let most = 200;
    const draw = () => {
      const kept = R.filtered(rows), part = kept.slice(0, most);
      place.replaceChildren(h("p.small", {}, `${kept.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")}`), options.above ? options.above(kept) : "",
        R.table(head, part.map(cells), { numbers: options.numbers, caption: options.caption }),
        kept.length > most ? h("button", { type: "button", onclick: () => { most += 500; draw(); } }, `Show more (${kept.length - most} left)`) : "");
    };
    const bar = R.filterBar(rows, () => { most = 200; draw(); });
    draw();
    return [bar, place];
  };
})(window.rollsql);
