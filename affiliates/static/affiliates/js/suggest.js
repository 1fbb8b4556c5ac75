// Suggests what may be typed into a field: its list is asked for at `data-suggest`, and the browser shows it.
//
// Without scripts, or if the server cannot be asked, the same can be typed without a suggestion.
const WAIT_MS = 120;

for (const field of document.querySelectorAll("input[data-suggest]")) {
  const list = field.parentElement.insertBefore(document.createElement("datalist"), field.nextSibling);
  list.id = `${field.id}_list`;
  field.setAttribute("list", list.id);
  let timer = 0;
  let asked = null;

  const ask = async () => {
    asked?.abort();
    asked = new AbortController();
    try {
      const answer = await fetch(`${field.dataset.suggest}?q=${encodeURIComponent(field.value)}`, { signal: asked.signal });
      if (!answer.ok || answer.redirected) return;
      const { found } = await answer.json();
      list.replaceChildren(...found.map((text) => new Option(text, text)));
    } catch {
      // asked again meanwhile, or the server is away
    }
  };

  field.addEventListener("input", () => {
    clearTimeout(timer);
    if ([...list.options].some((option) => option.value === field.value)) return; // one was taken
    timer = setTimeout(ask, WAIT_MS);
  });
  field.addEventListener("focus", ask, { once: true });
}
