// The dashboard: asks the API for the latest values every two seconds, and for the history of the chosen point.

const POLL = 2000;
const MAX_ALARMS = 12;
const ALARMS = {
  high: { mark: "▲", text: "High" },
  low: { mark: "▼", text: "Low" },
  abnormal: { mark: "◆", text: "Not normal" },
  stale: { mark: "◌", text: "Stale" },
  normal: { mark: "●", text: "Normal" },
};
// What a newer version of the service may call an alarm is still an alarm.
const alarmOf = (name) => ALARMS[name] || { mark: "■", text: name };
const RANK = { high: 3, low: 3, abnormal: 2, stale: 1, normal: 0 };
const rank = (name) => RANK[name] ?? 3;

const $ = (id) => document.getElementById(id);
function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}
// Texts are only touched when they change, so that nothing flickers and screen readers stay quiet.
function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
function setData(element, name, value) {
  if (element.dataset[name] !== value) element.dataset[name] = value;
}

// ---- Values as text

const DIGITS = { voltage: 1, current: 0, frequency: 3, "active-power": 1, "reactive-power": 1, temperature: 1, "tap-position": 0 };
function number(point, value) {
  if (value === null || value === undefined) return "–";
  if (point.states) return point.states[value] ?? String(value);
  return value.toLocaleString("en-GB", { minimumFractionDigits: DIGITS[point.kind] ?? 0, maximumFractionDigits: DIGITS[point.kind] ?? 3 })
    .replace("-", "\u2212");
}
const withUnit = (point, value) => number(point, value) + (point.unit && value !== null ? " " + point.unit : "");
const clock = (time) => time.toLocaleTimeString("en-GB");
function moment(time) {
  const today = time.toDateString() === new Date().toDateString();
  return today ? clock(time) : time.toLocaleDateString("en-GB", { day: "numeric", month: "short" }) + " " + clock(time).slice(0, 5);
}
function limits(point) {
  if (point.normal !== undefined && point.states) return "normally " + number(point, point.normal);
  if (point.low !== undefined && point.high !== undefined) return number(point, point.low) + " to " + withUnit(point, point.high);
  if (point.high !== undefined) return "up to " + withUnit(point, point.high);
  if (point.low !== undefined) return "from " + withUnit(point, point.low);
  return "none";
}

// ---- The overview

const cards = new Map(); // by id of the substation: the card, its points, and what they were last
let chosen = null; // { substation, point } or null
let raised = null; // alarms that have been announced; null until the first answer

const condition = (point) => (point.alarm !== "normal" ? point.alarm : point.stale ? "stale" : "normal");

function show(latest) {
  const stations = latest.substations;
  const container = $("stations");
  const known = stations.map((s) => s.id + ":" + s.points.map((p) => p.key)).join();
  if (container.dataset.known !== known) {
    container.dataset.known = known;
    build(container, stations);
  }
  const alarms = [];
  let stale = 0;
  for (const station of stations) {
    const card = cards.get(station.id);
    let worst = "normal", count = 0;
    for (const point of station.points) {
      const now = condition(point);
      if (rank(now) > rank(worst)) worst = now;
      if (point.alarm !== "normal") { alarms.push({ station, point }); count++; }
      if (point.stale) stale++;
      update(card.points.get(point.key), station, point, now);
    }
    setData(card.element, "alarm", worst);
    setData(card.tag, "alarm", worst);
    set(card.tag, alarmOf(worst).mark + " " + (count > 1 ? count + " alarms" : alarmOf(worst).text));
    set(card.name, station.name);
    set(card.region, station.region || "\u00a0");
    card.element.hidden = $("only-alarms").checked && worst === "normal";
  }
  total("total-alarms", alarms.length, alarms.length === 1 ? "alarm" : "alarms", alarms.length ? "high" : "normal");
  total("total-stale", stale, "stale", stale ? "stale" : "normal");
  total("total-stations", stations.length, stations.length === 1 ? "substation" : "substations");
  const shown = [...cards.values()].some((card) => !card.element.hidden);
  $("no-stations").hidden = shown;
  set($("no-stations"), stations.length ? "All substations are normal." : "No substation has been defined yet.");
  list(alarms);
  document.title = (alarms.length ? "(" + alarms.length + ") " : "") + "GridOS: substations";
}

