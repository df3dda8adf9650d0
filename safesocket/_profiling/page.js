"use strict";
// One lane for each peer; waits that overlap are stacked. A lane is a few paths, whatever the number
// of its waits: those that would share a pixel are drawn as one, and the pointer finds them by time.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const lanesBox = byId("lanes"), axis = byId("axis"), tip = byId("tip");
const MOST_ROWS = 12, FIRST_LANES = 24, NEAR = 5, WIDE = 4, ROOM = 14; // from NEAR on in pixels
const whole = Math.max(data.seconds, 1e-6);
let view = [0, whole], chosen = null, lanes = [];

function element(kind, attributes, ...children) {
  const vector = ["svg", "path", "line", "circle", "text", "rect", "g"].includes(kind);
  const made = vector ? document.createElementNS("http://www.w3.org/2000/svg", kind) : document.createElement(kind);
  for (const name in attributes) made.setAttribute(name, attributes[name]);
  made.append(...children);
  return made;
}

function seconds(value) {
  if (value >= 100) return value.toFixed(0) + " s";
  if (value >= 1) return value.toFixed(2) + " s";
  if (value >= 0.001) return (value * 1e3).toPrecision(3) + " ms";
  return Math.round(value * 1e6) + " µs";
}

// What is drawn.

function stacked(waits) {
  const ends = [];
  for (const wait of waits) {
    let row = ends.findIndex((end) => end <= wait.start);
    if (row < 0) row = Math.min(ends.length, MOST_ROWS - 1);
    ends[row] = Math.max(wait.start + wait.took, ends[row] || 0);
    wait.row = row;
  }
  return Math.max(ends.length, 1);
}

function prepare() {
  lanes = data.peers.map((peer) => ({ peer, waits: [], failures: [] }));
  for (const [peer, phase, start, took] of data.waits)
    lanes[peer].waits.push({ phase: data.phases[phase], start, took });
  for (const [peer, phase, start, kind, text] of data.failures)
    lanes[peer].failures.push({ phase: data.phases[phase], start, took: 0, kind, text });
  for (const lane of lanes) {
    lane.rows = stacked(lane.waits);
    lane.row = lane.rows < 3 ? 16 : lane.rows < 7 ? 9 : 6;
    lane.height = Math.max(lane.rows * (lane.row + 2) + 14, 30);
    lane.top = (lane.height - lane.rows * (lane.row + 2)) / 2 + 1;
    lane.all = [...lane.waits, ...lane.failures].sort((a, b) => a.start - b.start);
  }
}

function build() {
  for (const lane of lanes.slice(lanesBox.children.length)) {
    const summary = `${seconds(lane.peer.waited)} in ${lane.peer.waits.toLocaleString("en")} wait${lane.peer.waits === 1 ? "" : "s"}`;
    const failures = lane.peer.failures ? `, ${lane.peer.failures} failed` : "";
    lane.svg = element("svg", { height: lane.height });
    lane.track = element("div", {
      class: "track", tabindex: 0, role: "img", "aria-label": `${lane.peer.name}: ${summary}${failures}`,
    }, lane.svg);
    const count = element("div", { class: "quiet" }, summary);
    if (failures) count.append(element("span", { class: "bad" }, failures));
    const label = element("div", {}, element("div", { class: "peer" }, lane.peer.name), count);
    lanesBox.append(element("div", { class: "lane" }, label, lane.track));
    listen(lane);
    if (lanesBox.children.length >= FIRST_LANES && !byId("more").dataset.done) break;
  }
  const left = lanes.length - lanesBox.children.length;
  byId("more").hidden = left <= 0;
  byId("more").textContent = `Show ${left} more peer${left === 1 ? "" : "s"}`;
}

const share = (time) => (time - view[0]) / (view[1] - view[0]);
const percent = (time) => (100 * share(time)).toFixed(3) + "%";

function ticks() {
  const span = view[1] - view[0], rough = span / 8, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9)), found = [];
  for (let at = Math.ceil(view[0] / step - 1e-9); at * step <= view[1] + step * 1e-6; at++)
    found.push([at * step, (at * step).toFixed(digits)]);
  return found;
}

