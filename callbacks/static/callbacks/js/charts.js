// Draws the overview's charts with Chart.js from the figures on the page, in the colours of the theme, and again when
// that changes. A press on a bar leads to the deliveries of its time. Chart.js is asked for where there are charts.
const root = document.querySelector("[data-charts]");
const figures = root && JSON.parse(document.getElementById("chart-figures").textContent);
const drawn = [];

const count = new Intl.NumberFormat("en-US");
const percent = (value) => `${value}\u00a0%`;

// What a colour of the theme is right now: as an element wears it.
const colour = (name) => getComputedStyle(root.querySelector(`[data-series=${name}] i`)).color;
const ink = () => getComputedStyle(root.querySelector(".chart-legend")).color;
const line = () => getComputedStyle(root).borderTopColor;

const bar = (name, text, values) => ({
  label: text, data: values, backgroundColor: colour(name), stack: "requests", borderRadius: 2, maxBarThickness: 40,
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
      bar("delivered", "Delivered (2xx)", figures.delivered),
      bar("refused", "Refused", figures.refused),
      bar("unanswered", "No answer", figures.unanswered),
    ] },
    options: options({}, (item) => `${item.dataset.label}: ${count.format(item.raw)}`),
  }));
  drawn.push(new Chart(root.querySelector("[data-chart=rate]"), {
    type: "line",
    data: { labels, datasets: [{
      label: "Success rate", data: figures.rate, borderColor: colour("rate"), backgroundColor: colour("rate"),
      borderWidth: 2, pointRadius: 2, clip: 4, spanGaps: true,
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
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}

if (root) {
  const library = document.createElement("script");
  library.src = root.dataset.charts;
  library.addEventListener("load", begin);
  document.head.append(library);
}
