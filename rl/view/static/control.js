// Start and watch: a config, settings with their ranges, the plan, the command line, what runs.
"use strict";
(function (R) {
  const { h } = R;
  async function post(name, body) {
    const answer = await fetch("api/control/" + name, { method: "POST", headers: { "Content-Type": "application/json", "X-RollSQL": "1" }, body: JSON.stringify(body) });
    return answer.json();
  }
  const asked = { command: "rl.train", config: "rl/configs/tiny.toml", data: "", settings: {}, job: false };

  R.controlView = async function () {
    if (!R.mode || !R.mode.control) return { missing: "this viewer starts nothing: run rl.view with --control" };
    const page = await R.load("control");
    const said = h("div", { role: "status", "aria-live": "polite" });
    const tell = (found) => said.replaceChildren(...(found.error ? [h("div.problems", {}, R.text(found.error))] : []), ...(found.line ? [h("h3", {}, "Command line"), h("code.sql", {}, R.text(found.line))] : []), ...(found.plan ? [h("h3", {}, "Plan"), h("pre", { tabindex: 0, "aria-label": "plan" }, R.text(found.plan))] : []));
    const busy = async (button, work) => { button.disabled = true; try { await work(); } finally { button.disabled = false; } };
    const choose = (name, label, values) => h("label", {}, label, h("select", { id: "c-" + name, onchange: (event) => { asked[name] = event.target.value; if (name === "command") { asked.config = ""; asked.settings = {}; } R.show(true); } }, values.map((value) => h("option", { value, selected: asked[name] === value }, value))));
    const command = page.commands.find((one) => one.name === asked.command);
    if (!command.configs.includes(asked.config)) asked.config = command.configs.find((name) => name.endsWith("/tiny.toml")) || command.configs[0];
    const input = (one) => h("input", { "aria-label": one.key, placeholder: one.default, value: asked.settings[one.key] || "", style: { width: "14em" }, oninput: (event) => { if (event.target.value === "") delete asked.settings[one.key]; else asked.settings[one.key] = event.target.value; } });
    const table = h("div");
    const draw = (text) => {
      const shown = command.settings.filter((one) => asked.settings[one.key] !== undefined || (one.key + " " + one.meaning).toLowerCase().includes(text.toLowerCase()));
      table.replaceChildren(R.table(["setting", "value", "may be", "meaning"], shown.map((one) => [one.key, input(one), h("span.long", {}, R.text(one.may_be)), h("span.long", {}, R.text(one.meaning))])));
    };
    draw("");
    const planned = h("button", { type: "button", onclick: () => busy(planned, async () => tell(await post("plan", asked))) }, "Show plan and command line");
    const start = h("button", { type: "button", onclick: () => busy(start, async () => { const found = await post("start", asked); if (found.error) tell(found); else R.show(true); }) }, "Start");
    const act = (name, one) => h("button", { type: "button", onclick: async () => { const found = await post(name, { number: one.number }); if (found.error) tell(found); else R.show(true); } }, name === "stop" ? "Stop (Ctrl-C)" : "Start the same line again");
    const running = page.started.map((one) => h("section", {}, h("h3", {}, `${one.number}: `, R.badge(one.state, one.state === "running" ? true : undefined)), h("p", {}, h("code.sql", {}, R.text(one.line))), h("pre", { tabindex: 0, "aria-label": "output" }, R.text(one.output || "nothing said yet")), one.state === "running" ? act("stop", one) : act("again", one)));
    if (page.started.some((one) => one.state === "running")) { const here = location.hash; setTimeout(() => location.hash === here && !/^(INPUT|SELECT)$/.test(document.activeElement.tagName) && R.show(true), 2500); }
    return { title: "Start a run", crumbs: [[null, "start"]], keys: { up: [] }, node: [
      h("form.filters", { onsubmit: (event) => event.preventDefault(), "aria-label": "What to start" }, choose("command", "Command", page.commands.map((one) => one.name)), choose("config", "Config", command.configs),
        h("label", {}, "Data folder (none for tiny)", h("input", { id: "c-data", value: asked.data, oninput: (event) => { asked.data = event.target.value; } })),
        h("label", {}, "As a Ray job", h("input", { id: "c-job", type: "checkbox", checked: asked.job, onchange: (event) => { asked.job = event.target.checked; } })), planned, start),
      said, running.length ? [h("h2", {}, "Started here"), ...running.reverse()] : "", h("h2", {}, "Settings that count more than the config's"),
      h("form.filters", { onsubmit: (event) => event.preventDefault(), "aria-label": "Find settings" }, h("label", {}, "Find a setting", h("input", { id: "c-find", type: "search", oninput: (event) => draw(event.target.value) }))), table].flat() };
  };
})(window.rollsql);
