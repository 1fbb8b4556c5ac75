// Keeps what is shown of deliveries up to date while they wait or are being sent.
//
// `data-live-url` on an element says where to ask, `data-live` on elements inside it whom to ask about. In a list the
// row's cells are replaced one by one; an element with `data-version` is the page of one delivery, whose parts marked
// with `data-refresh` are taken from the server anew when that version has passed. The server says when to ask again.
import { refresh } from "../../theme/js/refresh.js";
import { localise } from "../../theme/js/times.js";

const AFTER_TROUBLE_MS = 30000;
const root = document.querySelector("[data-live-url]");
const watched = new Map([...(root?.querySelectorAll("[data-live]") ?? [])].map((element) => [element.dataset.live, element.closest("tr") ?? element]));

const whenVisible = () => document.hidden
  ? new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }))
  : Promise.resolve();
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function fill(row, parts) {
  for (const [name, html] of Object.entries(parts)) {
    const cell = row.querySelector(`.field-${name}`);
    if (cell && cell.dataset.shown !== html) {
      cell.innerHTML = html;
      cell.dataset.shown = html;
      localise(cell);
    }
  }
}

async function renew(element, { version, parts }) {
  if (element.dataset.version === version) return;
  element.dataset.version = version;
  await refresh(location.href, "[data-refresh][id]:not(#messages)"); // what was said may still be read
  const said = document.createElement("div");
  said.innerHTML = parts.state;
  element.textContent = said.textContent; // in an element that is read out
}

async function ask() {
  const answer = await fetch(`${root.dataset.liveUrl}?ids=${[...watched.keys()].join(",")}`);
  if (answer.redirected || answer.status === 403) return null; // signed out meanwhile
  if (!answer.ok) return AFTER_TROUBLE_MS;
  const news = await answer.json();
  for (const [id, element] of watched) {
    const delivery = news.deliveries[id];
    if (!delivery) {
      watched.delete(id); // pruned
      continue;
    }
    if ("version" in element.dataset) await renew(element, delivery);
    else fill(element, delivery.parts);
    if (!delivery.is_open) watched.delete(id);
  }
  return news.again_ms;
}

async function follow() {
  let wait = 1000;
  while (watched.size && wait !== null) {
    await pause(wait);
    await whenVisible();
    try {
      wait = await ask();
    } catch {
      wait = AFTER_TROUBLE_MS; // the server is away
    }
  }
}

if (root) follow();
