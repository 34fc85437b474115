// The page: a question goes to one policy or to all of them; each answer is a card with query, rows, chart and thumbs.

import * as charts from "./chart.js";
import { cellText, element, isNumber } from "./dom.js";
import * as schemas from "./schema.js";

const ALL = "\u0000all";
const MOST_ROWS = 200; // drawn in the page; a result may hold more
const by = (id) => document.getElementById(id);
const state = { served: null, history: [] };

async function call(path, body, options = {}) {
  const headers = { ...(body && !options.raw && { "content-type": "application/json" }), ...options.headers };
  const token = sessionStorage.getItem("token");
  if (token) headers.authorization = `Bearer ${token}`;
  const sent = body && { method: "POST", body: options.raw ? body : JSON.stringify(body) };
  const response = await fetch(path, { ...sent, headers });
  if (response.status === 401) {
    await askToken();
    return call(path, body, options);
  }
  const found = await response.json().catch(() => ({ error: { message: `the server said ${response.status}` } }));
  if (!response.ok) throw new Error(found.error?.message ?? `the server said ${response.status}`);
  return found;
}

function askToken() {
  const dialog = by("token-dialog");
  by("token").value = "";
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => {
    sessionStorage.setItem("token", by("token").value);
    done();
  }, { once: true }));
}

function say(text, kind = "") {
  by("status").textContent = text;
  by("status").className = kind;
}

async function start() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", location.pathname);
  }
  await loadServed();
  by("ask").addEventListener("submit", (event) => { event.preventDefault(); ask(by("question").value.trim()); });
  by("question").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); by("ask").requestSubmit(); }
  });
  by("database").addEventListener("change", () => showSchema(""));
  by("upload").addEventListener("change", upload);
  by("question").focus();
  await showSchema("");
}

async function loadServed(chosen) {
  state.served = await call("/served");
  const { databases, policies, policy, uploads } = state.served;
  by("database").replaceChildren(...databases.map((id) => element("option", { value: id, selected: id === chosen }, id)));
  const several = policies.length > 1 ? [element("option", { value: ALL }, "all, side by side")] : [];
  by("policy").replaceChildren(
    ...policies.map((name) => element("option", { value: name, selected: name === policy }, name)), ...several);
  by("upload-label").hidden = !uploads;
}

async function ask(question) {
  if (!question) return;
  const database = by("database").value;
  const policies = by("policy").value === ALL ? state.served.policies : [by("policy").value];
  const button = by("ask").querySelector("button");
  button.disabled = true;
  say("Asking …");
  by("answers").replaceChildren();
  const asked = policies.map(async (policy) => {
    const answer = await call("/ask", { question, database, policy });
    return card(question, database, answer);
  });
  showSchema(question);
  const done = await Promise.allSettled(asked);
  by("answers").replaceChildren(...done.flatMap((one) => (one.value ? [one.value] : [])));
  const failed = done.find((one) => one.reason);
  say(failed ? failed.reason.message : "", failed ? "bad" : "");
  button.disabled = false;
  remember(question);
}

function remember(question) {
  state.history = [question, ...state.history.filter((one) => one !== question)].slice(0, 30);
  by("history").replaceChildren(...state.history.map((one) => element("li", {}, element("button", {
    type: "button", onclick: () => { by("question").value = one; ask(one); },
  }, one))));
}

function card(question, database, answer) {
  const sql = element("textarea", { class: "sql", rows: Math.min(12, 2 + answer.sql.split("\n").length + answer.sql.length / 60), spellcheck: "false", "aria-label": `Query of ${answer.policy}` });
  sql.value = answer.sql;
  const result = element("div");
  const run = async () => {
    try {
      show(result, await call("/run", { sql: sql.value, database }));
    } catch (error) {
      result.replaceChildren(element("p", { class: "bad" }, error.message));
    }
  };
  sql.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); run(); }
  });
  const actions = element("div", { class: "actions" },
    element("button", { type: "button", onclick: run, title: "Ctrl+Enter" }, "Run"), ...thumbs(question, database, answer, sql));
  show(result, answer);
  const agreed = answer.confidence === undefined ? "" : `, confidence ${Math.round(100 * answer.confidence)} %`;
  const seconds = element("small", {}, `${answer.seconds.toFixed(2)} s${agreed}`);
  return element("article", { class: "card" }, element("h3", {}, answer.policy, " ", seconds), sql, actions, result,
    ...others(answer, sql));
}