function total(id, count, text, state) {
  set($(id).firstElementChild, String(count));
  set($(id).lastElementChild, text);
  if (state) setData($(id), "state", state);
}

function build(container, stations) {
  const focused = document.activeElement?.dataset?.ref;
  cards.clear();
  container.replaceChildren(...stations.map((station) => {
    const card = {
      element: make("article", "station"), name: make("span"), region: make("small"), tag: make("span", "tag"), points: new Map(),
    };
    const title = make("h3");
    title.id = "station-" + station.id;
    title.append(card.name, card.region);
    const head = make("header");
    head.append(title, card.tag);
    const points = make("div", "points");
    points.setAttribute("role", "group");
    points.setAttribute("aria-labelledby", title.id);
    station.points.forEach((point, index) => {
      const row = {
        element: make("button", "point"), mark: make("span", "mark"), name: make("span", "name"), gauge: make("span"),
        value: make("span", "value"), number: make("span"), unit: make("small"), note: make("span", "note"),
      };
      row.element.type = "button";
      row.element.dataset.ref = station.id + "/" + point.key;
      row.element.tabIndex = index === 0 ? 0 : -1; // one stop for each substation; the arrow keys move within it
      row.mark.setAttribute("aria-hidden", "true");
      row.value.append(row.number, " ", row.unit, row.note);
      row.element.append(row.mark, row.name, row.gauge, row.value);
      row.element.addEventListener("click", () => choose(station.id, point.key, true));
      card.points.set(point.key, row);
      points.append(row.element);
    });
    points.addEventListener("keydown", walk);
    card.element.append(head, points);
    cards.set(station.id, card);
    return card.element;
  }));
  if (focused) container.querySelector(`[data-ref="${CSS.escape(focused)}"]`)?.focus();
}

function update(row, station, point, now) {
  setData(row.element, "alarm", now);
  setData(row.element, "stale", String(point.stale));
  set(row.mark, alarmOf(now).mark);
  set(row.name, point.name);
  row.element.title = point.name + (point.at ? ", measured " + moment(new Date(point.at)) : ", not measured yet");
  set(row.number, number(point, point.value));
  set(row.unit, point.unit || "");
  const note = (point.alarm !== "normal" ? alarmOf(point.alarm).text : "") +
    (point.stale ? (point.alarm !== "normal" ? ", stale" : "Stale") : "");
  set(row.note, note);
  row.note.hidden = note === "";
  gauge(row.gauge, point);
  const pressed = String(chosen !== null && chosen.substation === station.id && chosen.point === point.key);
  if (row.element.getAttribute("aria-pressed") !== pressed) row.element.setAttribute("aria-pressed", pressed);
  if (pressed === "true") headline(station, point, now);
}

function gauge(element, point) {
  if (point.states || point.value === null || (point.low === undefined && point.high === undefined)) {
    element.className = "";
    element.replaceChildren();
    return;
  }
  if (!element.firstChild) {
    element.className = "gauge";
    element.append(make("i"), make("b"));
  }
  let low = point.low, high = point.high;
  low ??= Math.min(0, high - Math.abs(high));
  high ??= Math.max(low + Math.abs(low), low + 1);
  const margin = (high - low) * 0.3;
  const place = (value) => Math.min(100, Math.max(0, (value - low + margin) / (high - low + 2 * margin) * 100)).toFixed(1) + "%";
  element.style.setProperty("--from", point.low === undefined ? "0%" : place(low));
  element.style.setProperty("--to", point.high === undefined ? "100%" : place(high));
  element.style.setProperty("--at", place(point.value));
}

