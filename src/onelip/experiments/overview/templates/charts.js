// Charts: axes, lines, clouds of points, and what stands under the pointer or is reached by the arrow keys.
const SIZE = 1000;
const DASHES = ["", "7 3", "2 3", "9 3 2 3"];
const SVG = "http://www.w3.org/2000/svg";
const colourOf = (k) => `var(--c${k % 8})`;
const dashOf = (k) => DASHES[(k + Math.floor(k / 8)) % DASHES.length];

function svgElement(tag, attributes = {}) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function makeAxis(label, values, { unit = "plain", round = "near", whole = false, start = null, spread = 20 } = {}) {
  let low = Infinity, high = -Infinity;
  for (const v of values) if (Number.isFinite(v)) { if (v < low) low = v; if (v > high) high = v; }
  if (low > high) [low, high] = [0, 1];
  const log = unit !== "share" && low > 0 && high / low > spread;
  if (unit === "share") {
    low = Math.max(0, Math.floor(10 * low - 1e-9) / 10);
    high = Math.min(1, Math.ceil(10 * high + 1e-9) / 10);
  } else if (log) {
    [low, high] = [low / 1.15, high * 1.15];
  } else if (start !== null) {
    low = Math.min(start, low);
    high += 0.04 * (high - low);
  }
  if (high <= low) [low, high] = [low - 0.5, high + 0.5];
  const axis = { label, unit, round, whole, low, high, log };
  axis.place = log
    ? (v) => (v > 0 ? Math.log(v / low) / Math.log(high / low) : -1)
    : (v) => (v - low) / (high - low);
  axis.text = (v) => numberText(v, unit, round);
  return axis;
}

function roundValues(low, high, wanted = 5) {
  const rough = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(rough));
  const off = (s) => Math.abs(Math.log(s / rough));
  const step = [1, 2, 5, 10].map((f) => f * power).reduce((best, s) => (off(s) < off(best) ? s : best));
  const values = [];
  for (let k = Math.ceil(low / step - 1e-9); k <= Math.floor(high / step + 1e-9); k++) values.push(k * step);
  return values;
}

function roundRatios(low, high) {
  for (const [factors, step] of [[[1, 2, 5], 1], [[1, 3], 1], [[1], 1], [[1], 2], [[1], 5]]) {
    const values = [];
    for (let k = Math.floor(Math.log10(low)); k <= Math.ceil(Math.log10(high)); k++) {
      if (k % step === 0) for (const f of factors) values.push(f * 10 ** k);
    }
    const inside = values.filter((v) => v >= low * (1 - 1e-9) && v <= high * (1 + 1e-9));
    if (inside.length <= 7) return inside;
  }
  return [];
}

function tickText(axis, v) {
  if (axis.unit === "share") return String(+(100 * v).toPrecision(4)) + NARROW + "%";
  if (axis.unit === "seconds") return v < 60 ? String(+v.toPrecision(3)) + NARROW + "s" : durationText(v).replace(/ 00 (s|min)$/, "");
  if (axis.unit === "count" && v >= 1e5) return new Intl.NumberFormat("en", { notation: "compact" }).format(v);
  return axis.unit === "count" ? grouped.format(v) : plainText(v);
}

// Round in minutes and hours, too.
const DURATIONS = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 18000, 36000, 86400, 172800, 432000, 864000];
function roundDurations(axis) {
  if (axis.log) {
    const inside = DURATIONS.filter((s) => s >= axis.low && s <= axis.high), every = Math.ceil(inside.length / 8);
    return inside.filter((_, k) => k % every === 0);
  }
  const step = DURATIONS.find((s) => (axis.high - axis.low) / s <= 7) ?? 864000, values = [];
  for (let k = Math.ceil(axis.low / step); k * step <= axis.high; k++) values.push(k * step);
  return values;
}

function ticksOf(axis) {
  const values = axis.unit === "seconds" && axis.high > 60 && axis.high / Math.max(axis.low, 1) > 2 ? roundDurations(axis) : axis.log ? roundRatios(axis.low, axis.high) : roundValues(axis.low, axis.high);
  return values.filter((v) => !axis.whole || Math.abs(v - Math.round(v)) < 1e-9).map((v) => [100 * axis.place(v), tickText(axis, v)]);
}

const short = (v) => String(Math.round(10 * v) / 10);
function pathOf(x, y, points, dots = false) {
  let path = "";
  for (let k = 0; k < points.length; k++) {
    const place = short(SIZE * x.place(points[k][0])) + " " + short(SIZE * (1 - y.place(points[k][1])));
    path += dots ? `M${place}h0` : (k ? "L" : "M") + place;
  }
  return path;
}

