"use strict";
// Plots draws totals over time as rates, and writes them as a table.
const Plots = (() => {
  const most = 360, window_ = 60; // samples, and the seconds that a rate is of
  const samples = [];
  let charts = [];

  const definitions = [
    { id: "plot-starts", series: [["warm", "warm", "--warm", []], ["late", "late", "--late", [2, 3]], ["cold", "cold", "--cold", [7, 4]]] },
    { id: "plot-memory", series: [["spent_mb_s", "spent", "--warm", []], ["alone_mb_s", "platform alone, estimated", "--soft", [7, 4]]] },
    { id: "plot-warmups", series: [["warmups", "asked for", "--warm", []], ["hits", "hits", "--good", [2, 3]], ["wasted", "wasted", "--cold", [7, 4]]] },
  ];
  const keys = [...new Set(definitions.flatMap(d => d.series.map(s => s[0])))];

  function add(sample) {
    samples.push({ time: Date.parse(sample.time) / 1000, totals: sample.totals });
    if (samples.length > most) samples.shift();
  }

  // rates returns times, and for each key how much came a minute, over the minute before; null where there is nothing before or counting began anew.
  function rates() {
    const times = [], values = Object.fromEntries(keys.map(k => [k, []]));
    let from = 0;
    for (let i = 1; i < samples.length; i++) {
      while (from < i - 1 && samples[from + 1].time <= samples[i].time - window_) from++;
      const seconds = samples[i].time - samples[from].time;
      times.push(samples[i].time);
      for (const k of keys) {
        const grown = samples[i].totals[k] - samples[from].totals[k];
        values[k].push(seconds > 0 && grown >= 0 ? grown * 60 / seconds : null);
      }
    }
    return { times, values };
  }

  // Times are of the local zone, with 24 hours.
  const clock = time => new Date(time).toLocaleTimeString([], { hourCycle: "h23" });
  const minute = time => new Date(time).toLocaleTimeString([], { hourCycle: "h23", hour: "2-digit", minute: "2-digit" });
  const date = time => new Date(time).toLocaleString([], { hourCycle: "h23", dateStyle: "medium", timeStyle: "medium" });

  const color = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const border = dash => dash.length === 0 ? "solid" : dash[0] < 4 ? "dotted" : "dashed"; // as a line with these dashes
  const number = v => v == null ? "–" : v >= 100 ? v.toFixed(0) : v.toFixed(1);

  // build makes the charts anew: the canvas has no colours from the style sheet.
  function build() {
    for (const c of charts) c.plot.destroy();
    charts = [];
    const { times } = rates();
    for (const d of definitions) {
      const figure = document.getElementById(d.id);
      figure.querySelector(".empty")?.remove();
      if (times.length < 2) {
        const empty = document.createElement("div");
        empty.className = "empty";
        empty.textContent = "appears after some seconds";
        figure.append(empty);
        continue;
      }
      const axis = { stroke: color("--soft"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line"), width: 1 }, font: "11px system-ui, sans-serif" };
      const plot = new uPlot({
        width: Math.max(figure.clientWidth, 200), height: 160,
        cursor: { sync: { key: "prewarm" }, points: { size: 5 }, drag: { x: false, y: false } },
        legend: { markers: { width: 3, dash: (u, i) => border(d.series[i - 1][3]) } },
        scales: { x: { time: true }, y: { range: (u, low, high) => [Math.min(0, low ?? 0), Math.max(high ?? 1, 1) * 1.05] } },
        axes: [{ ...axis, size: 30, values: (u, ticks) => ticks.map(t => t % 60 ? clock(t * 1000) : minute(t * 1000)) }, { ...axis, size: 46, values: (u, ticks) => ticks.map(t => Math.abs(t) >= 1e4 ? `${t / 1e3}k` : `${t}`) }],
        series: [{ label: "at", value: (u, t) => t == null ? "–" : clock(t * 1000) },
          ...d.series.map(([, label, stroke, dash]) => ({ label, stroke: color(stroke), width: 2, dash, points: { show: false }, value: (u, v) => number(v) }))],
      }, [[]], figure);
      plot.root.querySelector("canvas").setAttribute("role", "img");
      charts.push({ d, plot, figure });
    }
    update();
  }

  function update() {
    const { times, values } = rates();
    if (times.length >= 2 && charts.length === 0) return build();
    for (const { d, plot } of charts) {
      plot.setData([times, ...d.series.map(s => values[s[0]])]);
      // Where the pointer names no time the legend has the latest figures, once the plot has drawn what it was given.
      queueMicrotask(() => { if (!(plot.cursor.left >= 0)) plot.setLegend({ idx: times.length - 1 }); });
      const last = d.series.map(s => `${s[1]} ${number(values[s[0]].at(-1))}`).join(", ");
      plot.root.querySelector("canvas").setAttribute("aria-label", `Over time; a minute, at last: ${last}. The table below has the last minutes.`);
    }
    const details = document.getElementById("plots-text");
    if (!details.open) return;
    const body = details.querySelector("tbody"), rows = [];
    for (let i = times.length - 1; i >= 0 && rows.length < 15; i -= 6) {
      const row = document.createElement("tr"), head = document.createElement("th");
      head.textContent = clock(times[i] * 1000);
      row.append(head);
      for (const k of ["warm", "late", "cold", "spent_mb_s", "alone_mb_s", "warmups", "wasted"]) {
        const cell = document.createElement("td");
        cell.textContent = number(values[k][i]);
        row.append(cell);
      }
      rows.push(row);
    }
    body.replaceChildren(...rows);
  }

  function resize() {
    for (const { plot, figure } of charts) plot.setSize({ width: Math.max(figure.clientWidth, 200), height: 160 });
  }

  return {
    history(all) { samples.length = 0; for (const s of all) add(s); update(); },
    sample(s) { add(s); update(); },
    build, update, resize, clock, date,
  };
})();
