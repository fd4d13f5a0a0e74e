"use strict";
// Lanes draws a request: a row for each invocation, with how long it waited and ran, and one for each that is expected.
const Lanes = (() => {
  const NS = "http://www.w3.org/2000/svg";
  const mostRows = 16, rowHeight = 18, top = 16, letter = 6.2;

  function svg(name, attributes, ...children) {
    const e = document.createElementNS(NS, name);
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
    e.append(...children);
    return e;
  }

  const shorten = (text, letters) => text.length <= letters ? text : text.slice(0, Math.max(1, Math.ceil(letters / 2) - 1)) + "…" + text.slice(text.length - Math.floor(letters / 2));
  const seconds = s => s < 0.0995 ? `${Math.max(0, Math.round(s * 1000))} ms` : s < 9.95 ? `${s.toFixed(2)} s` : s < 120 ? `${s.toFixed(1)} s` : s < 7200 ? `${(s / 60).toFixed(1)} min` : `${(s / 3600).toFixed(1)} h`;
  const at = time => Date.parse(time) / 1000;

  // step returns a round step, so that a span has some four of it.
  function step(span) {
    const rough = span / 4, ten = 10 ** Math.floor(Math.log10(rough));
    return [1, 2, 5, 10].map(f => f * ten).find(s => s >= rough);
  }

  // rows returns what is to be drawn of a trace, with times in seconds since it began, and when it ends. now is in seconds since 1970.
  function rows(trace, now) {
    const begun = at(trace.begun), list = [];
    const upTo = trace.ended ? at(trace.ended) : now;
    let end = upTo - begun;
    for (const i of [...trace.invocations || []].sort((a, b) => at(a.arrived) - at(b.arrived))) {
      const arrived = at(i.arrived) - begun;
      const started = i.started ? at(i.started) - begun : null;
      const over = i.ended ? at(i.ended) - begun : null;
      const until = Math.max(over ?? upTo - begun, started ?? arrived);
      const kind = i.start || "unknown";
      let words = started === null ? `waiting for ${seconds(until - arrived)}` : (i.start ? `${i.start}, ` : "") + `waited ${seconds(started - arrived)}`;
      if (over !== null && started !== null) words += `, ran ${seconds(over - started)}`;
      end = Math.max(end, until);
      list.push({ name: i.function, arrived, started, until, over, kind, words, call: i.call });
    }
    for (const e of [...trace.expected || []].sort((a, b) => at(a.median) - at(b.median))) {
      const lower = at(e.lower) - begun, upper = at(e.upper) - begun;
      end = Math.max(end, Math.min(upper, (upTo - begun) * 4 + 5)); // what may come in an hour does not squeeze what happens now
      list.push({ name: e.function, expected: true, lower, upper, median: at(e.median) - begun, words: `${Math.round(e.probability * 100)} %` });
    }
    return { list, end: Math.max(end, 0.05), upTo: upTo - begun };
  }

  // words tells what draw shows.
  function words(trace, now) {
    const { list } = rows(trace, now);
    const parts = list.slice(0, mostRows).map(r => r.expected
      ? `${r.name} expected with ${r.words}, ${seconds(Math.max(0, r.lower))} to ${seconds(Math.max(0, r.upper))} after the begin` : `${r.name} ${r.words}`);
    if (list.length > mostRows) parts.push(`and ${list.length - mostRows} more`);
    return parts.join("; ") || "nothing yet";
  }

  function draw(trace, now, width) {
    const { list, end, upTo } = rows(trace, now);
    const shown = list.slice(0, mostRows);
    const gutter = Math.min(Math.round(width * 0.3), 170, 12 + letter * Math.max(3, ...shown.map(r => r.name.length))), room = Math.max(width - gutter - 8, 50);
    const x = s => gutter + Math.min(Math.max(s / end, 0), 1) * room;
    const height = top + shown.length * rowHeight + (list.length > mostRows ? rowHeight : 2);
    const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, "aria-hidden": "true" });
    const every = step(end);
    for (let i = 0; i * every <= end; i++) {
      const tick = svg("text", { x: x(i * every), y: 10, class: "soft", "text-anchor": i === 0 ? "start" : x(i * every) > width - 24 ? "end" : "middle" });
      tick.textContent = i === 0 ? "0" : `${+(i * every).toPrecision(3)} s`;
      picture.append(svg("line", { x1: x(i * every), x2: x(i * every), y1: top - 3, y2: height, class: "grid" }), tick);
    }
    if (!trace.ended) picture.append(svg("line", { class: "now", x1: x(upTo), x2: x(upTo), y1: top - 5, y2: height })); // under the words
    shown.forEach((r, n) => {
      const y = top + n * rowHeight, label = svg("text", { y: y + 12, x: 0 });
      label.textContent = shorten(r.name, Math.floor((gutter - 6) / letter));
      const row = svg("g", {}, svg("title", {}, `${r.name}: ${r.words}`), label);
      let from, to;
      if (r.expected) {
        from = x(r.lower), to = Math.max(x(r.upper), x(r.lower) + 3);
        row.append(svg("rect", { class: "expected", x: from, y: y + 3.5, width: to - from, height: 11 }), svg("line", { class: "median", x1: x(r.median), x2: x(r.median), y1: y + 2, y2: y + 16 }));
      } else {
        from = x(r.arrived), to = Math.max(x(r.until), from + 2);
        const begin = r.started === null ? to : x(r.started);
        if (begin - from > 0.5) row.append(svg("rect", { class: `wait ${r.kind}`, x: from, y: y + 3.5, width: begin - from, height: 11, fill: r.kind === "cold" ? "url(#hatch)" : r.kind === "late" ? "url(#dots)" : "none" }));
        if (r.started !== null) row.append(svg("rect", { class: `run ${r.kind}`, x: begin, y: y + 3, width: Math.max(to - begin, 2), height: 12 }));
        if (r.over === null && !trace.ended) row.append(svg("line", { class: "open", x1: to, x2: to, y1: y + 1, y2: y + 17 }));
      }
      // The words stand behind the bar, before it, or on it, where there is room.
      const need = r.words.length * letter + 6, short = r.words.split(",")[0], needShort = short.length * letter + 6;
      const place = (text, size) => {
        if (width - to > size) return { x: to + 5, "text-anchor": "start", text };
        if (from - gutter > size) return { x: from - 5, "text-anchor": "end", text };
        if (!r.expected && r.started !== null && to - x(r.started) > size) return { x: to - 5, "text-anchor": "end", class: "inside", text };
        return null;
      };
      const spot = place(r.words, need) || place(short, needShort);
      if (spot) {
        const t = svg("text", { y: y + 12.5, x: spot.x, "text-anchor": spot["text-anchor"], class: spot.class || "" });
        t.textContent = spot.text;
        row.append(t);
      }
      picture.append(row);
    });
    if (list.length > mostRows) {
      const more = svg("text", { x: 0, y: height - 5, class: "soft" });
      more.textContent = `and ${list.length - mostRows} more`;
      picture.append(more);
    }
    return picture;
  }

  return { draw, words, seconds };
})();
