"use strict";
// Everything here is text put into the page by textContent: nothing that a model wrote is ever read as markup.
const data = JSON.parse(document.getElementById("data").textContent);
const dialog = document.getElementById("task");
const body = document.getElementById("task-body");
const rows = [...document.querySelectorAll(".matrix tbody tr")];
let open = null;

function make(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "onclick") made.addEventListener("click", value);
    else made.setAttribute(name, value);
  }
  made.append(...children.filter(child => child !== null && child !== undefined && child !== ""));
  return made;
}
const section = (title, ...children) => make("section", {}, make("h3", {}, title), ...children);
const block = text => make("pre", { tabindex: "0" }, text);

function verdict(cell) {
  const ended = cell.stopped && cell.stopped !== "answered" ? `, ended: ${cell.stopped}` : "";
  const turns = cell.turns === null || cell.turns === undefined ? "" : `, ${cell.turns} turns, ${cell.seconds} s`;
  const skill = cell.activated === false ? ", did not activate the skill" : "";
  return make("p", {}, make("span", { class: `state ${cell.outcome}` }, cell.outcome), `${turns}${ended}${skill}`.replace(/^, /, " "));
}

function feedback(text) { // lines such as "Sheet1!B2: expected 3, got 4" become a table
  const lines = text.split("\n"), cells = [], others = [];
  for (const line of lines) {
    const found = line.match(/^(.+?): expected (.*), got (.*)$/);
    if (found) cells.push(found.slice(1)); else if (line) others.push(line);
  }
  const parts = others.length ? [block(others.join("\n"))] : [];
  if (cells.length) {
    const head = make("tr", {}, ...["where", "expected", "got"].map(name => make("th", { scope: "col" }, name)));
    const made = cells.map(row => make("tr", {}, ...row.map(value => make("td", { class: "name" }, make("code", {}, value)))));
    parts.push(make("div", { class: "table", tabindex: "0" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...made))));
  }
  return parts;
}

function conversation(events) {
  const made = [];
  for (const event of events) {
    if (event.kind === "message") made.push(make("div", { class: "said" }, event.text));
    else if (event.kind === "tool_call") {
      const given = event.arguments || "";
      made.push(make("details", { class: "call" }, make("summary", {}, make("strong", {}, event.tool), ` ${given.split("\n")[0].slice(0, 120)}`), block(given)));
    } else if (event.kind === "tool_result") {
      const code = event.exit_code ? `exit ${event.exit_code}: ` : "";
      const last = made[made.length - 1];
      const result = make("details", { class: "call" }, make("summary", { class: "soft" }, `${code}output, ${event.output.length} characters`), block(event.output));
      if (last && last.tagName === "DETAILS") last.append(result); else made.push(result);
    }
  }
  return made.length ? made : [make("p", { class: "soft" }, "Nothing was said or done.")];
}

function execution(cell, title) {
  const where = make("div", {});
  const told = events => where.replaceChildren(...conversation(events));
  if (cell.events) told(cell.events);
  else if (data.served) {
    where.append(make("p", { class: "soft" }, "Loading…"));
    fetch(`events?file=${encodeURIComponent(cell.file)}`).then(answer => answer.json()).then(told,
      () => where.replaceChildren(make("p", { class: "soft" }, `Could not load ${cell.file}.`)));
  } else where.append(make("p", { class: "soft" }, "This page does not carry it: it is in ", make("code", {}, cell.file), " beside the page, and `skillgrad-ci view` shows it."));
  return make("div", {}, make("h3", {}, title), verdict(cell), ...(cell.feedback ? feedback(cell.feedback) : []), where);
}

function lessons(task) {
  const made = [];
  for (const step of data.iterations) {
    const one = step.diagnoses.find(diagnosis => diagnosis.task === task);
    const entry = step.overlay.find(row => row.task === task);
    if (!one && !entry) continue;
    const patterns = entry ? entry.patterns : [];
    const parts = [];
    if (one) {
      const kind = one.kind === "contrastive" ? (one.robust ? "robust success" : "success, perhaps luck") : "failure";
      parts.push(make("p", {}, make("strong", {}, one.label), ` (${kind}, guidance ${one.guidance}) ${one.summary} ${one.cause}`));
      if (one.approach) parts.push(make("p", {}, `Right approach: ${one.approach}`));
      if (one.snippet) parts.push(block(one.snippet));
      if (one.quote) parts.push(make("p", {}, make("code", {}, one.quote)));
    }
    if (patterns.length) parts.push(make("p", {}, `Patterns: ${patterns.join(", ")}. ${entry.note}`));
    const edits = step.edits.filter(edit => edit.patterns.some(name => patterns.includes(name)));
    if (edits.length) parts.push(make("ul", {}, ...edits.map(edit => make("li", {}, make("strong", {}, edit.id), ` ${edit.layer} ${edit.file} `, make("span", { class: edit.status }, edit.status), ` ${edit.why}`, edit.content ? block(edit.content) : ""))));
    made.push(make("details", { open: "" }, make("summary", {}, `What iteration ${step.number} learned from it`), ...parts));
  }
  return made;
}

