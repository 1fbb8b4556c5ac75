// The menu of the narrow sidebar, the lists that open below a filter, the open tab, and where typing begins in a new form.
const side = document.querySelector(".side");
const menu = document.querySelector(".side-menu");
menu?.addEventListener("click", () => {
  menu.setAttribute("aria-expanded", String(side.classList.toggle("is-open")));
});

const filters = () => document.querySelectorAll("details.filter[open]");
document.addEventListener("click", (event) => {
  for (const filter of filters()) if (!filter.contains(event.target)) filter.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const filter of filters()) {
    filter.open = false;
    filter.querySelector("summary").focus();
  }
  if (side?.classList.contains("is-open")) menu.click();
});

// A list that would leave the window on the right opens to the left instead.
document.addEventListener("toggle", (event) => {
  const list = event.target.open && event.target.matches("details.filter") && event.target.querySelector(":scope > ul, :scope > .filter-box");
  if (!list) return;
  list.style.transform = "";
  const over = list.getBoundingClientRect().right + 16 - document.documentElement.clientWidth;
  if (over > 0) list.style.transform = `translateX(${-over}px)`;
}, true);

// Of tabs that are wider than the window, the one that is open is seen.
for (const tabs of document.querySelectorAll(".tabs")) {
  const open = tabs.querySelector("[aria-current]");
  if (open) tabs.scrollLeft = open.offsetLeft - tabs.offsetLeft - (tabs.clientWidth - open.offsetWidth) / 2;
}

document.querySelector("form[data-focus-first]")?.querySelector(":is(input:not([type=hidden]), select, textarea, button):enabled")?.focus();