function walk(event) {
  const rows = [...event.currentTarget.children];
  const at = rows.indexOf(event.target.closest(".point"));
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
  if (to === undefined || at < 0) return;
  event.preventDefault();
  const next = rows[Math.min(rows.length - 1, Math.max(0, to))];
  for (const row of rows) row.tabIndex = row === next ? 0 : -1;
  next.focus();
}

function list(alarms) {
  alarms.sort((a, b) => (b.point.alarmSince || "").localeCompare(a.point.alarmSince || ""));
  const container = $("alarms");
  const items = new Map([...container.children].map((item) => [item.dataset.key, item]));
  const wanted = alarms.slice(0, MAX_ALARMS).map(({ station, point }) => {
    const key = station.id + "/" + point.key;
    let item = items.get(key);
    if (!item) {
      item = make("li");
      item.dataset.key = key;
      const button = make("button");
      button.type = "button";
      button.append(make("b"), make("span"), make("time"));
      button.addEventListener("click", () => choose(station.id, point.key, true));
      item.append(button);
    }
    setData(item, "alarm", point.alarm);
    const [kind, what, since] = item.firstChild.children;
    set(kind, alarmOf(point.alarm).mark + " " + alarmOf(point.alarm).text);
    set(what, station.name + ", " + point.name + ": " + withUnit(point, point.value));
    set(since, point.alarmSince ? moment(new Date(point.alarmSince)) : "");
    return item;
  });
  // Moving what is in place already would take the focus away.
  for (const item of container.children) if (!wanted.includes(item)) item.remove();
  wanted.forEach((item, index) => { if (container.children[index] !== item) container.insertBefore(item, container.children[index] ?? null); });
  $("no-alarms").hidden = alarms.length > 0 && alarms.length <= MAX_ALARMS;
  set($("no-alarms"), alarms.length ? "And " + (alarms.length - MAX_ALARMS) + " more, in the substations below."
    : "No alarms. Everything is within its limits.");

  const now = new Map(alarms.map(({ station, point }) => [station.id + "/" + point.key + point.alarm, station.name + ", " + point.name + ": " + alarmOf(point.alarm).text]));
  if (raised) {
    const fresh = [...now].filter(([key]) => !raised.has(key)).map(([, text]) => text);
    if (fresh.length) set($("announce"), "Alarm: " + fresh.slice(0, 3).join("; ") + (fresh.length > 3 ? " and " + (fresh.length - 3) + " more" : ""));
  }
  raised = now;
}

// ---- The trend

let series = null;
let asked = null; // the request for the series that runs
let cursorAt = -1;

const range = () => document.querySelector("#ranges input:checked").value;

function choose(substation, point, move) {
  chosen = { substation, point };
  history.replaceState(null, "", "#" + substation + "/" + point + "/" + range());
  series = null;
  cursorAt = -1;
  for (const row of document.querySelectorAll(".point")) {
    row.setAttribute("aria-pressed", String(row.dataset.ref === substation + "/" + point));
  }
  draw();
  refresh();
  if (move && matchMedia("(max-width: 1020px)").matches) {
    $("trend").scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  }
  if (move) $("plot").focus({ preventScroll: true });
}

function headline(station, point, now) {
  set($("trend-title"), point.name);
  set($("trend-of"), station.name + (station.region ? ", " + station.region : "") + (point.at ? " · " + moment(new Date(point.at)) : ""));
  set($("trend-value"), number(point, point.value));
  set($("trend-unit"), point.unit || "");
  document.querySelector(".reading").hidden = false;
  const tag = $("trend-state");
  tag.hidden = false;
  setData(tag, "alarm", now);
  set(tag, alarmOf(now).mark + " " + alarmOf(now).text);
}

