// Values under the pointer; the page is complete without it.
for (const plot of document.querySelectorAll(".plot[data-readout]")) {
  const { x, y, lines } = JSON.parse(plot.dataset.readout);
  const box = Object.assign(document.createElement("div"), { className: "readout", hidden: true });
  const cursor = Object.assign(document.createElement("div"), { className: "cursor", hidden: true });
  plot.append(cursor, box);
  // Certified shares are rounded down, like everywhere on the page.
  const percent = (value, line) => (line?.certified ? Math.floor(1e4 * value + 1e-6) / 100 : 100 * value).toFixed(2);
  const text = (axis, value, line) => (axis.percent ? percent(value, line) + "\u202f%" : String(+value.toPrecision(4)));
  const at = (line, where) => {
    const points = line.points;
    let k = points.findIndex((p) => p[0] > where);
    if (k < 0) k = points.length;
    if (k === 0 || (k === points.length && where > points[k - 1][0])) return null;
    const [x0, y0] = points[k - 1];
    if (line.steps || k === points.length || where === x0) return text(y, y0, line);
    const [x1, y1] = points[k];
    // Between two measurements nothing is known but what they bound.
    if (line.dots) return text(y, y1) + " to " + text(y, y0);
    return text(y, y0 + ((where - x0) / (x1 - x0)) * (y1 - y0));
  };
  const show = (event) => {
    const area = plot.getBoundingClientRect();
    const part = Math.min(1, Math.max(0, (event.clientX - area.left) / area.width));
    let where = x.low + part * (x.high - x.low);
    if (x.whole) where = Math.round(where);
    const rows = [[x.label, text(x, where)]];
    for (const line of lines) {
      const value = at(line, where);
      if (value !== null) rows.push([line.name, value]);
    }
    box.replaceChildren(...rows.map((row) => Object.assign(document.createElement("div"), { textContent: row.join("  ") })));
    const left = (where - x.low) / (x.high - x.low);
    cursor.style.left = 100 * left + "%";
    box.style.left = left < 0.5 ? `calc(${100 * left}% + .6rem)` : "auto";
    box.style.right = left < 0.5 ? "auto" : `calc(${100 * (1 - left)}% + .6rem)`;
    box.hidden = cursor.hidden = false;
  };
  plot.addEventListener("pointermove", show);
  plot.addEventListener("pointerdown", show);
  plot.addEventListener("pointerleave", () => { box.hidden = cursor.hidden = true; });
}
