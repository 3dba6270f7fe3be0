"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 560, HEIGHT = 340, LEFT = 46, RIGHT = 14, TOP = 10, BOTTOM = 40;
const MEASURES = { final: (run) => run.final, peak: (run) => run.peak, drop: (run) => run.peak - run.final };
const method = new Map(data.methods.map((each) => [each.name, each]));
const off = new Set();

function element(kind, attributes, text) {
  const made = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function mean(values) { return values.reduce((sum, value) => sum + value, 0) / values.length; }
function percent(value) { return value === null ? "" : (100 * value).toFixed(1); }
function level(value) { return value === null ? "unknown" : +(100 * value).toFixed(2) + " %"; }
function grouped(rows, key) {
  const groups = new Map();
  for (const row of rows) {
    const name = key(row);
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(row);
  }
  return groups;
}
function shown() { return data.runs.filter((run) => run.kind === $("kind").value && !off.has(run.method)); }

// --- Charts.

function marker(shape, x, y, size) {
  const s = size;
  const corners = {
    s: [[-s, -s], [s, -s], [s, s], [-s, s]], D: [[0, -s * 1.3], [s * 1.3, 0], [0, s * 1.3], [-s * 1.3, 0]],
    d: [[0, -s * 1.4], [s * .8, 0], [0, s * 1.4], [-s * .8, 0]], "^": [[0, -s], [s, s], [-s, s]], v: [[-s, -s], [s, -s], [0, s]],
    "<": [[-s, 0], [s, -s], [s, s]], ">": [[s, 0], [-s, -s], [-s, s]],
    P: [[-s * .4, -s], [s * .4, -s], [s * .4, -s * .4], [s, -s * .4], [s, s * .4], [s * .4, s * .4], [s * .4, s], [-s * .4, s], [-s * .4, s * .4], [-s, s * .4], [-s, -s * .4], [-s * .4, -s * .4]],
  }[shape];
  if (!corners) return element("circle", { cx: x, cy: y, r: s });
  return element("polygon", { points: corners.map(([dx, dy]) => `${x + dx},${y + dy}`).join(" ") });
}

function paint(node, color, hollow) {
  // MentorMix is black, which a dark page would hide.
  const ink = color === "black" ? "var(--text)" : color;
  node.style.stroke = ink;
  node.style.fill = hollow ? "none" : ink;
  return node;
}

function ticks(low, high) {
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000].find((s) => (high - low) / s <= 7) || (high - low) / 5;
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + 1e-9; value += step) found.push(value);
  return found;
}

