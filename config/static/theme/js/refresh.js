// Takes the parts of this page that are marked with `data-refresh` from the server, so that it neither jumps nor loses
// its place.
import { localise } from "./times.js";

export async function refresh(address, parts = "[data-refresh][id]") {
  const answer = await fetch(address);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll(parts)) {
    const fresh = page.getElementById(part.id);
    part.replaceChildren(...document.importNode(fresh, true).childNodes);
    localise(part);
  }
}