// An item is { name, colour, points: [[x, y, run?], ...], cloud?, band?: [upper, lower], run? }.
function drawChart(root, { description, x, y, items, front = [], empty }) {
  if (!items.some((item) => item.points.length)) {
    root.replaceChildren(element("p", { className: "missing", textContent: empty }));
    return;
  }
  const plot = element("div", { className: "plot", tabIndex: 0 });
  plot.setAttribute("role", "group");
  plot.setAttribute("aria-label", description + " Arrow keys go from point to point.");
  const svg = svgElement("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  for (const [place] of ticksOf(y)) svg.append(svgElement("path", { class: "grid", d: `M0 ${SIZE - place * 10}H${SIZE}` }));
  const dense = items.reduce((n, item) => n + item.points.length, 0) > 1500 ? " dense" : "";
  for (const item of items) {
    if (item.band) {
      const outline = [...item.band[0], ...[...item.band[1]].reverse()];
      svg.append(svgElement("path", { class: "fill", d: pathOf(x, y, outline) + "Z", style: `fill: ${colourOf(item.colour)}` }));
    }
  }
  for (const item of items) {
    const dots = item.cloud || item.points.length === 1;
    const cap = item.cloud && item.colour % 2 ? "square" : "round";
    const look = dots ? `stroke-linecap: ${cap}` : `stroke-dasharray: ${dashOf(item.colour)}`;
    item.path = svgElement("path", { class: dots ? "series cloud" + dense : "series line", d: pathOf(x, y, item.points, dots), style: `stroke: ${colourOf(item.colour)}; ${look}` });
    if (item.run === view.chosen && view.chosen >= 0) item.path.classList.add("chosen");
    svg.append(item.path);
  }
  if (front.length) svg.append(svgElement("path", { class: "front", d: pathOf(x, y, front) }));
  const marks = svgElement("svg", { class: "marks", viewBox: `0 0 ${SIZE} ${SIZE}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  marks.append(svgElement("path", { class: "frame", d: `M0 ${SIZE}H${SIZE}` }));
  const here = svgElement("path", { class: "here" });
  marks.append(here);
  plot.append(svg, marks);
  for (const [axis, side, edge] of [[y, "y", "bottom"], [x, "x", "left"]]) {
    for (const [place, text] of ticksOf(axis)) plot.append(element("span", { className: `tick ${side}`, textContent: text, style: `${edge}: ${place}%` }));
    plot.append(element("span", { className: `axis ${side}`, textContent: axis.label }));
  }
  root.replaceChildren(plot);
  listen(plot, here, { x, y, items });
}

function listen(plot, here, { x, y, items }) {
  const box = element("div", { className: "readout", hidden: true });
  box.setAttribute("role", "status");
  plot.append(box);
  let shown = null;
  const hide = () => {
    shown?.item.path.classList.remove("chosen");
    shown = null;
    box.hidden = true;
    here.removeAttribute("d");
  };
  const show = (item, k) => {
    if (shown?.item !== item) shown?.item.path.classList.remove("chosen");
    shown = { item, k };
    if (!item.cloud) item.path.classList.add("chosen");
    const point = item.points[k], run = point[2] ?? item.run;
    here.setAttribute("d", pathOf(x, y, [point], true));
    const name = run === undefined ? item.name : data.paths[run];
    const lines = [`${x.label} ${x.text(point[0])}`, `${y.label} ${y.text(point[1])}`];
    if (item.of) lines.push(item.of);
    if (run !== undefined && item.name !== name) lines.unshift(item.name);
    box.replaceChildren(element("b", { textContent: name }), ...lines.map((textContent) => element("div", { textContent })));
    const left = x.place(point[0]);
    box.style.left = left < 0.5 ? `calc(${100 * left}% + .8rem)` : "auto";
    box.style.right = left < 0.5 ? "auto" : `calc(${100 * (1 - left)}% + .8rem)`;
    box.hidden = false;
  };
  const nearest = (event) => {
    const area = plot.getBoundingClientRect();
    const px = event.clientX - area.left, py = event.clientY - area.top;
    let best = Infinity, found = null;
    for (const item of items) {
      for (let k = 0; k < item.points.length; k++) {
        const dx = area.width * x.place(item.points[k][0]) - px, dy = area.height * (1 - y.place(item.points[k][1])) - py;
        const off = dx * dx + dy * dy;
        if (off < best) { best = off; found = [item, k]; }
      }
    }
    if (found && best < 3600) show(...found);
    else hide();
  };
  plot.addEventListener("pointermove", nearest);
  plot.addEventListener("pointerdown", nearest);
  plot.addEventListener("pointerleave", hide);
  plot.addEventListener("blur", hide);
  plot.addEventListener("click", () => {
    const run = shown && (shown.item.points[shown.k][2] ?? shown.item.run);
    if (run !== null && run !== undefined) { choose(run); scrollToRow(run); }
  });
  const drawn = items.filter((item) => item.points.length);
  plot.addEventListener("keydown", (event) => {
    const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
    if (event.key === "Escape") hide();
    if (!step) return;
    event.preventDefault();
    const at = shown ? drawn.indexOf(shown.item) : 0;
    const item = drawn[(at + step[0] + drawn.length) % drawn.length];
    const k = shown ? Math.min(item.points.length - 1, Math.max(0, shown.k + step[1])) : 0;
    show(item, k);
  });
}

function legendEntry(name, colour, dots = false) {
  const svg = svgElement("svg", { viewBox: "0 0 28 10", "aria-hidden": "true" });
  const cap = colour % 2 && dots ? "square" : "round";
  const d = dots ? "M14 5h0" : "M0 5H28";
  svg.append(svgElement("path", { class: dots ? "dot" : "", d, style: `stroke: ${colourOf(colour)}; stroke-linecap: ${cap}; stroke-dasharray: ${dots ? "" : dashOf(colour)}` }));
  return element("li", {}, svg, name);
}
