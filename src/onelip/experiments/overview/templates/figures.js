// The figures: curves of the best runs that the filters leave, gain against cost, and scores as a radar.
const control = (id) => document.getElementById(id);
const colourColumns = columns.filter((c) => isText(c) && c !== runColumn && c !== errorColumn && c.levels.length > 0);
const seedColumn = columnOf("factor", "seed");
const MOST_NAMED = 24;
const finished = statusColumn.levels.indexOf("finished");
const kinds = data.curves.kinds;
const timeKind = kinds.findIndex((kind) => kind.key === "seconds" && kind.x === "epoch");
const curvesOf = new Map(data.curves.runs.map(([run, ...parts]) => [run, new Map(parts.map((part) => [part[0], part]))]));

function interpolate(points, x) {
  let k = 1;
  while (k < points.length - 1 && points[k][0] < x) k++;
  if (points.length === 1) return points[0][1];
  const [x0, y0] = points[k - 1], [x1, y1] = points[k];
  return x1 === x0 ? y1 : y0 + ((x - x0) / (x1 - x0)) * (y1 - y0);
}

function curvePoints(run, kind) {
  const part = curvesOf.get(run)?.get(kind);
  return part ? data.curves.grids[part[1]].map((x, k) => [x, part[2][k]]) : null;
}

function pointsAgainst(run, kind, against) {
  const points = curvePoints(run, kind);
  if (!points || against === "epoch") return points;
  const times = curvePoints(run, timeKind);
  return times && points.map(([epoch, y]) => [interpolate(times, epoch), y]);
}

// Over where all of them are, joined by straight lines.
function meanAndBand(curves) {
  const start = Math.max(...curves.map((c) => c[0][0])), end = Math.min(...curves.map((c) => c.at(-1)[0]));
  const places = [...new Set(curves.flatMap((c) => c.map((p) => p[0])))].filter((x) => x >= start && x <= end).sort((a, b) => a - b);
  const thin = Math.ceil(places.length / 120);
  const kept = places.filter((_, k) => k % thin === 0 || k === places.length - 1);
  const values = kept.map((x) => curves.map((c) => interpolate(c, x)));
  const each = (f) => kept.map((x, k) => [x, f(values[k])]);
  return { mean: each((v) => v.reduce((a, b) => a + b, 0) / v.length), band: [each((v) => Math.max(...v)), each((v) => Math.min(...v))] };
}

// Colours in the order in which the levels are listed, so that a filter does not change them.
const colourCode = (column, run) => (column ? column.codes[run] : 0);
const colourIndex = (column, code) => (code < 0 ? (column ? column.levels.length : 0) : code);
const levelName = (column, code) => (!column ? "all runs" : code < 0 ? "none" : column.levels[code]);

const sameButSeed = columns.filter((c) => c !== runColumn && c !== seedColumn && (c.group === "factor" || c.group === "parameter" || c.key === "stage" || c.key === "name"));
const cellKey = (run) => sameButSeed.map((c) => (isText(c) ? c.codes[run] : c.values[run])).join("|");
const varying = sameButSeed.filter((c) => (isText(c) ? new Set(c.codes).size > 1 : new Set(c.values).size > 1));
const cellName = (run) => varying.map((c) => (isText(c) && !c.numeric ? cellText(c, run) : `${c.name} ${cellText(c, run)}`)).join(" \u00b7 ") || "all runs";

function groupsOf(runs, column, lines) {
  const groups = new Map();
  for (const run of runs) {
    const code = colourCode(column, run);
    const key = lines === "each" ? run : lines === "seeds" ? `${code}|${cellKey(run)}` : code;
    if (!groups.has(key)) groups.set(key, { code, runs: [], name: lines === "colour" ? levelName(column, code) : lines === "seeds" ? cellName(run) : data.paths[run] });
    groups.get(key).runs.push(run);
  }
  return [...groups.values()];
}

function bestGroups(rows, options) {
  const runs = [...rows].filter((run) => curvesOf.has(run));
  const keys = options.rank ? sortKeys(options.rank) : null, sign = options.rank?.lower ? 1 : -1;
  const groups = groupsOf(runs, options.column, options.lines);
  for (const group of groups) {
    const known = keys ? group.runs.map((run) => keys[run]).filter((v) => v === v) : [];
    group.score = known.length ? (sign * known.reduce((a, b) => a + b, 0)) / known.length : Infinity;
  }
  groups.sort((a, b) => a.score - b.score || a.runs[0] - b.runs[0]);
  return { groups: groups.slice(0, options.most), n: groups.length, with: runs.length };
}