// The bars of a lane, by phase. Of waits shorter than a few pixels each pixel shows the phase that
// took most of it.
function bars(lane, width, scale) {
  const found = {}, pixels = new Map(), last = {};
  const put = (phase, row, from, to) => (found[phase] ||= []).push((last[row] = { phase, row, from, to }));
  for (const wait of lane.waits) {
    if (wait.start > view[1] || wait.start + wait.took < view[0]) continue;
    const from = Math.max((wait.start - view[0]) * scale, -2);
    const to = Math.min((wait.start + wait.took - view[0]) * scale, width + 2);
    if (to - from >= WIDE) {
      const before = last[wait.row];
      if (before && before.phase === wait.phase && from <= before.to + 0.3) before.to = Math.min(before.to, from - 1);
      put(wait.phase, wait.row, from, to);
      continue;
    }
    const pixel = wait.row * (width + 9) + Math.floor(from) + 3;
    if (!pixels.has(pixel)) pixels.set(pixel, { row: wait.row, from: Math.floor(from), spent: {} });
    const { spent } = pixels.get(pixel);
    spent[wait.phase] = (spent[wait.phase] || 0) + Math.max(to - from, 1e-9);
  }
  for (const [, { row, from, spent }] of [...pixels].sort((a, b) => a[0] - b[0])) {
    const phase = Object.keys(spent).reduce((most, one) => (spent[one] > spent[most] ? one : most));
    const to = from + Math.max(1.5, Math.min(spent[phase], WIDE)), before = last[row];
    if (before && before.phase === phase && from <= before.to && from >= before.from) before.to = Math.max(before.to, to);
    else put(phase, row, from, to);
  }
  return found;
}

function drawLane(lane, marks) {
  const width = Math.ceil(lane.svg.clientWidth) || 800, scale = width / (view[1] - view[0]);
  const drawing = element("svg", { viewBox: `0 0 ${width} ${lane.height}`, preserveAspectRatio: "none", height: lane.height, width: "100%" });
  for (const [phase, shapes] of Object.entries(bars(lane, width, scale))) {
    const outlines = shapes.map((bar) => {
      const y = lane.top + bar.row * (lane.row + 2);
      return `M${bar.from.toFixed(2)} ${y}H${bar.to.toFixed(2)}v${lane.row}H${bar.from.toFixed(2)}z`;
    });
    drawing.append(element("path", { class: phase, d: outlines.join("") }));
  }
  const parts = marks.map(([time]) => element("line", { class: "gridline", x1: percent(time), x2: percent(time), y1: 0, y2: lane.height }));
  parts.push(drawing);
  const failures = lane.failures.filter((one) => one.start >= view[0] && one.start <= view[1]);
  const span = failures.length ? failures.at(-1).start - failures[0].start : 0;
  const dense = failures.length > 2 && span * scale < failures.length * ROOM;
  let drawn = -ROOM;
  for (const failure of failures) {
    const x = (failure.start - view[0]) * scale, at = percent(failure.start);
    if (x < drawn + 2) continue;
    drawn = x;
    const mark = element("g", { class: "failure" });
    mark.append(element("line", { x1: at, x2: at, y1: 2, y2: dense ? 9 : lane.height - 2 }));
    if (!dense) mark.append(element("circle", { cx: at, cy: 6, r: 4.5 }));
    parts.push(mark);
  }
  if (chosen && chosen.lane === lane) parts.push(outline(lane, chosen.event, scale));
  lane.svg.replaceChildren(...parts);
}

function outline(lane, event, scale) {
  const x = (event.start - view[0]) * scale;
  if (event.kind) return element("circle", { class: "chosen", cx: x, cy: 6, r: 6.5 });
  const y = lane.top + event.row * (lane.row + 2);
  return element("rect", { class: "chosen", x: x - 1.5, y: y - 1.5, width: Math.max(event.took * scale, 1.5) + 3, height: lane.row + 3, rx: 2 });
}

function draw() {
  const marks = ticks();
  axis.replaceChildren(...marks.map(([time, text], index) => {
    const label = index === marks.length - 1 ? text + " s" : text;
    const at = share(time), anchor = at > 0.97 ? "end" : at < 0.03 ? "start" : "middle";
    return element("text", { x: percent(time), y: 15, "text-anchor": anchor }, label);
  }));
  for (const lane of lanes) if (lane.svg) drawLane(lane, marks);
  byId("out").disabled = byId("all").disabled = view[0] <= 0 && view[1] >= whole;
}

function look(from, to) {
  const span = Math.min(Math.max(to - from, whole * 1e-5, 2e-6), whole);
  const start = Math.min(Math.max((from + to - span) / 2, 0), whole - span);
  view = [start, start + span];
  draw();
}

const closer = (factor, around = (view[0] + view[1]) / 2) =>
  look(around - (around - view[0]) * factor, around + (view[1] - around) * factor);

// What is pointed at.

function timeAt(lane, clientX) {
  const box = lane.svg.getBoundingClientRect();
  return view[0] + ((clientX - box.left) / box.width) * (view[1] - view[0]);
}

function at(lane, pointer) {
  const box = lane.svg.getBoundingClientRect(), time = timeAt(lane, pointer.clientX);
  const near = (NEAR / box.width) * (view[1] - view[0]);
  const row = Math.floor((pointer.clientY - box.top - lane.top) / (lane.row + 2));
  let best = null, distance = near;
  for (const failure of lane.failures)
    if (Math.abs(failure.start - time) <= distance) [best, distance] = [failure, Math.abs(failure.start - time)];
  if (best) return best;
  for (const wait of lane.waits) {
    if (wait.start > time + near) break;
    const off = Math.max(wait.start - time, time - wait.start - wait.took, 0) + (wait.row === row ? 0 : near / 2);
    if (off < distance || (off === distance && off < near)) [best, distance] = [wait, off];
  }
  return best;
}

