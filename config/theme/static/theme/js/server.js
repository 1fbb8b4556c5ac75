// Asks the server, and puts what it answers into the page.
import { localise } from "./times.js";

// Asks as a script does, with the token that a request by POST has to bring.
export function ask(address, options = {}) {
  const token = document.cookie.match(/(?:^|; )(?:__Host-)?csrftoken=([^;]+)/)?.[1] ?? "";
  return fetch(address, { ...options, headers: { "X-Requested-With": "fetch", "X-CSRFToken": token } });
}

// Returns a function that asks for a text, and that gives up its last question when it is called again. What is given
// up, refused or not answered is null.
export function latest() {
  let asked = null;
  return async (address, options = {}) => {
    asked?.abort();
    asked = new AbortController();
    try {
      const answer = await ask(address, { ...options, signal: asked.signal });
      return answer.ok && !answer.redirected ? await answer.text() : null;
    } catch {
      return null;
    }
  };
}

// What was typed into a form. Its token is left out: the cookie's is newer if somebody signed in again meanwhile.
export function typedIn(form, button) {
  const data = new FormData(form, button);
  data.delete("csrfmiddlewaretoken");
  return data;
}

export const parsed = (html) => new DOMParser().parseFromString(html, "text/html");

// Takes the parts of this page that are marked with `data-refresh` from the server, so that it neither jumps nor loses
// its place.
export async function refresh(address, parts = "[data-refresh][id]") {
  const answer = await fetch(address);
  const page = parsed(await answer.text());
  for (const part of document.querySelectorAll(parts)) {
    const fresh = page.getElementById(part.id);
    part.replaceChildren(...document.importNode(fresh, true).childNodes);
    localise(part);
  }
}

// Asks until `show` returns null instead of the milliseconds to wait, or until the server refuses.
export async function follow(address, show, wait, waitAfterTrouble) {
  while (wait !== null) {
    await new Promise((resolve) => setTimeout(resolve, wait));
    if (document.hidden) await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
    try {
      const answer = await ask(address());
      if (answer.redirected || [403, 404].includes(answer.status)) return; // signed out meanwhile
      wait = answer.ok ? await show(await answer.json()) : waitAfterTrouble;
    } catch {
      wait = waitAfterTrouble; // the server is away
    }
  }
}

// Puts HTML of ours into an element, unless it is there already.
export function fill(element, html) {
  if (element.dataset.shown === html) return;
  element.innerHTML = html;
  element.dataset.shown = html;
  localise(element);
}

// A note of what went wrong, with the icon that such notes have. The icon is a copy of one on the page.
export function errorNote(sentence) {
  const note = document.createElement("div");
  note.className = "note is-bad";
  const icon = document.querySelector("svg.icon").cloneNode(true);
  const use = icon.querySelector("use");
  use.setAttribute("href", use.getAttribute("href").replace(/#.*/, "#alert"));
  note.append(icon, sentence);
  return note;
}
