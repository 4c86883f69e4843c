// The page of the flow: shows each state that the lab's process sends, and asks for nothing else.

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
function setIs(element, is) {
  if (element.dataset.is !== is) element.dataset.is = is;
}
function setLink(element, href, text) {
  if (element.getAttribute("href") !== href) element.setAttribute("href", href);
  if (text !== undefined) set(element, text);
}

// rows keeps one element for each item: what a person has opened, or the focus is on, stays.
function rows(container, items, keyOf, build, update) {
  container.known ??= new Map();
  const wanted = items.map(keyOf);
  for (const [key, row] of container.known) {
    if (!wanted.includes(key)) {
      row.element.remove();
      container.known.delete(key);
    }
  }
  items.forEach((item, i) => {
    let row = container.known.get(wanted[i]);
    if (!row) {
      row = build(item, i);
      container.known.set(wanted[i], row);
    }
    if (container.children[i] !== row.element) container.insertBefore(row.element, container.children[i] ?? null);
    update(row, item, i);
  });
}

// ---- Values as text

const MARKS = { good: "●", busy: "◐", bad: "▲", warn: "◆", idle: "○" };
function tag(element, is, text) {
  setIs(element, is);
  set(element, MARKS[is] + " " + text);
}
const clock = (time) => new Date(time).toLocaleTimeString("en-GB");
function moment(time) {
  const date = new Date(time);
  const today = date.toDateString() === new Date().toDateString();
  return today ? clock(date) : date.toLocaleDateString("en-GB", { day: "numeric", month: "short" }) + " " + clock(date).slice(0, 5);
}
function lasted(from, to) {
  const seconds = Math.max(0, ((to ? new Date(to) : new Date()) - new Date(from)) / 1000);
  return duration(seconds);
}
function duration(seconds) {
  if (seconds < 10) return seconds.toFixed(1) + " s";
  if (seconds < 60) return Math.round(seconds) + " s";
  const whole = Math.round(seconds);
  return Math.floor(whole / 60) + " min" + (whole % 60 ? " " + (whole % 60) + " s" : "");
}
const many = (n, one, more) => count(n) + " " + (n === 1 ? one : more);
const count = (n) => n.toLocaleString("en-GB");

// ---- The line

const PROJECTS = {
  "gridos-infra": "the resources in Azure",
  "gridos-bootstrap": "Argo CD, Argo Rollouts, secrets",
  "gridos-apps": "the Applications",
  gridos: "what other teams read",
};

function stackRow() {
  const row = { element: make("li"), name: make("h4"), state: make("span", "tag"), what: make("p"), last: make("p") };
  const head = make("div", "head");
  head.append(row.name, row.state);
  row.element.append(head, row.what, row.last);
  return row;
}
function showStack(row, stack) {
  set(row.name, stack.name);
  set(row.what, PROJECTS[stack.name] ?? "");
  const is = stack.running ? "busy" : !stack.operation ? "idle" : stack.result === "succeeded" ? "good" : "bad";
  setIs(row.element, is);
  tag(row.state, is, stack.running ? "under way" : stack.operation ? stack.result : "not made yet");
  const done = stack.result === "succeeded" ? ": " + stack.summary : " " + stack.result;
  set(row.last, stack.operation ? stack.operation + done + " · " + lasted(stack.began, stack.ended) + " · " + moment(stack.ended) : "\u00a0");
}

function box(name) {
  const row = { element: make("li"), name: make("h4", "", name), state: make("span", "tag") };
  const head = make("div", "head");
  head.append(row.name, row.state);
  row.element.append(head);
  return row;
}
const boxes = {
  git: () => {
    const row = box("Git");
    row.branch = make("p");
    row.last = make("p");
    row.element.append(row.branch, row.last);
    return row;
  },
  argocd: () => {
    const row = box("Argo CD");
    row.apps = make("ul", "apps");
    row.element.append(row.apps);
    return row;
  },
  rollouts: () => {
    const row = box("Argo Rollouts");
    row.image = make("p");
    row.split = make("div", "split");
    row.split.setAttribute("aria-hidden", "true");
    row.share = make("i");
    row.split.append(row.share);
    row.weights = make("p");
    row.links = make("p");
    row.object = make("a", "", "Rollout");
    row.routes = make("a", "", "VirtualService");
    row.links.append(row.object, " · ", row.routes);
    row.element.append(row.image, row.split, row.weights, row.links);
    return row;
  },
  users: () => {
    const row = box("Users");
    row.rate = make("p", "big");
    row.failed = make("p");
    row.spark = make("div");
    row.links = make("p");
    row.dashboard = make("a", "", "The application’s dashboard");
    row.links.append(row.dashboard);
    row.element.append(row.rate, row.failed, row.spark, row.links);
    return row;
  },
};