function show(lane, event, x, y) {
  const title = event.kind || `${event.phase}: ${seconds(event.took)}`;
  const when = event.kind ? `${event.phase}, at ${event.start.toFixed(3)} s` : `${lane.peer.name}, at ${event.start.toFixed(3)} s`;
  tip.replaceChildren(element("b", {}, title), when);
  if (event.text) tip.append(element("br", {}), event.text);
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = Math.max(8, Math.min(x + 14, innerWidth - box.width - 8)) + "px";
  tip.style.top = (y + 18 + box.height > innerHeight ? Math.max(8, y - box.height - 12) : y + 18) + "px";
}

function choose(lane, event) {
  chosen = { lane, event };
  const middle = event.start + event.took / 2, span = view[1] - view[0];
  if (event.start < view[0] || event.start + event.took > view[1]) look(middle - span / 2, middle + span / 2);
  else draw();
  const box = lane.svg.getBoundingClientRect();
  show(lane, event, box.left + Math.min(Math.max(share(middle), 0), 1) * box.width, box.top + lane.height / 2);
}

function forget() {
  chosen = null;
  tip.hidden = true;
  draw();
}

function listen(lane) {
  let from = null, brush = null;
  const stop = () => { if (brush) brush.remove(); from = brush = null; };
  lane.track.addEventListener("pointerdown", (pointer) => {
    if (pointer.button || pointer.pointerType === "touch") return;
    from = pointer.clientX;
    lane.track.setPointerCapture(pointer.pointerId);
  });
  lane.track.addEventListener("pointermove", (pointer) => {
    const box = lane.track.getBoundingClientRect();
    if (from !== null && Math.abs(pointer.clientX - from) > 3) {
      tip.hidden = true;
      if (!brush) lane.track.append((brush = element("div", { class: "brush" })));
      const ends = [from, pointer.clientX].map((x) => Math.min(Math.max(x - box.left, 0), box.width)).sort((a, b) => a - b);
      brush.style.left = ends[0] + "px";
      brush.style.width = ends[1] - ends[0] + "px";
      return;
    }
    const event = at(lane, pointer);
    if (event) show(lane, event, pointer.clientX, pointer.clientY);
    else tip.hidden = true;
  });
  lane.track.addEventListener("pointerup", (pointer) => {
    const ends = brush && [timeAt(lane, from), timeAt(lane, pointer.clientX)].sort((a, b) => a - b);
    stop();
    if (ends) look(Math.max(ends[0], 0), Math.min(ends[1], whole));
  });
  lane.track.addEventListener("pointercancel", stop);
  lane.track.addEventListener("pointerleave", () => { if (!chosen) tip.hidden = true; });
  lane.track.addEventListener("dblclick", () => look(0, whole));
  lane.track.addEventListener("blur", forget);
  lane.track.addEventListener("wheel", (wheel) => {
    const sideways = wheel.shiftKey ? wheel.deltaY : wheel.deltaX;
    if (wheel.ctrlKey) closer(Math.exp(wheel.deltaY / 200), timeAt(lane, wheel.clientX));
    else if (Math.abs(sideways) > Math.abs(wheel.shiftKey ? 0 : wheel.deltaY)) {
      const by = (sideways / lane.svg.clientWidth) * (view[1] - view[0]);
      look(view[0] + by, view[1] + by);
    } else return;
    wheel.preventDefault();
  }, { passive: false });
  lane.track.addEventListener("keydown", (key) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[key.key];
    if (step && lane.all.length) {
      const place = chosen && chosen.lane === lane ? lane.all.indexOf(chosen.event) + step : step > 0 ? 0 : lane.all.length - 1;
      choose(lane, lane.all[Math.min(Math.max(place, 0), lane.all.length - 1)]);
    } else if (key.key === "Enter" && chosen) {
      const { start, took } = chosen.event, margin = Math.max(took, whole / 200);
      look(start - margin, start + took + margin);
      choose(lane, chosen.event);
    } else if (key.key === "Escape") {
      forget();
      look(0, whole);
    } else return;
    key.preventDefault();
  });
}

if (data.waits.length || data.failures.length) {
  byId("timeline").hidden = false;
  prepare();
  build();
  byId("in").addEventListener("click", () => closer(0.5));
  byId("out").addEventListener("click", () => closer(2));
  byId("all").addEventListener("click", () => look(0, whole));
  byId("more").addEventListener("click", () => { byId("more").dataset.done = "1"; build(); draw(); });
  new ResizeObserver(draw).observe(lanesBox);
  draw();
}