// What else was drawn, where the answer was chosen among several.
function others(answer, sql) {
  if (!answer.candidates) return [];
  const rows = answer.candidates.map((one, place) => element("li", {}, element("button", {
    type: "button", onclick: () => { sql.value = one.sql; },
  }, `${place === answer.chosen ? "✓ " : ""}${one.sql || "(no SQL)"} — ${one.status}`)));
  return [element("details", {}, element("summary", {}, `${rows.length} candidates`), element("ol", {}, ...rows))];
}

function thumbs(question, database, answer, sql) {
  if (!state.served.feedback) return [];
  const said = element("span", { role: "status", class: "hint" });
  const send = (verdict) => async () => {
    const corrected = sql.value.trim() !== answer.sql.trim() ? sql.value.trim() : "";
    try {
      const { file } = await call("/feedback", { question, database, sql: answer.sql, verdict, corrected });
      said.textContent = corrected ? `kept your correction in ${file}` : `kept in ${file}`;
      said.className = "hint good";
    } catch (error) {
      said.textContent = error.message;
      said.className = "hint bad";
    }
  };
  const thumb = (verdict, sign, label) => element("button", { type: "button", onclick: send(verdict), "aria-label": label, title: label }, sign);
  return [
    thumb("up", "Right", "Right: keep this query, as it stands, for training"),
    thumb("down", "Wrong", "Wrong: keep my correction, where I made one"),
    said,
  ];
}

function show(place, found) {
  if (found.status !== "ok") {
    place.replaceChildren(element("p", { class: "bad" }, `${found.status}: ${found.error}`));
    return;
  }
  const count = found.rows.length;
  const more = found.truncated ? " or more" : "";
  const shown = count > MOST_ROWS ? `, the first ${MOST_ROWS} shown` : "";
  place.replaceChildren(
    element("p", { class: "hint" }, `${count} row${count === 1 ? "" : "s"}${more}${shown}`), ...pictures(found), table(found));
}

function table(found) {
  const right = found.columns.map((_, place) => found.rows.every((row) => row[place] === null || isNumber(row[place])));
  const head = element("tr", {}, ...found.columns.map((name, place) =>
    element("th", { scope: "col", class: right[place] ? "number" : "" }, name)));
  const body = found.rows.slice(0, MOST_ROWS).map((row) => element("tr", {}, ...row.map((cell, place) =>
    element("td", { class: cell === null ? "null" : right[place] ? "number" : "", title: cellText(cell) }, cellText(cell)))));
  return element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Rows" },
    element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
}

function pictures(found) {
  const possible = charts.choices(found.columns, found.rows);
  if (!possible.length) return [];
  const picture = element("div", { class: "chart" });
  const names = ["No chart", ...possible.map((choice) => charts.title(choice, found.columns))];
  const chosen = element("select", { "aria-label": "Chart" }, ...names.map((name, number) =>
    element("option", { value: number, selected: number === 1 }, name)));
  const redraw = () => {
    const choice = possible[Number(chosen.value) - 1];
    picture.replaceChildren(...(choice ? [charts.draw(choice, found.columns, found.rows)] : []));
  };
  chosen.addEventListener("change", redraw);
  redraw();
  return [element("p", { class: "actions" }, chosen), picture];
}

async function showSchema(question) {
  const wanted = new URLSearchParams({ database: by("database").value, question });
  try {
    const found = await call(`/schema?${wanted}`);
    const linked = found.tables.filter((one) => one.linked).map((one) => one.name);
    const left = found.left_out ? ` ${found.left_out} tables are not shown.` : "";
    by("schema-note").textContent = (linked.length ? `Linked to the question: ${linked.join(", ")}.` : "") + left;
    by("schema").replaceChildren(schemas.draw(found));
    const lit = by("schema").querySelector(".box.linked"); // in view, and the page stays where it is
    if (lit) by("schema").scrollLeft += lit.getBoundingClientRect().left - by("schema").getBoundingClientRect().left - 20;
  } catch (error) {
    by("schema").replaceChildren(element("p", { class: "bad" }, error.message));
  }
}

async function upload() {
  const [file] = by("upload").files;
  if (!file) return;
  say(`Uploading ${file.name} …`);
  try {
    const name = new URLSearchParams({ name: file.name });
    const { database } = await call(`/upload?${name}`, file, { raw: true, headers: { "content-type": "application/octet-stream" } });
    await loadServed(database);
    await showSchema("");
    say(`${database} can be asked now`, "good");
  } catch (error) {
    say(error.message, "bad");
  }
  by("upload").value = "";
}

start().catch((error) => say(error.message, "bad"));