const HEALTH = { Healthy: "good", Progressing: "busy", Degraded: "bad", Suspended: "busy", Missing: "warn" };
const healthOf = (app) => (app.problem ? "bad" : app.sync !== "Synced" ? "busy" : HEALTH[app.health] ?? "idle");
const worst = (all) => ["bad", "warn", "busy", "idle", "good"].find((is) => all.includes(is)) ?? "idle";

const show = {
  git: (row, shown) => {
    const newest = shown.releases.find((release) => release.stages[0]?.name === "commit");
    setIs(row.element, newest ? "good" : "idle");
    tag(row.state, newest ? "good" : "idle", newest ? "pushed " + moment(newest.began) : "no push yet");
    set(row.branch, "branch " + shown.delivery.branch);
    set(row.last, newest ? newest.id + " " + newest.title : "begins with what the checkout has");
  },
  argocd: (row, shown) => {
    const apps = shown.delivery.applications;
    const is = worst(apps.map(healthOf));
    setIs(row.element, is);
    const well = apps.filter((app) => healthOf(app) === "good").length;
    tag(row.state, is, apps.length === 0 ? "no Application yet" : is === "good" ? "all well" : is === "busy" ? "under way" : well + " of " + apps.length + " well");
    rows(row.apps, apps, (app) => app.name, () => {
      const line = { element: make("li"), name: make("a"), state: make("span") };
      line.element.append(line.name, line.state);
      return line;
    }, (line, app) => {
      setLink(line.name, app.object, app.name);
      setIs(line.element, healthOf(app));
      set(line.state, MARKS[healthOf(app)] + " " + (app.sync || "Unknown") + ", " + (app.health || "Unknown") + (app.revision ? " at " + app.revision : ""));
    });
  },
  rollouts: (row, shown) => {
    const rollout = shown.delivery.rollout;
    const is = { Healthy: "good", Degraded: "bad", Progressing: "busy", Paused: "busy" }[rollout.phase] ?? "idle";
    setIs(row.element, is);
    tag(row.state, is, (rollout.phase || "not there yet").toLowerCase());
    set(row.image, rollout.image ? "asked for: " + rollout.image : "\u00a0");
    row.share.style.width = rollout.canary + "%";
    set(row.weights, rollout.stable + " % stable, " + rollout.canary + " % canary" +
      (is === "busy" && rollout.steps ? " · step " + Math.min(rollout.step + 1, rollout.steps) + " of " + rollout.steps : ""));
    row.links.hidden = !rollout.phase;
    setLink(row.object, rollout.object);
    setLink(row.routes, rollout.routing);
  },
  users: (row, shown) => {
    const users = usersOf(shown);
    const { rate, failed } = lately(users);
    const is = users.length === 0 ? "idle" : failed ? "bad" : "good";
    setIs(row.element, is);
    tag(row.state, is, users.length === 0 ? "nothing to serve yet" : failed ? "some fail" : "all are served");
    set(row.rate, users.length ? rate.toFixed(0) + " requests/s" : "\u00a0");
    set(row.failed, users.length ? count(failed) + " failed in " + duration(users.reduce((sum, u) => sum + u.seconds, 0)) : "");
    row.spark.replaceChildren(spark(users));
    row.links.hidden = !shown.delivery.application;
    if (shown.delivery.application) setLink(row.dashboard, shown.delivery.application);
  },
};

// usersOf are the users' requests since there is an application.
const usersOf = (shown) => (shown.delivery?.rollout.phase ? shown.delivery.users : []);

// lately is the rate of the last seconds, and what failed in all that is known.
function lately(users) {
  const last = users.slice(-5);
  const seconds = last.reduce((sum, u) => sum + u.seconds, 0);
  return {
    rate: seconds ? last.reduce((sum, u) => sum + u.all, 0) / seconds : 0,
    failed: users.reduce((sum, u) => sum + u.failed, 0),
  };
}

// ---- Pictures

