// The columns: what a cell says, how rows are sorted, and which are left by the filters.
const data = JSON.parse(document.getElementById("data").textContent);
const total = data.paths.length;
const MISSING = "\u2013";
const NARROW = "\u202f";
const natural = new Intl.Collator("en", { numeric: true });
const grouped = new Intl.NumberFormat("en");

const runColumn = { key: "run", name: "run", group: "run", unit: "text", shown: true, levels: data.paths, codes: data.paths.map((_, k) => k) };
const columns = [runColumn, ...data.columns];
const columnOf = (group, key) => columns.find((c) => c.group === group && c.key === key);
const isText = (column) => column.unit === "text";
const statusColumn = columnOf("run", "status");
const errorColumn = columnOf("run", "error");
const numberColumns = columns.filter((c) => !isText(c) && c.values.some((v) => v !== null));

function durationText(seconds) {
  if (seconds < 59.95) return seconds.toFixed(1) + NARROW + "s";
  const whole = Math.round(seconds), two = (n) => String(n).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  const minutes = Math.floor(whole / 60);
  return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}

// Guarantees down, bounds up, as everywhere on our pages.
function roundedText(value, digits, round) {
  const scale = 10 ** digits;
  if (round === "down") return (Math.floor(value * scale + 1e-6) / scale).toFixed(digits);
  if (round === "up") return (Math.ceil(value * scale - 1e-7) / scale).toFixed(digits);
  return value.toFixed(digits);
}

function numberText(value, unit, round) {
  if (value === null || Number.isNaN(value)) return MISSING;
  if (!Number.isFinite(value)) return value > 0 ? "\u221e" : "-\u221e";
  if (unit === "share") return roundedText(100 * value, 2, round) + NARROW + "%";
  if (unit === "seconds") return durationText(value);
  if (unit === "count") return grouped.format(value);
  if (round !== "near" && round && Math.abs(value) >= 1e-3 && Math.abs(value) < 1e6) return roundedText(value, round === "up" ? 7 : 4, round);
  return plainText(value);
}

function plainText(value) {
  const four = +value.toPrecision(4);
  return four !== 0 && Math.abs(four) < 1e-4 ? four.toExponential() : String(four);
}

function cellText(column, row) {
  if (!isText(column)) return numberText(column.values[row], column.unit, column.round);
  const code = column.codes[row];
  return code < 0 ? MISSING : column.levels[code];
}

// One number a row, in the order of the column; NaN where it is missing.
function sortKeys(column) {
  if (column.keys) return column.keys;
  const keys = new Float64Array(total);
  if (isText(column)) {
    const rank = new Float64Array(column.levels.length);
    const order = column.levels.map((_, k) => k);
    if (!column.numeric) order.sort((a, b) => natural.compare(column.levels[a], column.levels[b]));
    order.forEach((code, place) => { rank[code] = place; });
    for (let i = 0; i < total; i++) keys[i] = column.codes[i] < 0 ? NaN : rank[column.codes[i]];
  } else {
    for (let i = 0; i < total; i++) keys[i] = column.values[i] === null ? NaN : column.values[i];
  }
  column.keys = keys;
  return keys;
}

function sortRows(rows, column, descending) {
  const keys = sortKeys(column), sign = descending ? -1 : 1;
  const place = (a, b) => {
    const x = keys[a], y = keys[b];
    if (x === y) return a - b;
    if (x !== x || y !== y) return x !== x ? (y !== y ? a - b : 1) : -1;
    return x < y ? -sign : sign;
  };
  return rows.sort(place);
}

let haystacks = null;
function haystack() {
  if (haystacks) return haystacks;
  const texts = columns.filter(isText).map((c) => [c.codes, c.levels.map((level) => level.toLowerCase())]);
  haystacks = Array.from({ length: total }, (_, i) => texts.map(([codes, levels]) => (codes[i] < 0 ? "" : levels[codes[i]])).join("\n"));
  return haystacks;
}

// Rows that have all of the words and none of the levels that were switched off.
function filterRows(text, switchedOff) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const off = [...switchedOff].filter(([, codes]) => codes.size).map(([column, codes]) => [column.codes, codes]);
  const hay = words.length ? haystack() : null;
  const left = new Uint32Array(total);
  let n = 0;
  rows: for (let i = 0; i < total; i++) {
    for (const [codes, gone] of off) if (gone.has(codes[i])) continue rows;
    for (const word of words) if (!hay[i].includes(word)) continue rows;
    left[n++] = i;
  }
  return left.subarray(0, n);
}

function levelCounts(column) {
  const counts = new Map();
  for (const code of column.codes) counts.set(code, (counts.get(code) ?? 0) + 1);
  return [...counts].sort((a, b) => (a[0] < 0) - (b[0] < 0) || a[0] - b[0]);
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