function chart(place, points, xLabel, yLabel, label) {
  const svg = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "group", "aria-label": label });
  place.replaceChildren(svg);
  if (!points.length) return null;
  let [x0, x1] = [Math.min(...points.map((p) => p[0])), Math.max(...points.map((p) => p[0]))];
  let [y0, y1] = [Math.min(...points.map((p) => p[1])), Math.max(...points.map((p) => p[1]))];
  if (x0 === x1) { x0 -= 1; x1 += 1; }
  const margin = Math.max(1, (y1 - y0) * 0.06);
  y0 = Math.max(y0 - margin, Math.min(0, y0)); y1 = Math.min(y1 + margin, 100);
  const x = (value) => LEFT + (value - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - (value - y0) / (y1 - y0) * (HEIGHT - TOP - BOTTOM);
  for (const value of ticks(y0, y1)) {
    svg.append(element("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }));
    svg.append(element("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, value));
  }
  for (const value of ticks(x0, x1)) svg.append(element("text", { x: x(value), y: HEIGHT - BOTTOM + 17, "text-anchor": "middle" }, value));
  svg.append(element("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 4, "text-anchor": "middle" }, xLabel));
  svg.append(element("text", { x: 12, y: HEIGHT / 2, "text-anchor": "middle", transform: `rotate(-90 12 ${HEIGHT / 2})` }, yLabel));
  return { svg, x, y };
}

function line(made, points, style, dashes) {
  const path = element("polyline", { points: points.map(([a, b]) => `${made.x(a)},${made.y(b)}`).join(" "), "stroke-width": style.name === "mentormix" ? 2.6 : 1.5 });
  if (dashes) path.setAttribute("stroke-dasharray", dashes);
  made.svg.append(paint(path, style.color, true));
}

function tell(run) {
  const flags = Object.entries(run.settings).map(([name, value]) => `--${name}=${value}`).join(" ");
  $("tip").textContent = `${method.get(run.method).title}, ${level(run.level)} wrong labels, seed ${run.seed}: peak ${percent(run.peak)} %, final ${percent(run.final)} %. ${flags || "Default hyperparameters."}`;
}

function drawByLevel() {
  const measure = MEASURES[$("measure").value];
  const runs = shown().filter((run) => run.level !== null);
  const others = $("published").checked && $("measure").value === "peak"
    ? data.published.filter((each) => each.kind === $("kind").value && !off.has(each.method)) : [];
  const points = runs.map((run) => [100 * run.level, 100 * measure(run)]);
  for (const each of others) points.push(...each.points.map(([a, b]) => [100 * a, 100 * b]));
  const unit = $("measure").value === "drop" ? "points" : "accuracy on clean test labels (%)";
  const made = chart($("by_level"), points, "wrong labels (%)", unit, "Accuracy by noise level");
  if (!made) return;
  for (const [name, own] of grouped(runs, (run) => run.method)) {
    const style = method.get(name);
    const means = [...grouped(own, (run) => run.level)].sort((a, b) => a[0] - b[0]);
    line(made, means.map(([at, each]) => [100 * at, 100 * mean(each.map(measure))]), style);
    for (const run of own) {
      const dot = marker(style.marker, made.x(100 * run.level), made.y(100 * measure(run)), 3.5);
      dot.setAttribute("class", "dot");
      dot.setAttribute("tabindex", "0");
      dot.setAttribute("aria-label", `${style.title}, ${level(run.level)}, seed ${run.seed}`);
      for (const event of ["pointerenter", "focus", "click"]) dot.addEventListener(event, () => tell(run));
      made.svg.append(paint(dot, style.color));
    }
  }
  for (const each of others) line(made, each.points.map(([a, b]) => [100 * a, 100 * b]), method.get(each.method), "5 4");
}

function drawOverTraining() {
  const at = $("level").value;
  const rows = data.curves.filter((row) => row.kind === $("kind").value && String(row.level) === at && !off.has(row.method));
  const lines = [...grouped(rows, (row) => row.method)].map(([name, own]) => {
    const steps = grouped(own.flatMap((row) => row.points), (point) => point[0]);
    return [name, [...steps].sort((a, b) => a[0] - b[0]).map(([step, points]) => [step, 100 * mean(points.map((p) => p[1]))])];
  });
  const made = chart($("over_training"), lines.flatMap(([, points]) => points), "step", "accuracy on clean test labels (%)", "Accuracy over training");
  if (made) for (const [name, points] of lines) line(made, points, method.get(name));
}

// --- Tables, sorted by the column whose head was chosen.

function table(place, heads, rows) {
  const sorting = place.sorting || { column: -1, descending: false };
  place.sorting = sorting;
  const head = document.createElement("thead"), body = document.createElement("tbody"), top = head.insertRow();
  heads.forEach((text, i) => {
    const cell = document.createElement("th"), button = document.createElement("button");
    cell.scope = "col";
    cell.setAttribute("aria-sort", sorting.column !== i ? "none" : sorting.descending ? "descending" : "ascending");
    button.textContent = text + (sorting.column !== i ? "" : sorting.descending ? " ▼" : " ▲");
    button.addEventListener("click", () => {
      sorting.descending = sorting.column === i ? !sorting.descending : false;
      sorting.column = i;
      table(place, heads, rows);
    });
    cell.append(button);
    top.append(cell);
  });
  const ordered = [...rows];
  if (sorting.column >= 0) {
    const key = (row) => row[sorting.column].value;
    ordered.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0) * (sorting.descending ? -1 : 1));
  }
  for (const row of ordered) {
    const made = body.insertRow();
    for (const { text, kind } of row) {
      const cell = made.insertCell();
      cell.textContent = text;
      if (kind) cell.className = kind;
    }
  }
  place.replaceChildren(head, body);
}

function fillTables() {
  const runs = shown();
  const means = [...grouped(runs, (run) => run.method)].map(([name, own]) => {
    const row = [{ text: method.get(name).title, value: method.get(name).title }];
    for (const measure of Object.values(MEASURES)) {
      const value = mean([...grouped(own, (run) => run.level)].map(([, each]) => mean(each.map(measure))));
      row.push({ text: percent(value), value });
    }
    return [...row, { text: own.length, value: own.length }];
  });
  table($("means"), ["Method", "Final, %", "Peak, %", "Drop, points", "Runs"], means);
  table($("runs"), ["Method", "Wrong labels", "Seed", "Final, %", "Peak, %", "Drop, points", "Flags"], runs.map((run) => [
    { text: method.get(run.method).title, value: method.get(run.method).title, kind: "text" },
    { text: level(run.level), value: run.level === null ? -1 : run.level },
    { text: run.seed, value: run.seed },
    ...Object.values(MEASURES).map((measure) => ({ text: percent(measure(run)), value: measure(run) })),
    { text: Object.entries(run.settings).map(([name, value]) => `--${name}=${value}`).join(" "), value: "", kind: "flags" },
  ]));
}

// --- Controls.

function options(select, pairs) {
  select.replaceChildren(...pairs.map(([value, text]) => Object.assign(document.createElement("option"), { value, textContent: text })));
}

function levels() {
  const found = [...new Set(data.runs.filter((run) => run.kind === $("kind").value).map((run) => run.level))].sort((a, b) => a - b);
  options($("level"), found.map((value) => [String(value), level(value)]));
  $("level").selectedIndex = found.length - 1;
  $("published_label").hidden = !data.published.some((each) => each.kind === $("kind").value);
}

function draw() { drawByLevel(); drawOverTraining(); fillTables(); }

for (const each of data.methods) {
  const button = document.createElement("button"), sample = element("svg", { viewBox: "0 0 24 12", "aria-hidden": "true" });
  sample.append(paint(element("line", { x1: 0, x2: 24, y1: 6, y2: 6, "stroke-width": 2 }), each.color), paint(marker(each.marker, 12, 6, 4), each.color));
  button.type = "button";
  button.setAttribute("aria-pressed", "true");
  button.append(sample, each.title);
  button.addEventListener("click", () => {
    if (!off.delete(each.name)) off.add(each.name);
    button.setAttribute("aria-pressed", String(!off.has(each.name)));
    draw();
  });
  $("legend").append(button);
}
options($("kind"), [...new Set(data.runs.map((run) => run.kind))].map((kind) => [kind, kind]));
$("kind").addEventListener("change", () => { levels(); draw(); });
for (const id of ["measure", "level", "published"]) $(id).addEventListener("change", draw);
$("published").addEventListener("change", () => { if ($("published").checked) { $("measure").value = "peak"; draw(); } });
levels();
draw();