function itemsOf(groups, column, points) {
  const items = [];
  for (const group of groups) {
    let found = group.runs.map((run) => [run, points(run)]).filter(([, p]) => p && p.length);
    // A mean ends where the first of its curves does, so those that were cut short are only drawn alone.
    if (found.length > 1) {
      const whole = found.filter(([run]) => statusColumn.codes[run] === finished);
      found = whole.length ? whole : found.slice(0, 1);
    }
    if (!found.length) continue;
    const item = { name: levelName(column, group.code), colour: colourIndex(column, group.code) };
    if (found.length === 1) items.push({ ...item, run: found[0][0], points: found[0][1] });
    else {
      const { mean, band } = meanAndBand(found.map(([, p]) => p));
      items.push({ ...item, name: group.name, of: `mean of ${found.length} finished runs, band from the lowest to the highest`, points: mean, band });
    }
  }
  // The best one on top.
  return items.reverse();
}

function* coordinates(items, k) {
  for (const item of items) for (const list of [item.points, ...(item.band ?? [])]) for (const point of list) yield point[k];
}

function drawCurves(rows, options) {
  const best = bestGroups(rows, options);
  const what = options.lines === "each" ? "runs" : options.lines === "seeds" ? "means over seeds" : "means";
  const by = options.rank ? `, the best by ${options.rank.name}` : "";
  const part = best.groups.length < best.n ? `${grouped.format(best.groups.length)} of ${grouped.format(best.n)} ${what}${by}, are drawn. ` : `All ${grouped.format(best.n)} ${what} of the table are drawn. `;
  const { left_out: leftOut, broken } = data.curves;
  const kept = leftOut ? `Curves of ${grouped.format(curvesOf.size)} of all ${grouped.format(total)} runs are in this page, the best of each combination of factors first; ${grouped.format(best.with)} of them are in the table now. ` : "";
  control("drawn").textContent = (best.n ? part : "No run in the table has curves in this page. ") + kept + (broken ? `${broken} runs have files that cannot be used.` : "");

  const learning = kinds[+control("learning-y").value];
  const against = control("learning-x").value;
  if (learning) {
    const items = itemsOf(best.groups, options.column, (run) => pointsAgainst(run, +control("learning-y").value, against));
    const x = against === "epoch" ? makeAxis("epoch", coordinates(items, 0), { whole: true, spread: 1e9 }) : makeAxis("time", coordinates(items, 0), { unit: "seconds", start: 0, spread: 1e9 });
    const y = makeAxis(learning.name, coordinates(items, 1), { unit: learning.unit, start: 0, spread: 50, round: learning.key === "val_certified_accuracy" ? "down" : "near" });
    drawChart(document.querySelector("#learning .chart"), { description: `${learning.name} against ${against} of ${items.length} runs or means.`, x, y, items, empty: "None of these runs has recorded it." });
  }
  const radius = kinds[+control("radius-y").value];
  if (radius) {
    const items = itemsOf(best.groups, options.column, (run) => curvePoints(run, +control("radius-y").value));
    const x = makeAxis(`${radius.key.split(":")[1]} radius`, coordinates(items, 0), { start: 0, spread: 1e9 });
    const y = makeAxis(radius.name.replace(/ \(.*/, ""), coordinates(items, 1), { unit: "share", round: "down" });
    drawChart(document.querySelector("#radius .chart"), { description: `${radius.name} against the radius of ${items.length} runs or means.`, x, y, items, empty: "None of these runs has such a certificate." });
  }
}

// What no other point beats; costs and gains may be better when they are larger or smaller.
function paretoFront(points, costSign, gainSign) {
  const front = [];
  const sorted = [...points].sort((a, b) => costSign * (a[0] - b[0]) || gainSign * (b[1] - a[1]));
  for (const p of sorted) if (!front.length || gainSign * (p[1] - front.at(-1)[1]) > 0) front.push(p);
  return front;
}

const frontSteps = (front) => front.flatMap((p, k) => (k ? [[p[0], front[k - 1][1]], p] : [p]));

function drawPareto(rows, column) {
  const cost = numberColumns[+control("pareto-x").value], gain = numberColumns[+control("pareto-y").value];
  if (!cost || !gain) return;
  const groups = new Map(), all = [];
  for (const run of rows) {
    if (statusColumn.codes[run] !== finished) continue;
    const point = [cost.values[run], gain.values[run], run];
    if (point[0] === null || point[1] === null || !Number.isFinite(point[0]) || !Number.isFinite(point[1])) continue;
    const code = colourCode(column, run);
    if (!groups.has(code)) groups.set(code, { name: levelName(column, code), colour: colourIndex(column, code), points: [], cloud: true });
    groups.get(code).points.push(point);
    all.push(point);
  }
  const items = [...groups.values()];
  // Left to right, so that the arrow keys go along the axis.
  for (const item of items) item.points.sort((a, b) => a[0] - b[0]);
  const x = makeAxis(cost.name, coordinates(items, 0), { unit: cost.unit, round: cost.round, start: 0 });
  const y = makeAxis(gain.name, coordinates(items, 1), { unit: gain.unit, round: gain.round });
  const front = paretoFront(all, cost.lower ? 1 : -1, gain.lower ? -1 : 1);
  drawChart(document.querySelector("#pareto .chart"), {
    description: `${gain.name} against ${cost.name} of ${all.length} runs; ${front.length} are on the Pareto front.`,
    x, y, items, front: frontSteps(front), empty: "No finished run in the table has both numbers.",
  });
}

function drawLegend(rows, column) {
  const codes = new Map();
  for (const run of rows) codes.set(colourCode(column, run), true);
  const sorted = [...codes.keys()].sort((a, b) => colourIndex(column, a) - colourIndex(column, b));
  const entries = sorted.slice(0, MOST_NAMED).map((code) => legendEntry(levelName(column, code), colourIndex(column, code)));
  if (sorted.length > MOST_NAMED) entries.push(element("li", { textContent: `and ${sorted.length - MOST_NAMED} more` }));
  control("legend").replaceChildren(...entries);
}

const radarHidden = new Set();
function drawRadar() {
  const radar = data.radar, section = control("radar");
  if (!radar) return;
  section.hidden = false;
  section.querySelector(".legend").replaceChildren(...radar.names.map((name, k) => {
    const entry = legendEntry("", k), button = element("button", { type: "button" }, ...entry.childNodes, name);
    button.setAttribute("aria-pressed", !radarHidden.has(k));
    button.addEventListener("click", () => { radarHidden[radarHidden.has(k) ? "delete" : "add"](k); drawRadar(); section.querySelectorAll(".legend button")[k].focus(); });
    return element("li", {}, button);
  }));
  section.querySelector("figcaption").textContent = radar.caption;
  const n = radar.axes.length, R = 78;
  const at = (k, r) => [R * r * Math.sin((2 * Math.PI * k) / n), -R * r * Math.cos((2 * Math.PI * k) / n)];
  const polygon = (radii) => {
    let path = "", pen = false;
    [...radii, radii[0]].forEach((r, k) => { if (r === null) pen = false; else { path += (pen ? "L" : "M") + at(k, r).map(short).join(" "); pen = true; } });
    return path;
  };
  const told = radar.names.map((name, k) => `${name}: ${radar.axes.map((axis, j) => `${axis} ${radar.scores[k][j] ?? "missing"}`).join(", ")}`);
  const svg = svgElement("svg", { viewBox: "-150 -96 300 192", role: "img", "aria-label": told.join("; ") });
  for (let ring = 1; ring <= 5; ring++) {
    svg.append(svgElement("path", { class: "ring", d: polygon(Array(n).fill(ring / 5)) }));
    const text = svgElement("text", { x: 1.5, y: -R * (ring / 5) + 6 });
    text.textContent = String(+((radar.top * ring) / 5).toPrecision(3));
    svg.append(text);
  }
  radar.axes.forEach((axis, k) => {
    svg.append(svgElement("path", { class: "ring", d: `M0 0L${at(k, 1).map(short).join(" ")}` }));
    const [x, y] = at(k, 1.06), anchor = Math.abs(x) < 8 ? "middle" : x > 0 ? "start" : "end";
    const text = svgElement("text", { class: "name", x, y: y + (y > 8 ? 5 : y < -8 ? -1 : 2), "text-anchor": anchor });
    text.textContent = axis;
    svg.append(text);
  });
  radar.scores.forEach((scores, k) => {
    if (radarHidden.has(k)) return;
    const radii = scores.map((s) => (s === null ? null : s / radar.top)), d = polygon(radii);
    if (!radii.includes(null)) svg.append(svgElement("path", { class: "fill", d, style: `fill: ${colourOf(k)}` }));
    const line = svgElement("path", { d, style: `stroke: ${colourOf(k)}; stroke-dasharray: ${dashOf(k).split(" ").map((v) => (v ? v * 0.5 : "")).join(" ")}` });
    line.append(Object.assign(svgElement("title"), { textContent: told[k] }));
    // A score between two missing ones has no line.
    const dots = radii.map((r, j) => (r === null ? "" : `M${at(j, r).map(short).join(" ")}h0`)).join("");
    svg.append(line, svgElement("path", { class: "score", d: dots, style: `stroke: ${colourOf(k)}` }));
  });
  section.querySelector(".drawing").replaceChildren(svg);
}
