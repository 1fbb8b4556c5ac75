// Keeps the page of a resend or a backfill up to date while it runs. The server says when to ask again, and the parts
// marked with `data-refresh` are taken anew when its state has changed.
import { refresh } from "../../theme/js/refresh.js";
import { localise } from "../../theme/js/times.js";

const AFTER_TROUBLE_MS = 10000;
const bar = document.getElementById("job-bar");

const whenVisible = () => document.hidden
  ? new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }))
  : Promise.resolve();
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function ask() {
  const answer = await fetch(bar.dataset.progressUrl);
  if (answer.redirected || answer.status === 403 || answer.status === 404) return null; // signed out meanwhile
  if (!answer.ok) return AFTER_TROUBLE_MS;
  const news = await answer.json();
  if (bar.dataset.shown !== news.html) {
    bar.innerHTML = news.html;
    bar.dataset.shown = news.html;
    localise(bar);
  }
  if (bar.dataset.state !== news.state) {
    bar.dataset.state = news.state;
    document.getElementById("job-said").textContent = news.said;
    await refresh(location.href);
  }
  return news.again_ms;
}

async function follow() {
  let wait = 500;
  while (wait !== null) {
    await pause(wait);
    await whenVisible();
    try {
      wait = await ask();
    } catch {
      wait = AFTER_TROUBLE_MS; // the server is away
    }
  }
}

if (bar) follow();
