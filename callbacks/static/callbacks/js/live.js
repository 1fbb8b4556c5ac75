// Keeps a page up to date while deliveries wait or are sent, and while a job runs. The server says when to ask again.
import { fill, follow, refresh } from "../../theme/js/server.js";

// --- deliveries ---------------------------------------------------------------
// `data-live-url` on an element says where to ask, `data-live` on elements inside it names the deliveries. In a list the
// row's cells are replaced. An element with `data-version` stands for the page of one delivery: the parts marked with
// `data-refresh` are taken anew when that version has passed.
const root = document.querySelector("[data-live-url]");
const watched = new Map([...(root?.querySelectorAll("[data-live]") ?? [])].map((element) => [element.dataset.live, element.closest("tr") ?? element]));

async function renew(element, { version, parts }) {
  if (element.dataset.version === version) return;
  element.dataset.version = version;
  await refresh(location.href, "[data-refresh][id]:not(#messages)"); // what was said may still be read
  const said = document.createElement("div");
  said.innerHTML = parts.state;
  element.textContent = said.textContent; // in an element that is read out
}

async function showDeliveries({ deliveries, again_ms }) {
  for (const [id, element] of watched) {
    const delivery = deliveries[id];
    if (delivery && "version" in element.dataset) await renew(element, delivery);
    else if (delivery) {
      for (const [name, html] of Object.entries(delivery.parts)) {
        const cell = element.querySelector(`.field-${name}`);
        if (cell) fill(cell, html);
      }
    }
    if (!delivery?.is_open) watched.delete(id); // settled, or pruned
  }
  return watched.size ? again_ms : null;
}

if (watched.size) follow(() => `${root.dataset.liveUrl}?ids=${[...watched.keys()].join(",")}`, showDeliveries, 1000, 30000);

// --- a job -----------------------------------------------------------------------
// Its bar is replaced, and the parts marked with `data-refresh` are taken anew when its state has changed.
const bar = document.getElementById("job-bar");

async function showJob({ html, state, said, again_ms }) {
  fill(bar, html);
  if (bar.dataset.state !== state) {
    bar.dataset.state = state;
    document.getElementById("job-said").textContent = said;
    await refresh(location.href);
  }
  return again_ms;
}

if (bar?.dataset.progressUrl) follow(() => bar.dataset.progressUrl, showJob, 500, 10000);
