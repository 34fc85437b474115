// Charts as SVG, drawn anew when their width changes. A pointer or the arrow keys read a step.
"use strict";
(function (R) {
  const { h, s } = R;
  const COLOURS = ["#b4501a", "#2f6cb3", "#2f7d4f", "#7a4a9e", "#5b6570", "#8a6d1a", "#a8285f", "#1f7a80"];
  const NAMED = {
    correct: "#2f7d4f", empty_both: "#7fb58f", reordered: "#5b9a8b", wrong: "#c4702c", open: "#c99a2e", lucky: "#7a4a9e",
    error: "#8f1d3a", no_sql: "#5b6570", refused: "#a8285f", timeout: "#1f7a80",
    "right and wrong": "#2f7d4f", "none right": "#b4501a", "all right": "#2f6cb3",
  };
  const HEIGHT = 190, LEFT = 46, RIGHT = 12, TOP = 8, BOTTOM = 26;
  R.colour = (name, place) => NAMED[name] || COLOURS[place % COLOURS.length];

  R.ticks = function (low, high, count) {
    const rough = (high - low) / count || 1;
    const power = Math.pow(10, Math.floor(Math.log10(rough)));
    const step = [1, 2, 5, 10].map((m) => m * power).find((one) => one >= rough * 0.999);
    const found = [];
    for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n++) found.push(+(n * step).toPrecision(12));
    return found;
  };

  function stacked(series) {
    const tops = new Map();
    return series.map((one) => {
      const band = one.points.map(([x, y]) => {
        const low = tops.get(x) || 0;
        tops.set(x, low + y);
        return [x, low, low + y];
      });
      return { ...one, area: band, points: band.map(([x, , high]) => [x, high]) };
    });
  }

  function range(chart, series) {
    const xs = series.flatMap((one) => one.points.map((p) => p[0]));
    const ys = series.flatMap((one) => [...one.points.map((p) => p[1]), ...(one.band || []).flatMap((b) => [b[1], b[2]])]);
    let [low, high] = [Math.min(...ys), Math.max(...ys)];
    if (chart.stack || chart.zero || chart.percent) low = Math.min(0, low);
    if (chart.percent) high = chart.stack ? 1 : Math.min(1, high + 0.05);
    if (high - low < 1e-12) high = low + (Math.abs(low) || 1);
    if (!chart.percent) high += (high - low) * 0.05;
    return { x: [Math.min(...xs), Math.max(...xs)], y: [low, high] };
  }

  const path = (points, x, y) => points.map(([a, b], n) => (n ? "L" : "M") + x(a).toFixed(1) + " " + y(b).toFixed(1)).join("");
  const around = (band, x, y) =>
    path(band.map(([a, , b]) => [a, b]), x, y) + path([...band].reverse().map(([a, b]) => [a, b]), x, y).replace("M", "L") + "Z";

  function mean(points) {
    const half = Math.floor(points.length / 20);
    return points.map(([x], n) => {
      const near = points.slice(Math.max(0, n - half), n + half + 1);
      return [x, near.reduce((sum, p) => sum + p[1], 0) / near.length];
    });
  }

  function drawSeries(chart, one, colour, x, y) {
    const found = [];
    if (one.area) found.push(s("path", { d: around(one.area, x, y), fill: colour, "fill-opacity": 0.75 }));
    if (one.band) found.push(s("path", { d: around(one.band, x, y), fill: colour, "fill-opacity": 0.15 }));
    if (!one.area) {
      const noisy = one.points.length > 40 && !one.dots;
      found.push(s("path", { d: path(one.points, x, y), fill: "none", stroke: colour, "stroke-width": noisy ? 1 : 2, "stroke-opacity": noisy ? 0.35 : 1, "stroke-dasharray": one.dash }));
      if (noisy) found.push(s("path", { d: path(mean(one.points), x, y), fill: "none", stroke: colour, "stroke-width": 2.2, "stroke-dasharray": one.dash }));
    }
    if (one.dots || one.points.length === 1)
      for (const [a, b] of one.points) found.push(s("circle", { cx: x(a), cy: y(b), r: 3.5, fill: colour }));
    return found;
  }

  function draw(chart, width) {
    const series = chart.stack ? stacked(chart.series) : chart.series;
    const bounds = range(chart, series);
    const scale = ([low, high], from, to) => (value) => (high === low ? (from + to) / 2 : from + ((value - low) / (high - low)) * (to - from));
    const x = scale(bounds.x, LEFT, width - RIGHT), y = scale(bounds.y, HEIGHT - BOTTOM, TOP);
    const shown = (value) => (chart.percent ? (100 * value).toFixed(bounds.y[1] - bounds.y[0] < 0.05 ? 1 : 0) + " %" : R.number(value));
    const tickText = (value) => (chart.percent ? shown(value) : Math.abs(value) >= 1000 ? (value / 1000).toLocaleString("en") + " k" : String(+value.toPrecision(3)));
    const svg = s("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, "aria-hidden": "true" });
    for (const tick of R.ticks(...bounds.y, 4))
      svg.append(s("line", { x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick), class: "grid" }),
        s("text", { x: LEFT - 6, y: y(tick) + 4, "text-anchor": "end" }, tickText(tick)));
    for (const tick of R.ticks(...bounds.x, Math.max(2, Math.floor(width / 90))).filter(Number.isInteger))
      svg.append(s("text", { x: x(tick), y: HEIGHT - 8, "text-anchor": "middle" }, R.number(tick)));
    series.forEach((one, n) => svg.append(...drawSeries(chart, one, one.colour || R.colour(one.name, n), x, y)));
    const cursor = s("line", { y1: TOP, y2: HEIGHT - BOTTOM, class: "cursor", visibility: "hidden" });
    svg.append(cursor);
    return { svg, x, cursor, shown };
  }

  function lanes(chart, width) {
    const steps = [...new Set(chart.series.flatMap((one) => one.points.map((p) => p[0])))];
    const left = 88, wide = (width - left - RIGHT) / Math.max(1, steps.length), place = new Map(steps.map((v, n) => [v, n]));
    const x = (step) => left + (place.get(step) + 0.5) * wide;
    const svg = s("svg", { viewBox: `0 0 ${width} ${chart.series.length * 30 + 26}`, width, height: chart.series.length * 30 + 26, "aria-hidden": "true" });
    chart.series.forEach((one, row) => {
      svg.append(s("text", { x: left - 8, y: row * 30 + 22, "text-anchor": "end" }, one.name));
      for (const [step, idle] of one.points)
        svg.append(s("rect", { x: x(step) - wide / 2, y: row * 30 + 6, width: Math.max(0.6, wide * 0.96), height: 24, fill: `hsl(212 25% ${Math.round(93 - 68 * idle)}%)` }));
    });
    for (const tick of R.ticks(steps[0], steps[steps.length - 1], Math.max(2, Math.floor(width / 110))).filter((t) => place.has(t)))
      svg.append(s("text", { x: x(tick), y: chart.series.length * 30 + 20, "text-anchor": "middle" }, R.number(tick)));
    const cursor = s("line", { y1: 4, y2: chart.series.length * 30 + 4, class: "cursor", visibility: "hidden" });
    svg.append(cursor);
    return { svg, x, cursor, shown: (value) => R.percent(value) };
  }

  R.chart = function (chart) {
    const xs = [...new Set(chart.series.flatMap((one) => one.points.map((p) => p[0])))].sort((a, b) => a - b);
    const values = chart.series.map((one) => new Map(one.points));
    const readout = h("p.readout", { "aria-live": "polite" }, " ");
    const plot = h("div.plot", { tabindex: 0, role: "img", "aria-label": chart.title + ": " + spoken(chart) + " Arrow keys read single steps." });
    let drawn = null, at = xs.length - 1, width = 0;
    function read(place) {
      at = Math.max(0, Math.min(xs.length - 1, place));
      const step = xs[at];
      drawn.cursor.setAttribute("x1", drawn.x(step));
      drawn.cursor.setAttribute("x2", drawn.x(step));
      drawn.cursor.setAttribute("visibility", "visible");
      const said = chart.series.map((one, n) => [one.name, values[n].get(step)]).filter(([, v]) => v !== undefined);
      readout.textContent = `${chart.x} ${step}: ` + said.map(([name, v]) => `${R.plain(name)} ${drawn.shown(v)}`).join(", ");
    }
    function redraw() {
      const now = Math.round(plot.clientWidth);
      if (!now || now === width) return;
      width = now;
      drawn = (chart.lanes ? lanes : draw)(chart, width);
      plot.replaceChildren(drawn.svg);
    }
    plot.addEventListener("pointermove", (event) => {
      const spot = event.clientX - plot.getBoundingClientRect().left;
      if (drawn) read(xs.reduce((best, value, n) => (Math.abs(drawn.x(value) - spot) < Math.abs(drawn.x(xs[best]) - spot) ? n : best), 0));
    });
    plot.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: -1, ArrowRight: 1, Home: -1e9, End: 1e9 }[event.key];
      if (move && drawn) { read(at + move); event.preventDefault(); event.stopPropagation(); }
    });
    new ResizeObserver(redraw).observe(plot);
    const legend = chart.series.length > 1 && !chart.lanes &&
      h("ul.legend", {}, chart.series.map((one, n) => h("li", {}, h("span.swatch", { style: { background: one.colour || R.colour(one.name, n) } }), one.name)));
    const unit = chart.y ? ` (${chart.y} by ${chart.x})` : ` (by ${chart.x})`;
    return h("figure.chart", {}, h("figcaption", {}, h("strong", {}, chart.title), h("span.unit", {}, unit), h("p", {}, chart.says)), legend, plot, readout);
  };

  function spoken(chart) {
    const last = (one) => one.points[one.points.length - 1];
    return chart.series.map((one) => `${one.name} ends at ${chart.percent || chart.lanes ? R.percent(last(one)[1], 1) : R.number(last(one)[1])}`).join(", ") + ".";
  }

  R.spark = function (values, label) {
    const known = values.map((v, n) => [n, v]).filter((p) => p[1] !== null);
    if (known.length < 2) return h("span", {}, known.length ? R.number(known[0][1]) : "–");
    const ys = known.map((p) => p[1]), low = Math.min(...ys), high = Math.max(...ys);
    const x = (n) => 2 + (96 * n) / Math.max(1, values.length - 1), y = (v) => 22 - (20 * (v - low)) / (high - low || 1);
    const last = known[known.length - 1];
    return s("svg", { viewBox: "0 0 100 24", width: 100, height: 24, role: "img", "aria-label": `${label}: from ${R.number(ys[0])} to ${R.number(last[1])}` },
      s("path", { d: path(known, x, y), fill: "none", stroke: COLOURS[0], "stroke-width": 1.6 }),
      s("circle", { cx: x(last[0]), cy: y(last[1]), r: 2.4, fill: COLOURS[0] }));
  };

  // Means with their intervals, a line each: rows [{label, mean, low, high}]
  R.dots = function (block) {
    const width = 520, left = 230, all = block.rows.flatMap((row) => [row.low, row.high]);
    const low = Math.min(...all, block.zero ? 0 : Infinity), high = Math.max(...all, block.zero ? 0 : -Infinity);
    const x = (v) => left + ((v - low) / (high - low || 1)) * (width - left - 20), bottom = block.rows.length * 24 + 10;
    const svg = s("svg", { viewBox: `0 0 ${width} ${bottom + 24}`, width: "100%", role: "img", "aria-label": block.title });
    for (const tick of R.ticks(low, high, 5))
      svg.append(s("line", { x1: x(tick), x2: x(tick), y1: 4, y2: bottom, class: "grid" }), s("text", { x: x(tick), y: bottom + 16, "text-anchor": "middle" }, (100 * tick).toFixed(0)));
    if (block.zero) svg.append(s("line", { x1: x(0), x2: x(0), y1: 4, y2: bottom, class: "cursor" }));
    block.rows.forEach((row, n) => {
      const y = n * 24 + 18, colour = R.colour(row.group, row.place || 0);
      svg.append(s("text", { x: left - 10, y: y + 4, "text-anchor": "end" }, row.label.length > 33 ? row.label.slice(0, 32) + "…" : row.label),
        s("line", { x1: x(row.low), x2: x(row.high), y1: y, y2: y, stroke: colour, "stroke-width": 2 }), s("circle", { cx: x(row.mean), cy: y, r: 4.5, fill: colour }));
    });
    return h("figure.chart", {}, h("figcaption", {}, h("strong", {}, block.title), h("p", {}, block.says)), svg);
  };
})(window.rollsql);
