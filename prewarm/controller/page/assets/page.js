"use strict";
(() => {
  const $ = id => document.getElementById(id);
  const mostRows = 100, mostTraces = 24, mostContainers = 50, mostGlyphs = 16;
  const seconds = Lanes.seconds;
  const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 }), one = new Intl.NumberFormat("en", { maximumFractionDigits: 1, minimumFractionDigits: 1 });
  const number = x => Math.abs(x) < 100 ? one.format(x) : whole.format(x);
  const clock = Plots.clock;

  // What is known of the controller: the short parts in state, lists by key.
  let state = null;
  const lists = { functions: new Map(), traces: new Map(), containers: new Map(), decisions: new Map() };
  const keyOf = { functions: f => f.name, traces: t => t.trace, containers: c => c.id, decisions: d => d.id };
  let receivedAt = 0; // of the state, by performance.now()
  let filter = "";
  const opened = new Set(); // rows whose reason is shown

  const now = () => Date.parse(state.time) / 1000 + (connected ? performance.now() - receivedAt : 0) / 1000;

  // Say something to those who do not see the page, once.
  function say(text) {
    if ($("status").textContent !== text) $("status").textContent = text;
  }

  // ---- the connection

  let events = null, connected = false, lostSince = null, lastHeard = 0, retry = 1000, retryTimer = 0;

  function heard() {
    lastHeard = performance.now();
    if (connected) return;
    connected = true;
    retry = 1000;
    if (lostSince) say(`Connected again at ${clock(Date.now())}.`);
    lostSince = null;
    $("lost").hidden = true;
    document.body.classList.remove("stale");
    buttons();
  }

  function lost() {
    if (events) events.close();
    events = null;
    if (connected || !lostSince) {
      lostSince = new Date();
      $("lost").textContent = `The connection to the controller is lost since ${clock(lostSince)}. What is shown is from then; it is tried again.`;
      $("lost").hidden = false;
      document.body.classList.add("stale");
    }
    if (state && connected) state.time = new Date(now() * 1000).toISOString();
    connected = false;
    buttons();
    clearTimeout(retryTimer);
    retryTimer = setTimeout(connect, retry);
    retry = Math.min(retry * 2, 10000);
  }

  function connect() {
    clearTimeout(retryTimer);
    const source = events = new EventSource("/v1/events");
    const on = (name, f) => source.addEventListener(name, e => { if (source === events) { heard(); f(JSON.parse(e.data)); } });
    on("state", s => {
      for (const name in lists) {
        lists[name].clear();
        for (const one of s[name] || []) lists[name].set(keyOf[name](one), one);
        delete s[name];
      }
      receive(s);
    });
    on("change", c => {
      for (const name in lists) {
        for (const one of c[name]?.set || []) lists[name].set(keyOf[name](one), one);
        for (const key of c[name]?.gone || []) lists[name].delete(key);
        delete c[name];
      }
      receive({ ...state, ...c });
    });
    on("history", h => Plots.history(h));
    on("sample", s => Plots.sample(s));
    on("beat", () => {});
    on("fault", text => say(`The controller cannot tell its state: ${text}`));
    source.onerror = () => { if (source === events) lost(); };
  }

  // A connection that is silent for three beats is none.
  setInterval(() => { if (connected && performance.now() - lastHeard > 15000) lost(); }, 1000);

  function receive(next) {
    const before = state;
    state = next;
    receivedAt = performance.now();
    if (before && before.mode !== state.mode) say(`The controller is ${state.mode === "dry run" ? "in a dry run" : state.mode}${state.mode_reason ? `: ${state.mode_reason}` : ""}.`);
    if (before && before.actuator?.circuit !== state.actuator?.circuit) say(`The actuator's circuit is ${state.actuator.circuit}.`);
    const bad = (state.models || []).filter(m => !m.agrees).map(m => m.name).join(", ");
    const wasBad = (before?.models || []).filter(m => !m.agrees).map(m => m.name).join(", ");
    if (before && bad !== wasBad) say(bad ? `Not used, because it does not agree with what comes: ${bad}.` : "All models agree with what comes.");
    schedule();
  }

  // ---- what is shown

  let scheduled = false;
  function schedule() {
    if (scheduled || document.hidden) return;
    scheduled = true;
    requestAnimationFrame(() => { scheduled = false; if (state) render(); });
  }
  document.addEventListener("visibilitychange", schedule);

  function make(name, className, text) {
    const e = document.createElement(name);
    if (className) e.className = className;
    if (text !== undefined) e.textContent = text;
    return e;
  }
  function put(e, text) {
    if (e.textContent !== String(text)) e.textContent = text;
  }

  // sync makes the children of a parent those of the items, in their order, and keeps elements, so that focus stays where it is.
  function sync(parent, items, key, create, update) {
    const wanted = new Set(items.map(i => String(key(i)))), old = new Map(), focused = document.activeElement;
    for (const e of [...parent.children]) {
      if (wanted.has(e.dataset.key)) old.set(e.dataset.key, e);
      else e.remove();
    }
    let at = parent.firstElementChild;
    for (const item of items) {
      const k = String(key(item)), e = old.get(k) || create(item);
      e.dataset.key = k;
      if (e === at) at = at.nextElementSibling;
      else parent.insertBefore(e, at);
      update(e, item);
    }
    if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
  }

  const matches = (...texts) => !filter || texts.some(t => t && String(t).toLowerCase().includes(filter));

  function render() {
    header();
    traces();
    functions();
    decisions();
    models();
  }

  function header() {
    put($("mode"), state.mode);
    $("mode").dataset.mode = state.mode;
    put($("mode-reason"), state.mode_reason || "");
    put($("policy"), state.policy);
    put($("platform"), state.platform);
    put($("in-flight"), whole.format(state.in_flight));
    const t = state.totals, starts = t.warm + t.late + t.cold;
    for (const e of document.querySelectorAll("[data-total]")) {
      const name = e.dataset.total, v = t[name];
      put(e, name === "saved_seconds" || name.endsWith("mb_s") ? number(v) : whole.format(v));
    }
    for (const e of document.querySelectorAll("[data-share]")) put(e, starts ? `${one.format(100 * t[e.dataset.share] / starts)} %` : "");
    put($("begun"), Plots.date(state.begun));
    buttons();
  }

  function buttons() {
    const paused = state?.mode === "paused" || !state && $("mode").dataset.mode === "paused";
    $("pause").hidden = paused;
    $("resume").hidden = !paused;
    $("pause").disabled = $("resume").disabled = !connected;
  }

  let laneWidth = 0;
  function traces() {
    const all = [...lists.traces.values()].sort((a, b) => Date.parse(b.begun) - Date.parse(a.begun));
    const fit = all.filter(t => matches(t.trace, t.application, ...(t.invocations || []).map(i => i.function), ...(t.expected || []).map(e => e.function)));
    // Those in flight come first, those that have ended keep their order behind them.
    const shown = [...fit.filter(t => !t.ended), ...fit.filter(t => t.ended)].slice(0, mostTraces);
    put($("lanes-count"), `${whole.format(state.in_flight)}`);
    const parent = $("traces"), at = now();
    sync(parent, shown, t => t.trace, t => {
      const e = make("article", "trace"), h = make("h3"), b = make("button", "", "");
      b.type = "button";
      b.append(make("code", "", t.trace.length > 13 ? `${t.trace.slice(0, 12)}…` : t.trace));
      b.title = `decisions for ${t.trace}`;
      b.setAttribute("aria-label", `show the decisions for request ${t.trace}`);
      b.addEventListener("click", () => { setFilter(t.trace); $("decisions-title").focus(); });
      h.append(b, make("span", "application"), make("span", "when"));
      e.append(h, make("p", "hidden words"), make("div", "picture"));
      return e;
    }, (e, t) => {
      e.classList.toggle("ended", !!t.ended);
      put(e.querySelector(".application"), t.application || "");
      put(e.querySelector(".when"), t.ended ? `ended after ${seconds((Date.parse(t.ended) - Date.parse(t.begun)) / 1000)}` : `for ${seconds(at - Date.parse(t.begun) / 1000)}`);
      if (e.shown === t && t.ended && e.width === laneWidth) return; // nothing moves any more
      e.shown = t;
      e.width = laneWidth;
      put(e.querySelector(".words"), Lanes.words(t, Date.parse(state.time) / 1000));
      e.querySelector(".picture").replaceChildren(Lanes.draw(t, at, e.querySelector(".picture").clientWidth || 300));
    });
    const more = fit.length - shown.length, rest = state.in_flight - all.filter(t => !t.ended).length;
    const notes = [];
    if (more > 0) notes.push(`${whole.format(more)} more are not drawn: narrow them down by the filter.`);
    if (rest > 0) notes.push(`The controller shows some of those in flight; ${whole.format(rest)} are not among them.`);
    if (!fit.length) notes.push(filter ? `None matches “${filter}”.` : "None at the moment.");
    put($("traces-more"), notes.join(" "));
  }

  // expandable returns a row with a button that opens and closes the row of its reason, which fill fills.
  function row(table, key, columns) {
    const tr = make("tr"), th = make("th"), b = make("button");
    b.type = "button";
    b.setAttribute("aria-expanded", "false");
    b.addEventListener("click", () => {
      const id = `${table}/${key}`;
      if (!opened.delete(id)) opened.add(id);
      render();
    });
    th.scope = "row";
    th.append(b);
    tr.append(th);
    for (const c of columns) tr.append(make("td", c));
    return tr;
  }

  // withReasons puts the open rows' reasons between the rows.
  function withReasons(table, items, key) {
    const all = [];
    for (const i of items) {
      all.push({ item: i, key: `${table}/${key(i)}` });
      if (opened.has(`${table}/${key(i)}`)) all.push({ item: i, key: `${table}/${key(i)}/reason`, reason: true });
    }
    return all;
  }

  function reasonRow(columns) {
    const tr = make("tr", "reason"), td = make("td");
    td.colSpan = columns;
    td.append(make("dl", "why"));
    tr.append(td);
    return tr;
  }

  // reason writes pairs of a term and what is said of it; those of which nothing is said are left out.
  function reason(tr, pairs) {
    const fit = pairs.filter(p => p[1]), text = JSON.stringify(fit);
    if (tr.dataset.text === text) return;
    tr.dataset.text = text;
    tr.querySelector("dl").replaceChildren(...fit.flatMap(([t, d]) => [make("dt", "", t), make("dd", "", d)]));
  }

  function table(name, items, key, columns, update, reasons) {
    const kept = new Set(items.map(i => `${name}/${key(i)}`));
    for (const id of opened) if (id.startsWith(`${name}/`) && !kept.has(id) && !lists[name].has(name === "decisions" ? +id.slice(name.length + 1) : id.slice(name.length + 1))) opened.delete(id);
    sync($(name).tBodies[0], withReasons(name, items, key), r => r.key,
      r => r.reason ? reasonRow(columns.length + 1) : row(name, key(r.item), columns),
      (e, r) => {
        if (r.reason) return reason(e, reasons(r.item));
        e.querySelector("button").setAttribute("aria-expanded", opened.has(r.key));
        update(e, r.item);
      });
  }

  let names = []; // of all functions, in order; sorting thousands each time would take long
  function functions() {
    const order = $("sort").value;
    const size = { invocations: f => f.invocations, cold: f => f.cold, wasted: f => f.wasted, containers: f => f.starting + f.warmed + f.idle + f.busy }[order];
    if (names.length !== lists.functions.size || names.some(n => !lists.functions.has(n))) {
      names = [...lists.functions.keys()].sort(new Intl.Collator("en", { numeric: true }).compare);
    }
    const fit = names.map(n => lists.functions.get(n)).filter(f => matches(f.name, f.application));
    if (size) fit.sort((a, b) => size(b) - size(a)); // which keeps those of equal size in the order of names
    const shown = fit.slice(0, mostRows);
    put($("functions-count"), fit.length > shown.length || filter ? `${shown.length} of ${whole.format(lists.functions.size)} shown` : whole.format(lists.functions.size));
    table("functions", shown, f => f.name, ["text", "text pools", "", "", "", "", "", "", ""], (e, f) => {
      put(e.querySelector("button"), f.name);
      const c = e.cells;
      put(c[1], f.served ? "✓ served" : `✗ ${f.reason || "not served"}`);
      c[1].className = `text ${f.served ? "good" : "bad"}`;
      pools(c[2], f);
      [f.warm, f.late, f.cold, f.hits, f.wasted].forEach((v, i) => put(c[i + 3], whole.format(v)));
      put(c[8], f.start_seconds ? seconds(f.start_seconds) : "–");
      put(c[9], f.memory_mb);
    }, f => {
      const own = [...lists.containers.values()].filter(c => c.function === f.name).sort((a, b) => b.id - a.id);
      const pairs = [["application", f.application], ["version", f.version], ["served", f.served ? "yes" : `no: ${f.reason || "no reason is given"}`],
        ["start time", f.start_seconds ? `${seconds(f.start_seconds)} (median of those measured)` : "not measured yet"], ["invocations", whole.format(f.invocations)]];
      for (const c of own.slice(0, mostContainers)) {
        pairs.push([`container ${c.id}`, `${c.state}${c.warmed ? ", warmed" : ""}${c.used ? ", used" : c.warmed ? ", not used yet" : ""}, since ${clock(c.since)}` +
          (c.until ? `, there until ${clock(c.until)} if it is not used` : "") + (c.decision ? `, by decision ${c.decision}` : "")]);
      }
      if (own.length > mostContainers) pairs.push(["more", `${own.length - mostContainers} more containers`]);
      return pairs;
    });
  }

  // pools draws a glyph for each container, by what it does.
  function pools(cell, f) {
    const kinds = [["starting", "◌", f.starting], ["warmed", "◇", f.warmed], ["idle", "○", f.idle], ["busy", "●", f.busy]];
    const text = kinds.map(k => k[2]).join();
    if (cell.dataset.text === text) return;
    cell.dataset.text = text;
    const some = kinds.filter(k => k[2] > 0), all = some.reduce((n, k) => n + k[2], 0);
    const picture = make("span"), parts = [];
    picture.setAttribute("aria-hidden", "true");
    for (const [name, glyph, n] of some) {
      picture.append(make("i", `pool ${name}`, all > mostGlyphs ? `${glyph}${n} ` : glyph.repeat(n)));
      parts.push(`${n} ${name}`);
    }
    cell.title = parts.join(", ");
    cell.replaceChildren(picture, make("span", "hidden", parts.join(", ") || "none"));
  }

  function decisions() {
    const fit = [...lists.decisions.values()].filter(d => matches(d.function, d.trace, d.rule, d.outcome, d.action)).sort((a, b) => b.id - a.id);
    const shown = fit.slice(0, mostRows);
    put($("decisions-count"), fit.length > shown.length || filter ? `${shown.length} of the last ${lists.decisions.size} shown` : `the last ${lists.decisions.size}`);
    table("decisions", shown, d => d.id, ["text", "text", "", "text why"], (e, d) => {
      put(e.querySelector("button"), `${d.action}${d.n > 1 ? ` ${d.n}` : ""}`);
      put(e.cells[1], clock(d.time));
      put(e.cells[2], d.function);
      put(e.cells[3], d.probability ? `${Math.round(100 * d.probability)} %` : "");
      put(e.cells[4], d.outcome);
      e.cells[4].className = `text why ${/^(used|hit|renewed)/.test(d.outcome) ? "good" : /^(wasted|late|failed|collapsed)/.test(d.outcome) ? "bad" : ""}`;
    }, d => [["rule", d.rule], ["request", d.trace], ["probability", d.probability ? `${one.format(100 * d.probability)} %` : ""],
      ["expected", d.demand ? `at ${clock(d.demand)}, ${seconds((Date.parse(d.demand) - Date.parse(d.time)) / 1000)} after the decision` : ""],
      ["expected gain", d.gain_mb_s ? `${number(d.gain_mb_s)} MB·s` : ""], ["number", String(d.id)], ["time", Plots.date(d.time)], ["outcome", d.outcome]]);
    const h = state.lateness, n = h?.counts?.reduce((a, b) => a + b, 0) || 0;
    let text = "";
    if (n) {
      let sum = 0, i = h.counts.findIndex(c => (sum += c) >= 0.99 * n);
      text = i < h.bounds.length ? `99 % of ${whole.format(n)} were made at most ${seconds(h.bounds[i])} late.` : `Over 1 % of ${whole.format(n)} were made more than ${seconds(h.bounds.at(-1))} late.`;
    }
    put($("lateness"), text);
  }

  function plain(table, items, key, columns, fill) {
    sync($(table).tBodies[0], items, key, () => {
      const tr = make("tr"), th = make("th");
      th.scope = "row";
      tr.append(th);
      for (const c of columns) tr.append(make("td", c));
      return tr;
    }, (e, item) => fill(e.cells, item));
  }

  function models() {
    plain("models", (state.models || []).slice(0, mostRows).map((m, i) => ({ ...m, i })), m => `${m.i}/${m.name}`, ["", "", "", "text"], (c, m) => {
      put(c[0], m.name);
      c[0].title = `${m.kind}, since ${Plots.date(m.since)}, from ${whole.format(m.traces)} traces`;
      put(c[1], (m.functions || []).length);
      c[1].title = (m.functions || []).slice(0, 30).join(", ");
      put(c[2], number(m.predicted));
      put(c[3], number(m.came));
      put(c[4], m.agrees ? "✓ agrees" : `✗ ${m.reason || "does not agree"}`);
      c[4].className = `text ${m.agrees ? "good" : "bad"}`;
    });
    plain("sources", (state.sources || []).slice(0, mostRows), s => s.name, ["", "", "", "text"], (c, s) => {
      put(c[0], s.name);
      put(c[1], whole.format(s.observations));
      put(c[2], whole.format(s.refused));
      put(c[3], whole.format(s.invalid));
      put(c[4], s.error ? `✗ ${s.error}` : s.last ? clock(s.last) : "nothing yet");
      c[4].className = `text ${s.error ? "bad" : ""}`;
    });
    put($("shares"), (state.shares || []).map(s => {
      const rebuilding = (s.rebuilding || []).length;
      return `Of ${s.of} it has the partitions ${(s.partitions || []).join(", ") || "(none)"}${rebuilding ? `; ${rebuilding} of them are being rebuilt` : ""}.`;
    }).join(" "));
    const a = state.actuator || {};
    put($("actuator"), `Actuator ${state.platform}: ${whole.format(a.in_flight || 0)} commands in flight, circuit ${a.circuit || "closed"}${a.error ? `. Last error: ${a.error}` : ""}`);
    $("actuator").className = a.error || a.circuit && a.circuit !== "closed" ? "bad" : "";
  }

  // ---- what can be done

  async function post(path, doing) {
    $("pause").disabled = $("resume").disabled = true;
    try {
      const r = await fetch(path, { method: "POST", signal: AbortSignal.timeout(10000) });
      if (!r.ok) throw new Error(`${r.status} ${(await r.text()).trim().slice(0, 200)}`);
      say(`${doing}.`);
    } catch (e) {
      say(`The controller did not do it: ${e.message}`);
    }
    buttons();
  }
  $("pause").addEventListener("click", () => post("/v1/pause", "Paused"));
  $("resume").addEventListener("click", () => post("/v1/resume", "Resumed"));

  function setFilter(text) {
    $("filter").value = text;
    filter = text.trim().toLowerCase();
    if (state) render();
  }
  $("filter").addEventListener("input", () => setFilter($("filter").value));
  $("sort").addEventListener("change", schedule);
  $("plots-text").addEventListener("toggle", () => Plots.update());

  const stored = { get(k) { try { return localStorage.getItem(k); } catch { return null; } }, set(k, v) { try { localStorage.setItem(k, v); } catch { /* it is not kept then */ } } };

  const root = document.documentElement, themes = ["system", "light", "dark"];
  function theme(name) {
    if (name === "system") delete root.dataset.theme;
    else root.dataset.theme = name;
    $("theme").textContent = `Theme: ${name}`;
    stored.set("theme", name);
    Plots.build();
  }
  const nextTheme = () => theme(themes[(themes.indexOf(root.dataset.theme || "system") + 1) % themes.length]);
  $("theme").addEventListener("click", nextTheme);
  $("theme").textContent = `Theme: ${root.dataset.theme || "system"}`;
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => Plots.build());

  $("help-open").addEventListener("click", () => $("help").showModal());
  $("help-close").addEventListener("click", () => $("help").close());
  $("keys-on").checked = stored.get("keys") !== "off";
  $("keys-on").addEventListener("change", () => stored.set("keys", $("keys-on").checked ? "on" : "off"));

  // go moves the focus to the next row of the table in which it is.
  function go(from, step) {
    const all = [...from.closest("tbody").querySelectorAll("th button")];
    const to = all[all.indexOf(from) + step];
    if (to) to.focus();
  }

  document.addEventListener("keydown", e => {
    if (e.ctrlKey || e.altKey || e.metaKey || $("help").open) return;
    const button = e.target.closest?.(".rows th button");
    if (button && (e.key === "ArrowDown" || e.key === "ArrowUp")) {
      e.preventDefault();
      return go(button, e.key === "ArrowDown" ? 1 : -1);
    }
    if (e.key === "Escape" && filter) return setFilter("");
    if (e.target.matches?.("input, select, textarea") || !$("keys-on").checked) return;
    const to = { t: "lanes", f: "functions", d: "decisions" }[e.key];
    if (to) ($(to).querySelector?.("th button") || $(to)).focus();
    else if (e.key === "/") { $("filter").focus(); $("filter").select(); }
    else if (e.key === "m") nextTheme();
    else if (e.key === "?") $("help").showModal();
    else return;
    e.preventDefault();
  });

  let widening = 0;
  new ResizeObserver(() => {
    clearTimeout(widening);
    widening = setTimeout(() => { laneWidth = $("traces").clientWidth; Plots.resize(); schedule(); }, 100);
  }).observe($("traces"));

  // Bars of what runs grow between events too; rarely, if motion is to be little.
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let lastMove = 0;
  setInterval(() => {
    if (!state || !connected || document.hidden || performance.now() - lastMove < (calm.matches ? 1900 : 0)) return;
    lastMove = performance.now();
    if ([...lists.traces.values()].some(t => !t.ended)) requestAnimationFrame(traces);
  }, 250);

  put($("zone"), `Times are of ${Intl.DateTimeFormat().resolvedOptions().timeZone || "this machine's zone"}.`);
  Plots.build();
  buttons();
  connect();
})();
