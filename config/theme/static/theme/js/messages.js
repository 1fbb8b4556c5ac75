// What was said stands at the top of the page. Where that is out of sight, it is shown at the bottom for some seconds.
const SHOWN_MS = 8000;
const messages = document.getElementById("messages");

function isOutOfSight() {
  const bar = matchMedia("(max-width: 860px)").matches ? (document.querySelector(".side")?.offsetHeight ?? 0) : 0;
  return messages.getBoundingClientRect().top < bar && scrollY > 0;
}

export function announce() {
  if (!messages?.children.length || !isOutOfSight()) return;
  messages.classList.add("is-toast");
  setTimeout(() => messages.classList.remove("is-toast"), SHOWN_MS);
}

// A page that opens at a #fragment has been moved there by now. A screen reader reads what comes into an element of
// the role `status`, and not what was in it before.
if (messages?.children.length) {
  addEventListener("load", () => setTimeout(() => {
    messages.replaceChildren(...messages.childNodes);
    announce();
  }));
}
