// Draws the overview's charts with Chart.js from the figures on the page, in the colours of the theme, and again when
// that changes. A press on a bar leads to the deliveries of its time. Chart.js is asked for where there are charts.
const root = document.querySelector("[data-charts]");
const figures = root && JSON.parse(document.getElementById("chart-figures").textContent);
const drawn = [];

const count = new Intl.NumberFormat("en-US");
const percent = (value) => `${value}\u00a0%`;

const label = (name) => root.querySelector(`[data-series=${name}]`).textContent.trim();

// What a colour of the theme is right now: as an element wears it.
const colour = (name) => getComputedStyle(root.querySelector(`[data-series=${name}] i`)).color;
const ink = () => getComputedStyle(root.querySelector(".chart-legend")).color;
const line = () => getComputedStyle(root).borderTopColor;

// Without colours of our own, on paper or on a screen with the reader's colours, series are told apart by a pattern.
const isPlain = matchMedia("print, (forced-colors: active)");

function filling(name) {
  if (!isPlain.matches || name === "delivered") return colour(name);
  const tile = Object.assign(document.createElement("canvas"), { width: 8, height: 8 });
  const pen = tile.getContext("2d");
  pen.strokeStyle = colour(name);
  pen.lineWidth = 2;
  if (name === "refused") for (const x of [-8, 0, 8]) { pen.moveTo(x, 8); pen.lineTo(x + 8, 0); }
  pen.stroke();
  return pen.createPattern(tile, "repeat");
}

const bar = (name, values) => ({
  label: label(name), data: values, backgroundColor: filling(name), borderColor: colour(name), borderWidth: isPlain.matches ? 1 : 0, stack: "requests", borderRadius: 2, maxBarThickness: 40,
});

// The axis of the rate begins at a round number below the lowest rate: 98 and 100 % are far apart to a merchant.
function lowest() {
  const rates = figures.rate.filter((rate) => rate !== null);
  return Math.max(0, 10 * Math.floor((Math.min(100, ...rates) - 5) / 10));
}

function options(scale, describe) {
  return {
    animation: false,
    maintainAspectRatio: false,
    interaction: { mode: "index", intersect: false },
    onClick: (_, [hit]) => { if (hit) location.assign(figures.links[hit.index]); },
    onHover: ({ native }, hits) => { native.target.style.cursor = hits.length ? "pointer" : ""; },
    scales: {
      x: { stacked: true, grid: { display: false }, border: { color: line() }, ticks: { color: ink(), maxRotation: 0, autoSkipPadding: 16 }, offset: true },
      y: { afterFit: (axis) => { axis.width = 56; }, stacked: true, beginAtZero: true, grid: { color: line() }, border: { display: false }, ticks: { color: ink(), precision: 0, maxTicksLimit: 5 }, ...scale },
    },
    plugins: {
      legend: { display: false },
      tooltip: { callbacks: { title: ([item]) => figures.titles[item.dataIndex], label: describe } },
    },
  };
}

function draw() {
  while (drawn.length) drawn.pop().destroy();
  const { labels } = figures;
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  drawn.push(new Chart(root.querySelector("[data-chart=requests]"), {
    type: "bar",
    data: { labels, datasets: [
      bar("delivered", figures.delivered),
      bar("refused", figures.refused),
      bar("unanswered", figures.unanswered),
    ] },
    options: options({}, (item) => `${item.dataset.label}: ${count.format(item.raw)}`),
  }));
  drawn.push(new Chart(root.querySelector("[data-chart=rate]"), {
    type: "line",
    data: { labels, datasets: [{
      label: label("rate"), data: figures.rate, borderColor: colour("rate"), backgroundColor: colour("rate"),
      borderWidth: 2, borderDash: isPlain.matches ? [6, 4] : [], pointRadius: 2, clip: 4, spanGaps: true,
    }] },
    options: options(
      { stacked: false, beginAtZero: false, min: lowest(), max: 100, ticks: { color: ink(), maxTicksLimit: 3, callback: percent } },
      (item) => `${item.dataset.label}: ${percent(item.raw)}`,
    ),
  }));
}

function begin() {
  draw();
  new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  for (const media of [isPlain, matchMedia("(prefers-color-scheme: dark)")]) media.addEventListener("change", draw);
}

if (root) {
  const library = document.createElement("script");
  library.src = root.dataset.charts;
  library.addEventListener("load", begin);
  document.head.append(library);
}
