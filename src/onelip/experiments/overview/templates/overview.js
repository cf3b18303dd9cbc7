// The controls, and what they change.
const PAUSE = 120;
const MOST_LEVELS = 200;
const switchedOff = new Map();
const filterable = columns.filter((c) => isText(c) && c !== runColumn && c !== errorColumn && levelCounts(c).length > 1 && levelCounts(c).length <= MOST_LEVELS);

let waiting = 0;
function drawFigures() {
  const column = colourColumns[+control("colour").value];
  const options = { column, rank: numberColumns[+control("rank").value], most: +control("most").value, lines: control("lines").value };
  drawLegend(view.rows, column);
  drawCurves(view.rows, options);
  drawPareto(view.rows, column);
}
// Tables follow each key at once; figures when the typing pauses.
function drawFiguresSoon() {
  clearTimeout(waiting);
  waiting = setTimeout(() => requestAnimationFrame(drawFigures), PAUSE);
}

function countText() {
  const counts = new Map();
  for (const row of view.rows) counts.set(statusColumn.codes[row], (counts.get(statusColumn.codes[row]) ?? 0) + 1);
  const parts = [...counts].map(([code, n]) => `${grouped.format(n)} ${statusColumn.levels[code]}`);
  const shown = view.rows.length === total ? `All ${grouped.format(total)} runs` : `${grouped.format(view.rows.length)} of ${grouped.format(total)} runs`;
  return shown + (parts.length ? `: ${parts.join(", ")}` : "");
}

function sortTable() {
  if (view.sort) sortRows(view.rows, view.sort, view.descending);
  markSort();
  scroller.scrollTop = 0;
  drawBody();
}

function filterTable() {
  view.rows = filterRows(control("filter").value, switchedOff);
  control("count").textContent = countText();
  sortTable();
  drawFiguresSoon();
}

sortBy = (column) => {
  // The good ones first.
  const down = !isText(column) && !column.lower;
  view.descending = view.sort === column ? !view.descending : down;
  view.sort = column;
  sortTable();
};

choose = (row) => {
  view.chosen = row === view.chosen ? -1 : row;
  scrollToRow(view.chosen);
  drawBody();
  drawDetail();
  drawFiguresSoon();
};

function checkbox(text, checked, note, change) {
  const input = element("input", { type: "checkbox", checked });
  input.addEventListener("change", () => change(input.checked));
  const label = element("label", {}, input, element("span", { textContent: text }));
  if (note) label.append(element("small", { textContent: note }));
  return label;
}

function levelMenu(column) {
  const off = new Set(), counts = levelCounts(column);
  switchedOff.set(column, off);
  const summary = element("summary", { textContent: column.name });
  const options = element("div", { className: "options" });
  const menu = element("details", { className: "menu" }, summary, options);
  menu.dataset.column = column.key;
  const changed = () => {
    summary.textContent = off.size ? `${column.name}: ${counts.length - off.size} of ${counts.length}` : column.name;
    menu.classList.toggle("active", off.size > 0);
    filterTable();
  };
  const boxes = counts.map(([code, n]) => checkbox(code < 0 ? MISSING : column.levels[code], true, grouped.format(n), (checked) => {
    if (checked) off.delete(code); else off.add(code);
    changed();
  }));
  const all = (on) => {
    for (const [code] of counts) if (on) off.delete(code); else off.add(code);
    for (const box of boxes) box.firstChild.checked = on;
  };
  const button = (name, on) => {
    const made = element("button", { type: "button", textContent: name });
    made.addEventListener("click", () => { all(on); changed(); });
    return made;
  };
  options.append(element("div", { className: "both" }, button("all", true), button("none", false)), ...boxes);
  menu.clear = () => { all(true); summary.textContent = column.name; menu.classList.remove("active"); };
  return menu;
}

function columnMenu() {
  const options = document.querySelector("#chooser .options"), names = { run: "Run", factor: "Factors", parameter: "Hyper-parameters", number: "Numbers" };
  for (const [group, name] of Object.entries(names)) {
    const found = columns.filter((c) => c.group === group && c !== runColumn);
    if (found.length) options.append(element("h4", { textContent: name }));
    for (const column of found) options.append(checkbox(column.name, column.shown, "", (checked) => { column.shown = checked; showColumns(); }));
  }
}

function showColumns() {
  view.columns = columns.filter((c) => c.shown);
  drawHead();
  drawBody();
}

function fill(id, names, chosen, change = drawFigures) {
  const select = control(id);
  select.replaceChildren(...names.map(([value, text]) => element("option", { value, textContent: text })));
  select.value = String(chosen ?? names[0]?.[0] ?? "");
  select.addEventListener("change", change);
}

function sameText() {
  const same = columns.filter((c) => isText(c) && c !== runColumn && c !== statusColumn && c !== errorColumn && c.levels.length === 1 && !c.codes.includes(-1));
  return same.length ? `The same in all runs: ${same.map((c) => `${c.name} ${c.levels[0]}`).join(" \u00b7 ")}.` : "";
}

function bestColour() {
  const several = (c) => c.group === "factor" && c !== seedColumn && c.levels.length > 1 && c.levels.length <= MOST_NAMED;
  const wanted = ["method", "layer", "critic", "size", "model", "data"].map((key) => colourColumns.findIndex((c) => c.key === key && several(c)));
  const first = [...wanted, colourColumns.findIndex(several)].find((k) => k >= 0);
  return first ?? colourColumns.findIndex((c) => c === statusColumn);
}

function setUp() {
  control("same").textContent = sameText();
  control("factors").append(...filterable.map(levelMenu));
  columnMenu();
  const numbers = numberColumns.map((c, k) => [k, c.name]), place = (test) => numberColumns.findIndex(test);
  const score = Math.max(0, place((c) => c.group === "number" && c.key === data.score));
  fill("colour", colourColumns.map((c, k) => [k, c.name]), bestColour());
  fill("rank", numbers, score);
  fill("lines", [["each", "each run"], ...(seedColumn?.levels.length > 1 ? [["seeds", "mean over seeds"]] : []), ["colour", "mean of each colour"]], "each");
  const offered = (axis) => kinds.map((kind, k) => [k, kind.name, kind]).filter(([, , kind]) => kind.x === axis && kind.key !== "seconds");
  fill("learning-y", offered("epoch"));
  fill("radius-y", offered("radius"));
  fill("pareto-y", numbers, score);
  fill("pareto-x", numbers, Math.max(0, place((c) => c.key === "train_seconds")));
  for (const id of ["most", "learning-x"]) control(id).addEventListener("change", drawFigures);
  control("learning").hidden = !offered("epoch").length;
  control("radius").hidden = !offered("radius").length;
  control("curves").hidden = !kinds.length;
  control("pareto").hidden = numberColumns.length < 2;
  if (timeKind < 0) control("learning-x").querySelector("[value=seconds]").remove();
  control("filter").addEventListener("input", filterTable);
  control("reset").addEventListener("click", () => {
    control("filter").value = "";
    for (const menu of control("factors").children) menu.clear();
    filterTable();
  });
  // One menu at a time, and none after a click elsewhere.
  addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll(".menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
  addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of document.querySelectorAll(".menu[open]")) { menu.open = false; menu.firstChild.focus(); }
  });
  view.sort = numberColumns[score] ?? runColumn;
  view.descending = view.sort !== runColumn && !view.sort.lower;
  showColumns();
  filterTable();
  drawRadar();
}

setUp();
