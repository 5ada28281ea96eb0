// Draws the tables of the page of figures with uPlot. The tables are the truth: without this, or without sight, they say the same.
(function () {
  "use strict";

  const root = document.documentElement;
  const plots = [];

  // A custom property may be light-dark(...): only an element that wears it knows the colour.
  const probe = document.createElement("span");
  function colour(name) {
    probe.style.color = "var(--" + name + ")";
    return getComputedStyle(probe).color;
  }
  function columns(figure, table) {
    const wanted = figure.dataset.columns;
    const last = table.tHead.rows[0].cells.length - 1;
    if (wanted !== "odd" && wanted !== "even") { return wanted.split(",").map(Number); }
    const found = [];
    for (let at = wanted === "odd" ? 1 : 2; at <= last; at += 2) { found.push(at); }
    return found;
  }
  // Rows stand newest first; time runs to the right.
  function numbers(figure, table) {
    const rows = Array.from(table.tBodies[0].rows).reverse();
    const by = figure.dataset.unit === "minutes" ? 60 : 1;
    const data = [rows.map(function (row) { return Number(row.dataset.at); })];
    for (const at of columns(figure, table)) {
      data.push(rows.map(function (row) {
        const value = row.cells[at].dataset.value;
        return value === "" ? null : Math.round(Number(value) / by * 10) / 10;
      }));
    }
    return data;
  }
  function series(figure, table) {
    const colours = figure.dataset.colours.split(",");
    const head = table.tHead.rows[0].cells;
    const bars = figure.dataset.kind === "bars";
    return columns(figure, table).map(function (at, place) {
      const own = colour(colours[place % colours.length]);
      const one = { label: figure.dataset.label || head[at].dataset.short || head[at].textContent, stroke: own, width: 2, spanGaps: false, points: { size: 5, fill: own } };
      // Not by colour alone: each further line is dashed in its own way.
      if (place) { one.dash = [[8, 4], [2, 3], [10, 3, 2, 3]][(place - 1) % 3]; }
      if (bars && !place) {
        one.paths = uPlot.paths.bars({ size: [0.7, 40] });
        one.fill = own;
        one.points = { show: false };
      }
      return one;
    });
  }
  const days = new Intl.DateTimeFormat(root.lang || "en", { day: "numeric", month: "short" });
  function moments(plot, splits) {
    return splits.map(function (seconds) {
      const at = new Date(seconds * 1000);
      const hour = String(at.getHours()).padStart(2, "0") + ":" + String(at.getMinutes()).padStart(2, "0");
      return hour === "00:00" ? days.format(at) : hour;
    });
  }
  function options(figure, table, width) {
    const ink = colour("muted");
    const grid = { stroke: colour("line"), width: 1 };
    const axis = { stroke: ink, grid: grid, ticks: grid, font: "12px system-ui, sans-serif" };
    return {
      width: width,
      height: 220,
      cursor: { drag: { x: false, y: false } },
      scales: { x: { range: function (plot, low, high) { return [low - 1800, high + 1800]; } }, y: { range: function (plot, low, high) { return [0, Math.max(high || 0, 1) * 1.1]; } } },
      axes: [Object.assign({ values: moments }, axis), Object.assign({ size: 60 }, axis)],
      series: [{ value: "{YYYY}-{MM}-{DD} {HH}:{mm}" }].concat(series(figure, table)),
    };
  }
  function draw(figure) {
    const table = document.getElementById(figure.dataset.chart);
    const place = figure.querySelector(".plot");
    place.textContent = "";
    if (!table) { return null; }
    return new uPlot(options(figure, table, Math.max(place.clientWidth, 200)), numbers(figure, table), place);
  }
  function drawAll() {
    plots.length = 0;
    for (const figure of document.querySelectorAll("figure.chart")) { plots.push([figure, draw(figure)]); }
  }
  function soon(work) {
    let waiting = 0;
    return function () { clearTimeout(waiting); waiting = setTimeout(work, 100); };
  }

  document.addEventListener("DOMContentLoaded", function () {
    if (!window.uPlot) { return; }
    document.body.append(probe);
    document.getElementById("charts").hidden = false;
    drawAll();
    new MutationObserver(drawAll).observe(root, { attributes: true, attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
    const live = document.getElementById("live");
    if (live) { new MutationObserver(soon(drawAll)).observe(live, { subtree: true, attributes: true, attributeFilter: ["data-value", "data-at"] }); }
    window.addEventListener("resize", soon(function () {
      for (const [figure, plot] of plots) { if (plot) { plot.setSize({ width: Math.max(figure.querySelector(".plot").clientWidth, 200), height: 220 }); } }
    }));
  });
})();
