// Addresses, pages, keys, and what refreshes a page while its run writes.
"use strict";
(function (R) {
  const { h } = R;
  const main = document.getElementById("main"), crumbs = document.getElementById("crumbs");
  const waiting = new Map(), known = new Map();
  let follow = false, shown = "", turn = 0;
  R.exported = R.exported || false;

  // Exported pages come as scripts, because a page from disk may not read files.
  R.put = function (address, page) {
    known.set(address, page);
    if (waiting.has(address)) waiting.get(address)(page);
  };
  R.load = async function (address) {
    if (R.exported) return fromDisk(address);
    const answer = await fetch("api/" + address);
    if (answer.status === 401) return { missing: "this page needs its token: open the address that rl.view printed" };
    return answer.json();
  };
  function fromDisk(address) {
    return known.has(address) ? known.get(address) : new Promise((done) => {
      waiting.set(address, done);
      const script = document.createElement("script");
      script.src = "data/" + address + ".js";
      script.onload = () => script.remove();
      script.onerror = () => { script.remove(); done({ missing: "this page is not in the export" }); };
      document.head.append(script);
    });
  }

  const ROUTES = [
    [/^$/, "runs", () => R.runsView()],
    [/^compare\/(.+)$/, null, (list) => R.compareView(list.split("+"))],
    [/^control$/, null, () => R.controlView()],
    [/^runs\/([^/]+)$/, (run) => `runs/${run}`, (run) => R.runView(run)],
    [/^runs\/([^/]+)\/ablation$/, null, (run) => R.ablationView(run)],
    [/^runs\/([^/]+)\/steps\/(\d+)$/, null, (run, step) => R.stepView(run, +step)],
    [/^runs\/([^/]+)\/steps\/(\d+)\/groups\/(\d+)$/, null, (run, step, group) => R.groupView(run, +step, +group)],
    [/^runs\/([^/]+)\/questions$/, null, (run) => R.questionsView(run)],
    [/^runs\/([^/]+)\/questions\/(\d+)\/(\d+)$/, null, (run, step, group) => R.questionView(run, +step, +group)],
    [/^runs\/([^/]+)\/dev$/, null, (run) => R.devView(run)],
    [/^runs\/([^/]+)\/dev\/(\d+)$/, null, (run, number) => R.devQuestionView(run, +number)],
  ];

  // A view gives {title, crumbs, node, keys: {before, after, up}}.
  async function show(keepPlace) {
    const mine = ++turn, place = decodeURIComponent(location.hash.replace(/^#\/?/, ""));
    const route = ROUTES.map(([pattern, , make]) => [pattern.exec(place), make]).find(([match]) => match);
    let view;
    try {
      view = route ? await route[1](...route[0].slice(1)) : { missing: "there is no such page" };
    } catch (error) {
      view = { missing: error instanceof TypeError && !R.exported && String(error).includes("fetch") ? "the server does not answer" : String(error) };
    }
    if (mine !== turn) return;
    if (view.missing || view.damaged) view = { title: "Not shown", crumbs: [], node: h("div.problems", {}, R.text(view.missing || view.damaged)) };
    const scroll = window.scrollY, focused = keepPlace && document.activeElement && document.activeElement.id;
    R.keys = view.keys || {};
    document.title = R.plain(view.title) + " · RollSQL";
    crumbs.replaceChildren(R.link([], "Runs"), ...view.crumbs.flatMap(([parts, name]) => [" › ", parts ? R.link(parts, R.text(name)) : R.text(name)]));
    main.replaceChildren(h("h1", { tabindex: -1 }, R.text(view.title)), ...[view.node].flat());
    shown = place;
    document.body.dataset.shown = place;
    if (keepPlace) {
      window.scrollTo(0, scroll);
      if (focused && document.getElementById(focused)) document.getElementById(focused).focus();
    } else {
      window.scrollTo(0, 0);
      main.querySelector("h1").focus({ preventScroll: true });
    }
  }
  R.show = show;
  R.go = (parts) => { location.hash = R.address(parts).slice(1); };

  const KEYS = [["← → or k j", "the step, group or question before, after"], ["u", "up one page"], ["/", "to the filters"], ["Tab, Enter", "through all links and buttons"], ["Esc", "closes this list"]];
  function help() {
    const open = document.getElementById("keys");
    if (open) return open.remove();
    const box = h("dialog", { id: "keys", "aria-label": "Keys" }, h("h2", {}, "Keys"), R.table(["key", "does"], KEYS), h("button", { type: "button", onclick: () => box.remove() }, "Close"));
    document.body.append(box);
    box.showModal();
    box.addEventListener("close", () => box.remove());
  }
  document.getElementById("help").addEventListener("click", help);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    const name = { ArrowLeft: "before", k: "before", ArrowRight: "after", j: "after", u: "up" }[event.key];
    if (event.key === "?") help();
    else if (event.key === "/" && document.querySelector(".filters input")) { document.querySelector(".filters input").focus(); event.preventDefault(); }
    else if (name && R.keys && R.keys[name]) R.go(R.keys[name]);
  });
  window.addEventListener("hashchange", () => show(false));

  let stamp = null;
  async function refresh() {
    const run = /^runs\/([^/]+)$/.exec(shown);
    if (shown === "" && document.visibilityState === "visible") return show(true);
    if (!run || document.visibilityState !== "visible") return;
    const now = (await R.load(`runs/${run[1]}/stamp`)).stamp;
    if (stamp !== null && now !== stamp && document.getSelection().isCollapsed) await show(true);
    stamp = now;
  }
  async function start() {
    if (!R.exported) R.mode = await R.load("mode");
    follow = R.mode && R.mode.follow;
    await show(false);
    if (follow) setInterval(() => refresh().catch(() => {}), 3000);
  }
  document.addEventListener("DOMContentLoaded", start);
})(window.rollsql);