function show(task, column) {
  const cells = data.cells[task] || {};
  const columns = data.columns.filter(name => cells[name]);
  const chosen = columns.includes(column) ? column : columns[columns.length - 1];
  open = { task, column: chosen };
  document.getElementById("task-title").textContent = task;
  const tabs = columns.map(name => make("button", { type: "button", "aria-pressed": String(name === chosen), onclick: () => show(task, name) }, data.names[name]));
  const side = name => (cells[name] || []).map((cell, at, all) => execution(cell, `${data.names[name]}${all.length > 1 ? `, trial ${at + 1}` : ""}`));
  const before = chosen !== "base" && cells.base ? [make("div", {}, ...side("base"))] : [];
  body.replaceChildren(
    section("Instruction", block(data.instructions[task] || (columns.length ? "This page does not carry it: it is in the files of its executions." : "It is not in this run's folder."))),
    make("div", { class: "row", role: "group", "aria-label": "Measurement" }, ...tabs),
    make("div", { class: before.length ? "beside two" : "beside" }, make("div", {}, ...(chosen ? side(chosen) : [make("p", {}, "It was not executed.")])), ...before),
    ...lessons(task));
  if (!dialog.open) dialog.showModal();
  history.replaceState(null, "", `#task=${encodeURIComponent(task)}`);
}

function step(by) {
  const shown = rows.filter(row => !row.hidden).map(taskOf);
  const at = shown.indexOf(open.task) + by;
  if (at >= 0 && at < shown.length) show(shown[at], open.column);
}

// A row says each thing once, for a page of 10,000 tasks: task, split, a cell for each measurement, change.
const taskOf = row => row.querySelector("button").textContent;
const told = (row, at) => row.cells[(at + row.cells.length) % row.cells.length].textContent;
const stateIn = (row, state) => told(row, -1) === state || row.querySelector(`.state.${state}`) !== null;

function filter() {
  const words = document.getElementById("search").value.toLowerCase();
  const split = document.getElementById("split").value, state = document.getElementById("state").value;
  for (const row of rows) {
    const text = `${taskOf(row)} ${row.dataset.text}`.toLowerCase();
    row.hidden = !(text.includes(words) && (!split || told(row, 1) === split) && (!state || stateIn(row, state)));
  }
  document.getElementById("count").textContent = `${rows.filter(row => !row.hidden).length} of ${rows.length} tasks`;
}

for (const row of rows) row.querySelectorAll("button").forEach(button => {
  const column = button.dataset.column;
  if (column) button.setAttribute("aria-label", `${taskOf(row)}, ${data.names[column]}: ${button.title}`);
  button.addEventListener("click", () => show(taskOf(row), column));
});
for (const name of ["search", "split", "state"]) document.getElementById(name)?.addEventListener("input", filter);
document.getElementById("close").addEventListener("click", () => dialog.close());
document.getElementById("previous").addEventListener("click", () => step(-1));
document.getElementById("next").addEventListener("click", () => step(1));
dialog.addEventListener("keydown", event => {
  if (event.key === "ArrowLeft") step(-1); else if (event.key === "ArrowRight") step(1);
});
dialog.addEventListener("close", () => history.replaceState(null, "", location.pathname + location.search));
document.querySelectorAll(".bar").forEach(bar => { bar.style.width = `${bar.dataset.share * 12}rem`; });
for (const table of document.querySelectorAll(".cards")) { // on a phone each cell says its column
  const names = [...table.rows[0].cells].map(cell => cell.textContent);
  for (const row of [...table.rows].slice(1)) [...row.cells].forEach((cell, at) => { cell.dataset.label = names[at]; });
  table.classList.add("labelled");
}
if (rows.length) filter();
function follow() { // a task that a link of this page, or of another one, names
  const linked = new URLSearchParams(location.hash.slice(1)).get("task");
  if (linked && rows.some(row => taskOf(row) === linked)) show(linked);
}
addEventListener("hashchange", follow);
follow();
