// The table: of 10,000 rows only those that can be seen are in the document.
const SPARE = 8;
const MOST_PRINTED = 1000;
const scroller = document.getElementById("scroller");
const table = document.getElementById("runs");
const [colgroup, head, body] = [table.querySelector("colgroup"), table.tHead, table.tBodies[0]];
const rowHeight = Math.round(2.05 * parseFloat(getComputedStyle(document.documentElement).fontSize));
document.documentElement.style.setProperty("--row", rowHeight + "px");

const view = { rows: new Uint32Array(0), columns: [], sort: null, descending: false, chosen: -1, printing: false };
let choose = () => {};
let sortBy = () => {};

// In characters; the longest cell of a column of numbers is about the longest of some of them.
function widthOf(column) {
  if (column.width) return column.width;
  let longest = 0;
  if (isText(column)) for (const level of column.levels) longest = Math.max(longest, level.length);
  else for (let i = 0; i < total; i += Math.max(1, Math.floor(total / 300))) longest = Math.max(longest, cellText(column, i).length);
  const words = Math.max(...column.name.split(/\s+/).map((word) => word.length));
  const title = Math.max(words, Math.ceil(column.name.length / 2) + 1) + 2;
  column.width = Math.min(column === errorColumn ? 48 : 34, Math.max(longest, title, 5)) + 1;
  return column.width;
}

function drawHead() {
  colgroup.replaceChildren(...view.columns.map((c) => element("col", { style: `width: calc(${widthOf(c)}ch + 1.5rem)` })));
  const cells = view.columns.map((column) => {
    const button = element("button", { type: "button", textContent: column.name });
    button.addEventListener("click", () => sortBy(column));
    const cell = element("th", { scope: "col", className: isText(column) && !column.numeric ? "" : "number" }, button);
    cell.column = column;
    return cell;
  });
  head.replaceChildren(element("tr", {}, ...cells));
  markSort();
}

function markSort() {
  for (const cell of head.rows[0].cells) {
    cell.setAttribute("aria-sort", cell.column !== view.sort ? "none" : view.descending ? "descending" : "ascending");
  }
}

function drawCell(column, row) {
  const text = cellText(column, row);
  if (column === runColumn) {
    const link = data.links[row];
    const name = link ? element("a", { href: link, textContent: text }) : text;
    return element("th", { scope: "row", title: text }, name);
  }
  if (column === statusColumn) return element("td", {}, element("span", { className: `status ${text}`, textContent: text }));
  const look = text === MISSING ? " none" : column === errorColumn ? " error" : "";
  const cell = element("td", { className: (isText(column) && !column.numeric ? "" : "number") + look, textContent: text });
  if (text.length >= 30) cell.title = text;
  return cell;
}

function drawRow(place) {
  const row = view.rows[place];
  const made = element("tr", {}, ...view.columns.map((column) => drawCell(column, row)));
  made.setAttribute("aria-rowindex", place + 2);
  made.setAttribute("aria-selected", row === view.chosen);
  made.dataset.row = row;
  return made;
}

function pad(height) {
  const made = element("tr", { className: "pad" }, element("td", { colSpan: view.columns.length, style: `height: ${height}px` }));
  made.setAttribute("aria-hidden", "true");
  return made;
}

let drawnFrom = -1, drawnTo = -1;
function drawBody(force = true) {
  const n = view.rows.length;
  let first = 0, last = Math.min(n, MOST_PRINTED);
  if (!view.printing) {
    first = Math.max(0, Math.floor(scroller.scrollTop / rowHeight) - SPARE);
    last = Math.min(n, first + Math.ceil((scroller.clientHeight || 600) / rowHeight) + 2 * SPARE);
  }
  if (!force && first === drawnFrom && last === drawnTo) return;
  [drawnFrom, drawnTo] = [first, last];
  const rows = [];
  for (let place = first; place < last; place++) rows.push(drawRow(place));
  if (first > 0) rows.unshift(pad(first * rowHeight));
  if (last < n && !view.printing) rows.push(pad((n - last) * rowHeight));
  body.replaceChildren(...rows);
  table.setAttribute("aria-rowcount", n + 1);
}

scroller.addEventListener("scroll", () => drawBody(false), { passive: true });
new ResizeObserver(() => drawBody(false)).observe(scroller);

body.addEventListener("click", (event) => {
  const row = event.target.closest("tr[data-row]");
  if (row && !event.target.closest("a")) choose(+row.dataset.row);
});

// Up and down go from run to run; the other keys scroll, as anywhere.
scroller.addEventListener("keydown", (event) => {
  if (event.target !== scroller || !["ArrowDown", "ArrowUp"].includes(event.key) || !view.rows.length) return;
  event.preventDefault();
  const at = view.rows.indexOf(view.chosen);
  const next = at < 0 ? Math.round(scroller.scrollTop / rowHeight) : at + (event.key === "ArrowDown" ? 1 : -1);
  const row = view.rows[Math.min(view.rows.length - 1, Math.max(0, next))];
  if (row !== view.chosen) choose(row);
});

function scrollToRow(row) {
  const at = view.rows.indexOf(row);
  if (at < 0) return;
  const top = at * rowHeight, inside = scroller.clientHeight - head.offsetHeight - 2 * rowHeight;
  if (top < scroller.scrollTop) scroller.scrollTop = top;
  else if (top > scroller.scrollTop + inside) scroller.scrollTop = top - inside;
}

addEventListener("beforeprint", () => { view.printing = true; drawBody(); });
addEventListener("afterprint", () => { view.printing = false; drawBody(); });

// Everything about one run, as nothing is cut off here.
function drawDetail() {
  const detail = document.getElementById("detail"), row = view.chosen;
  detail.hidden = row < 0;
  if (row < 0) return;
  const title = element("h3", {}, data.paths[row]);
  const facts = element("dl", { className: "facts" });
  for (const column of columns) {
    const text = cellText(column, row);
    if (column === runColumn || column === errorColumn || text === MISSING) continue;
    facts.append(element("div", {}, element("dt", { textContent: column.name }), element("dd", { textContent: text })));
  }
  const parts = [title];
  if (data.links[row]) parts.push(element("p", {}, element("a", { href: data.links[row], textContent: "Page of this run" })));
  if (errorColumn.codes[row] >= 0) parts.push(element("p", { className: "alarm", textContent: cellText(errorColumn, row) }));
  detail.replaceChildren(...parts, facts);
}