async function refresh() {
  if (!chosen) return;
  asked?.abort();
  const mine = asked = new AbortController();
  const { substation, point } = chosen;
  const buckets = Math.max(60, Math.min(800, Math.round($("plot").clientWidth / 1.5)));
  try {
    const response = await fetch(`/api/v1/substations/${substation}/points/${point}/series?window=${range()}&buckets=${buckets}`,
      { signal: AbortSignal.any([mine.signal, AbortSignal.timeout(10000)]) });
    if (!response.ok) throw new Error("status " + response.status);
    const answer = await response.json();
    if (mine.signal.aborted) return;
    series = answer;
    draw();
  } catch (error) {
    if (!mine.signal.aborted && !series) empty("The history cannot be read at the moment.");
  }
}

const SVG = "http://www.w3.org/2000/svg";
function shape(parent, tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

function canvas() {
  const svg = document.createElementNS(SVG, "svg");
  const width = Math.max(240, $("plot").clientWidth), height = $("plot").clientHeight;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("aria-hidden", "true");
  return { svg, width, height };
}

function empty(text) {
  const { svg, width, height } = canvas();
  shape(svg, "text", { x: width / 2, y: height / 2, class: "empty" }, text);
  $("plot").replaceChildren(svg);
  $("plot").setAttribute("aria-valuetext", text);
  $("summary").hidden = true;
  set($("cursor"), "\u00a0");
}

// Steps of 1, 2 or 5 times a power of ten.
function ticks(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const found = [];
  for (let n = Math.ceil(low / step); n * step <= high + step * 1e-6; n++) found.push(n * step);
  return { found, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

const TIME_STEPS = [60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800].map((s) => s * 1000);

let plot = null; // what is needed to move the cursor over the drawing

function draw() {
  if (!chosen) return empty("No value is chosen.");
  if (!series) return empty("Loading…");
  const { buckets } = series;
  plot = null;
  if (!buckets.length) return empty("Nothing was measured in this time.");

  const { svg, width, height } = canvas();
  const from = Date.parse(series.from), to = Date.parse(series.to), times = buckets.map((b) => Date.parse(b.at));
  let low = Math.min(...buckets.map((b) => b.min)), high = Math.max(...buckets.map((b) => b.max));
  const lowest = low, highest = high;
  // A limit belongs to the picture when a value is anywhere near it.
  const shownLimits = [["low", series.low], ["high", series.high]].filter(([, limit]) => limit !== undefined);
  for (const [, limit] of shownLimits) {
    const span = Math.max(high - low, Math.abs(limit) * 0.02);
    if (limit < low && low - limit < 3 * span) low = limit;
    if (limit > high && limit - high < 3 * span) high = limit;
  }
  const digits = series.states ? 0 : DIGITS[series.kind] ?? 2;
  const pad = Math.max((high - low) * 0.08, 2 * 10 ** -digits);
  low -= pad; high += pad;
  if (series.states) { low = -0.25; high = series.states.length - 0.75; }

  const grid = series.states ? { found: series.states.map((_, i) => i), digits: 0 } : ticks(low, high, 5);
  const label = (value) => series.states ? series.states[value] : value.toFixed(grid.digits).replace("-", "\u2212");
  const left = Math.max(...grid.found.map((v) => label(v).length)) * 6.8 + 12, right = width - 8, top = 10, bottom = height - 24;
  const x = (time) => left + (time - from) / (to - from) * (right - left);
  const y = (value) => bottom - (value - low) / (high - low) * (bottom - top);
  const px = (n) => n.toFixed(1);

  for (const value of grid.found) {
    shape(svg, "line", { class: "grid", x1: left, x2: right, y1: px(y(value)), y2: px(y(value)) });
    shape(svg, "text", { x: left - 6, y: px(y(value) + 4), "text-anchor": "end" }, label(value));
  }
  const step = TIME_STEPS.find((s) => (to - from) / s <= (right - left) / 70) ?? 86400000 * 2;
  const offset = new Date(to).getTimezoneOffset() * 60000;
  for (let time = Math.ceil((from - offset) / step) * step + offset; time <= to; time += step) {
    const at = new Date(time), text = step >= 86400000 ? at.toLocaleDateString("en-GB", { day: "numeric", month: "short" }) : clock(at).slice(0, 5);
    shape(svg, "line", { class: "axis", x1: px(x(time)), x2: px(x(time)), y1: bottom, y2: bottom + 4 });
    if (x(time) > left + 12 && x(time) < right - 12) shape(svg, "text", { x: px(x(time)), y: bottom + 17, "text-anchor": "middle" }, text);
  }
  shape(svg, "line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom });

  // A line only joins what belongs together: senders may be slower than a bucket, but after a minute a value is stale.
  const gap = Math.max(3 * series.bucketSeconds, 60) * 1000;
  const middle = (i) => Math.min(to, times[i] + series.bucketSeconds * 500);
  let trace = "", band = "", run = [];
  const close = () => {
    if (!run.length) return;
    const point = (i, value) => px(x(middle(i))) + " " + px(y(value));
    trace += "M" + run.map((i, n) => (series.states && n ? "H" + px(x(middle(i))) + "V" + px(y(buckets[i].avg)) : (n ? "L" : "") + point(i, buckets[i].avg))).join("");
    if (run.length === 1) trace += "h.1"; // a dot
    band += "M" + run.map((i) => point(i, buckets[i].max)).join("L") + "L" + run.toReversed().map((i) => point(i, buckets[i].min)).join("L") + "Z";
    run = [];
  };
  times.forEach((time, i) => {
    if (i && time - times[i - 1] > gap) close();
    run.push(i);
  });
  close();
  if (!series.states) shape(svg, "path", { class: "band", d: band });
  for (const [name, limit] of shownLimits) {
    if (limit < low || limit > high) continue;
    shape(svg, "line", { class: "limit " + name, x1: left, x2: right, y1: px(y(limit)), y2: px(y(limit)) });
    shape(svg, "text", { class: name, x: left + 5, y: px(y(limit) + (name === "high" ? -5 : 14)) }, alarmOf(name).mark + " " + name + " limit " + withUnit(series, limit));
  }
  shape(svg, "path", { class: "trace", d: trace });
  const cursor = shape(svg, "g", { visibility: "hidden" });
  shape(cursor, "line", { class: "cursor", y1: top, y2: bottom });
  shape(cursor, "circle", { r: 4 });
  $("plot").replaceChildren(svg);

  const count = buckets.reduce((sum, b) => sum + b.count, 0);
  set($("sum-min"), withUnit(series, lowest));
  set($("sum-avg"), series.states ? "–" : withUnit(series, buckets.reduce((sum, b) => sum + b.avg * b.count, 0) / count));
  set($("sum-max"), withUnit(series, highest));
  set($("sum-limits"), limits(series));
  $("summary").hidden = false;
  plot = { x, y, middle, cursor, width };
  $("plot").setAttribute("aria-valuemax", String(buckets.length - 1));
  point(cursorAt >= 0 && cursorAt < buckets.length ? cursorAt : -1);
}

// point puts the cursor on a bucket; -1 takes it away.
function point(index) {
  cursorAt = index;
  if (!plot) return;
  const { buckets } = series, at = index < 0 ? buckets.length - 1 : index, bucket = buckets[at];
  const text = moment(new Date(bucket.at)) + ": " + (series.states ? number(series, Math.round(bucket.avg)) : withUnit(series, bucket.avg) +
    (bucket.count > 1 ? " (" + number(series, bucket.min) + " to " + number(series, bucket.max) + ")" : ""));
  $("plot").setAttribute("aria-valuenow", String(at));
  $("plot").setAttribute("aria-valuetext", text);
  set($("cursor"), index < 0 ? "\u00a0" : text);
  plot.cursor.setAttribute("visibility", index < 0 ? "hidden" : "visible");
  const [line, dot] = plot.cursor.children, x = plot.x(plot.middle(at)).toFixed(1);
  line.setAttribute("x1", x);
  line.setAttribute("x2", x);
  dot.setAttribute("cx", x);
  dot.setAttribute("cy", plot.y(bucket.avg).toFixed(1));
}

$("plot").addEventListener("pointermove", (event) => {
  if (!plot) return;
  const x = event.clientX - $("plot").getBoundingClientRect().left;
  let best = 0;
  series.buckets.forEach((_, i) => { if (Math.abs(plot.x(plot.middle(i)) - x) < Math.abs(plot.x(plot.middle(best)) - x)) best = i; });
  point(best);
});
$("plot").addEventListener("pointerleave", () => point(-1));
$("plot").addEventListener("blur", () => point(-1));
$("plot").addEventListener("keydown", (event) => {
  if (!plot) return;
  const last = series.buckets.length - 1, at = cursorAt < 0 ? last : cursorAt, far = Math.max(1, Math.round(last / 10));
  const to = { ArrowLeft: at - 1, ArrowRight: at + 1, PageDown: at - far, PageUp: at + far, Home: 0, End: last }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  point(Math.min(last, Math.max(0, to)));
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !chosen) return;
  const row = cards.get(chosen.substation)?.points.get(chosen.point)?.element;
  if (!row) return;
  for (const other of row.parentElement.children) other.tabIndex = other === row ? 0 : -1;
  row.focus();
});
$("ranges").addEventListener("change", () => {
  if (chosen) choose(chosen.substation, chosen.point, false);
});
new ResizeObserver(() => draw()).observe($("plot"));

// ---- Asking

let newest = null, lastSeen = null;
function link(state, text) {
  document.body.dataset.link = state;
  setData($("link"), "state", state);
  set($("link-text"), text);
}

async function poll() {
  try {
    const response = await fetch("/api/v1/substations", { signal: AbortSignal.timeout(8000) });
    if (!response.ok) throw new Error("status " + response.status);
    newest = await response.json();
    lastSeen = new Date();
    show(newest);
    set($("clock"), clock(lastSeen));
    link("live", "Live");
    $("offline").hidden = true;
  } catch (error) {
    link("lost", "No connection");
    set($("offline"), "✕ No connection" + (lastSeen ? ": the values are those of " + clock(lastSeen) : "") + ". Trying again.");
    $("offline").hidden = false;
  }
}

$("only-alarms").addEventListener("change", () => { if (newest) show(newest); });

function restore() {
  const [, substation, name, window] = location.hash.match(/^#([a-z0-9-]+)\/([a-z0-9-]+)\/([0-9a-z]+)$/) ?? [];
  if (!substation) return false;
  const input = document.querySelector(`#ranges input[value="${window}"]`);
  if (input) input.checked = true;
  choose(substation, name, false);
  return true;
}

async function run() {
  const visible = () => document.hidden ? new Promise((done) => document.addEventListener("visibilitychange", done, { once: true })) : null;
  const restored = restore();
  fetch("/version").then((r) => r.json()).then((v) => set($("version"), "GridOS " + v.version)).catch(() => {});
  await poll();
  if (!restored && newest) {
    // Begin with what matters most.
    const points = newest.substations.flatMap((s) => s.points.map((p) => ({ s, p })));
    const first = points.find(({ p }) => p.alarm !== "normal" && !p.states) ?? points[0];
    if (first) choose(first.s.id, first.p.key, false);
    show(newest);
  }
  for (let round = 1; ; round++) {
    await new Promise((done) => setTimeout(done, POLL));
    await visible();
    await poll();
    if (!chosen && newest?.substations.length) choose(newest.substations[0].id, newest.substations[0].points[0].key, false);
    // A long trend changes slowly.
    if (round % (series?.bucketSeconds > 30 ? 15 : 3) === 0) await refresh();
  }
}
run();
