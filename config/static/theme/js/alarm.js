// A note of what went wrong, made in the browser, with the icon that such notes have. Icons come from the page's own.
export function alarm(sentence) {
  const note = document.createElement("div");
  note.className = "note is-bad";
  const icon = document.querySelector("svg.icon").cloneNode(true);
  const use = icon.querySelector("use");
  use.setAttribute("href", use.getAttribute("href").replace(/#.*/, "#alert"));
  note.append(icon, sentence);
  return note;
}