const SVG = "http://www.w3.org/2000/svg";
function draw(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
// most is the rate that a picture goes up to. A second in which the machine had no time for the lab, and the one after, are not it.
function most(users) {
  const rates = users.map((u) => u.all / u.seconds).sort((a, b) => a - b);
  return Math.max(1, 1.1 * (rates[Math.floor(.95 * (rates.length - 1))] ?? 0));
}

// bars is a bar for each point: all requests, those of the canary, and above them those that failed.
function bars(users, width, height) {
  const total = users.reduce((sum, u) => sum + u.seconds, 0) || 1;
  const scale = (height - 2) / most(users);
  let x = 0;
  const paths = { all: "", canary: "", failed: "" };
  for (const u of users) {
    const w = (u.seconds / total) * width;
    const tall = (requests) => Math.min(height, (requests / u.seconds) * scale).toFixed(2);
    const bar = (requests) => "M" + x.toFixed(2) + " " + height + "h" + w.toFixed(2) + "v-" + tall(requests) + "h-" + w.toFixed(2) + "z";
    paths.all += bar(u.all);
    if (u.canary) paths.canary += bar(u.canary);
    if (u.failed) paths.failed += bar(u.failed);
    x += w;
  }
  return Object.entries(paths).map(([name, d]) => draw("path", { class: name, d }));
}
function spark(users) {
  return draw("svg", { class: "spark", viewBox: "0 0 240 34", preserveAspectRatio: "none", "aria-hidden": "true" }, ...bars(users, 240, 34));
}
function chart(users) {
  const width = 600, height = 120;
  const total = users.reduce((sum, u) => sum + u.seconds, 0) || 1;
  let x = 0, d = "";
  for (const u of users) {
    const y = height - 1 - (u.weight / 100) * (height - 3);
    d += (d ? "L" : "M") + x.toFixed(2) + " " + y.toFixed(2);
    x += (u.seconds / total) * width;
    d += "L" + x.toFixed(2) + " " + y.toFixed(2);
  }
  return draw("svg", { viewBox: "0 0 600 120", preserveAspectRatio: "none", "aria-hidden": "true" },
    ...[.25, .5, .75].map((y) => draw("line", { class: "rule", x1: 0, x2: width, y1: y * height, y2: y * height })),
    ...bars(users, width, height), draw("path", { class: "weight", d }));
}

// ---- Releases

const OUTCOMES = { "under way": "busy", promoted: "good", aborted: "bad", superseded: "warn", synced: "good" };
const STATES = { waiting: "idle", active: "busy", done: "good", failed: "bad" };

function releaseRow(release, i) {
  const row = {
    element: make("li", "panel release"), details: make("details"), title: make("h3"), outcome: make("span", "tag"), sum: make("p", "num"),
    stages: make("ol", "stages"), why: make("p", "why"), users: make("figure", "users"), steps: make("tbody"),
    table: make("table", "steps"), links: make("p", "small"), object: make("a", "", "Rollout"), background: make("a", "", "background analysis"), judged: make("span"),
  };
  row.details.open = i === 0;
  const summary = make("summary");
  summary.append(row.title, row.outcome, row.sum);
  const caption = make("figcaption");
  row.said = make("span");
  row.failed = make("b");
  caption.append(row.said, row.failed);
  row.plot = make("div", "plot");
  row.axis = make("div", "axis");
  row.from = make("span");
  row.to = make("span");
  row.axis.append(row.from, row.to);
  const legend = make("div", "legend");
  for (const [key, text] of [["all", "all requests"], ["canary", "answered by the canary"], ["failed", "failed"], ["weight", "the canary’s share, up to 100 %"]]) {
    const entry = make("span");
    entry.append(make("i", "k-" + key), text);
    legend.append(entry);
  }
  row.users.append(caption, row.plot, row.axis, legend);
  row.table.append(make("caption", "hidden", "The canary’s shares of the requests, and what judged each"));
  const head = make("thead"), line = make("tr");
  for (const text of ["share", "answered", "failed", "analysis, with the good measurements of all"]) {
    const cell = make("th", "", text);
    cell.scope = "col";
    line.append(cell);
  }
  head.append(line);
  row.table.append(head, row.steps);
  row.links.append(row.object, " · ", row.background, row.judged);
  const body = make("div", "body");
  body.append(row.stages, row.why, row.users, row.table, row.links);
  row.details.append(summary, body);
  row.element.append(row.details);
  return row;
}

function showRelease(row, release) {
  const is = OUTCOMES[release.outcome] ?? "idle";
  setIs(row.element, is);
  tag(row.outcome, is, release.outcome);
  set(row.title, release.tag || release.id);
  set(row.sum, release.title + " · " + moment(release.began) + " · " + lasted(release.began, release.ended) +
    (release.requests ? " · " + count(release.failed) + " of " + count(release.requests) + " requests failed" : ""));
  rows(row.stages, release.stages, (stage) => stage.name, () => {
    const part = { element: make("li"), name: make("b"), state: make("span", "hidden"), time: make("span"), text: make("span") };
    part.element.append(part.name, part.state, part.time, part.text);
    return part;
  }, (part, stage) => {
    setIs(part.element, STATES[stage.state]);
    if (stage.state === "active") part.element.setAttribute("aria-current", "step");
    else part.element.removeAttribute("aria-current");
    set(part.name, stage.name);
    set(part.state, stage.state);
    set(part.time, stage.from ? (stage.name === "commit" ? clock(stage.from) : lasted(stage.from, stage.to)) : "");
    set(part.text, stage.text);
  });
  row.why.hidden = !release.why;
  set(row.why, release.why);
  showUsers(row, release);
  row.table.hidden = release.steps.length === 0;
  rows(row.steps, release.steps, (step) => String(step.weight), stepRow, showStep);
  row.links.hidden = !release.object;
  if (release.object) setLink(row.object, release.object);
  row.background.hidden = !release.background;
  if (release.background) {
    setLink(row.background, release.background.object);
    set(row.judged, ": " + release.background.phase.toLowerCase() + ", " + sayMetrics(release.background));
  }
}

function showUsers(row, release) {
  const users = release.users;
  row.users.hidden = users.length < 2;
  if (users.length < 2) return;
  set(row.said, "Users’ requests");
  setIs(row.failed, release.failed ? "bad" : "good");
  set(row.failed, release.failed ? many(release.failed, "request", "requests") + " failed, for " + duration(release.failedSeconds) : "none failed");
  const top = make("span", "", most(users).toFixed(0) + "/s");
  top.style.top = "0";
  top.style.left = "0";
  row.plot.replaceChildren(chart(users), top);
  set(row.from, clock(users[0].at));
  set(row.to, clock(users[users.length - 1].at));
}

function stepRow() {
  const row = { element: make("tr"), share: make("th"), answered: make("td"), failed: make("td"), analysis: make("td"), link: make("a"), metrics: make("div", "metrics") };
  row.share.scope = "row";
  row.analysis.append(row.link, row.metrics);
  row.element.append(row.share, row.answered, row.failed, row.analysis);
  return row;
}
const PHASES = { Successful: "good", Failed: "bad", Error: "bad", Inconclusive: "bad", Running: "busy", Pending: "busy" };
function showStep(row, step) {
  const is = STATES[step.state];
  setIs(row.element, is);
  set(row.share, MARKS[is] + " " + step.weight + " %");
  set(row.answered, step.at ? count(step.requests) : "–");
  set(row.failed, step.at ? count(step.failed) : "–");
  row.link.hidden = !step.analysis;
  if (step.analysis) setLink(row.link, step.analysis.object, step.analysis.phase.toLowerCase());
  rows(row.metrics, step.analysis?.metrics ?? [], (metric) => metric.name, () => ({ element: make("span") }), (metric, m) => {
    setIs(metric.element, PHASES[m.phase] === "bad" ? "bad" : "good");
    set(metric.element, m.name + " " + m.good + "/" + m.all);
  });
}
const sayMetrics = (analysis) => analysis.metrics.map((m) => m.name + " " + m.good + "/" + m.all).join(", ") || "no measurement yet";

// ---- The sides

function showRefused(refused) {
  $("no-refused").hidden = refused.length > 0;
  rows($("refused"), refused, (r) => r.by + r.what + r.at, (r) => {
    const row = { element: make("li"), head: make("p"), by: make("b"), what: make(r.object ? "a" : "span"), when: make("span"), why: make("p") };
    row.head.append(row.by, " refused ", row.what, row.when);
    row.element.append(row.head, row.why);
    return row;
  }, (row, r) => {
    setIs(row.element, r.now ? "bad" : "idle");
    set(row.by, r.by);
    set(row.what, r.what || "a change");
    if (r.object) setLink(row.what, r.object);
    set(row.when, " · " + moment(r.at) + (r.now ? ", still" : ""));
    set(row.why, r.why);
  });
}

function showAzure(kinds) {
  $("no-azure").hidden = kinds.length > 0;
  rows($("azure"), kinds, (kind) => kind.type, () => {
    const row = { element: make("li"), details: make("details"), name: make("span"), number: make("b"), names: make("ul") };
    const summary = make("summary");
    summary.append(row.name, row.number);
    row.details.append(summary, row.names);
    row.element.append(row.details);
    return row;
  }, (row, kind) => {
    const [provider, ...rest] = kind.type.split("/");
    // A long name breaks where a word of it begins.
    set(row.name, rest.join("/").replace(/([a-z])([A-Z])/g, kind.type.length > 40 ? "$1\u200b$2" : "$1$2") + " ");
    row.name.title = provider;
    set(row.number, String(kind.names.length));
    rows(row.names, kind.names.map((name, i) => ({ name, i })), (n) => n.name + n.i, () => ({ element: make("li") }), (line, n) => set(line.element, n.name));
  });
}

function showScenario(played) {
  $("scenario").hidden = !played;
  if (!played) return;
  const is = played.passed === null ? "busy" : played.passed ? "good" : "bad";
  setIs($("scenario"), is);
  tag($("scenario-state"), is, played.passed === null ? "playing" : played.passed ? "kept" : "not kept");
  set($("scenario-name"), played.name);
  set($("scenario-time"), played.passed === null ? lasted(played.began) : moment(played.began));
  set($("scenario-promise"), "Promise: " + played.promise + ".");
  $("scenario-why").hidden = played.passed !== false;
  set($("scenario-why"), played.evidence);
  setLink($("scenario-link"), played.document);
}

function total(id, number, state) {
  $(id).hidden = number === null;
  if (number === null) return;
  set($(id).firstElementChild, number);
  $(id).dataset.state = state ?? "";
}

// ---- All of it

let last = null; // the newest state
let told = null; // the outcomes that were announced; null until the first state

function render() {
  if (!last) return;
  set($("environment"), last.environment);
  rows($("stacks"), last.stacks, (stack) => stack.name, stackRow, showStack);
  const delivery = last.delivery;
  $("no-delivery").hidden = delivery !== null;
  rows($("delivery"), delivery ? Object.keys(boxes) : [], (name) => name, (name) => boxes[name](), (row, name) => show[name](row, last));
  $("no-releases").hidden = last.releases.length > 0;
  rows($("release-list"), last.releases, (release) => release.id + release.began, releaseRow, showRelease);
  showRefused(last.refused);
  showAzure(last.azure);
  showScenario(last.scenario);
  const resources = last.azure.reduce((sum, kind) => sum + kind.names.length, 0);
  total("total-azure", resources ? String(resources) : null);
  const users = usersOf(last);
  const { rate, failed } = lately(users);
  total("total-users", users.length ? rate.toFixed(0) : null);
  total("total-failed", users.length ? count(failed) : null, failed ? "bad" : "");
  set($("clock"), clock(new Date()));
}

// announce tells screen readers of releases that begin and end, and of nothing else.
function announce(releases) {
  const now = new Map(releases.map((release) => [release.id + release.began, release]));
  if (told) {
    for (const [key, release] of now) {
      if (told.get(key) !== release.outcome) set($("announce"), "Release " + (release.tag || release.id) + ": " + release.outcome);
    }
  }
  told = new Map([...now].map(([key, release]) => [key, release.outcome]));
}

function link(state, text) {
  $("link").dataset.state = state;
  set($("link-text"), text);
}

const events = new EventSource("/events");
events.addEventListener("state", (event) => {
  last = JSON.parse(event.data);
  link("live", "Live");
  $("offline").hidden = true;
  announce(last.releases);
  render();
});
events.addEventListener("error", () => {
  link("lost", "No connection");
  if (last && $("offline").hidden) {
    set($("offline"), "▲ The lab does not answer: this is how it was at " + clock(new Date()) + ".");
    $("offline").hidden = false;
  }
});
// What lasts gets longer between two states, too.
setInterval(() => { if ($("link").dataset.state === "live") render(); }, 1000);
