// Suggests what may be typed into a field: its list is asked for at `data-suggest`, and the browser shows it.
//
// Without scripts, or if the server cannot be asked, the same can be typed without a suggestion.
import { latest } from "../../theme/js/server.js";

const WAIT_MS = 120;

for (const field of document.querySelectorAll("input[data-suggest]")) {
  const list = field.parentElement.insertBefore(document.createElement("datalist"), field.nextSibling);
  list.id = `${field.id}_list`;
  field.setAttribute("list", list.id);
  const ask = latest();
  let timer = 0;

  const suggest = async () => {
    const json = await ask(`${field.dataset.suggest}?q=${encodeURIComponent(field.value)}`);
    if (json === null) return;
    list.replaceChildren(...JSON.parse(json).found.map((text) => new Option(text, text)));
  };

  field.addEventListener("input", () => {
    clearTimeout(timer);
    if ([...list.options].some((option) => option.value === field.value)) return; // one was taken
    timer = setTimeout(suggest, WAIT_MS);
  });
  field.addEventListener("focus", suggest, { once: true });
}
