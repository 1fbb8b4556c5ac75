// Makes typing a URL with variables easier: they go in at the cursor by a press, and stand out in what is typed.
const VARIABLE = /\{\{(?:[^{}"']|"[^"]*"|'[^']*')*\}\}/g;

export function offerVariables(form) {
  const field = form.querySelector(".template-editor textarea");
  toolbar([...form.querySelectorAll("[data-insert]")].map((row) => offer(row, field)));
}

// --- the list of variables: it has one stop for the Tab key, and arrows move within it ---
function offer(row, field) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = row.className;
  button.append(...row.childNodes);
  button.addEventListener("click", () => insert(field, row.dataset.insert));
  row.replaceWith(button);
  return button;
}

function insert(field, name) {
  const start = field.selectionStart;
  type(field, `{{${name}}}`);
  const open = name.indexOf("NAME");
  if (open >= 0) field.setSelectionRange(start + 2 + open, start + 2 + open + 4);
}

// Puts a text in the place of what is chosen, in the one way that undo knows of.
export function type(field, text) {
  field.focus();
  if (document.execCommand("insertText", false, text)) return;
  field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

function toolbar(buttons) {
  const select = (chosen) => buttons.forEach((button) => { button.tabIndex = button === chosen ? 0 : -1; });
  select(buttons[0]);
  buttons[0]?.parentElement.removeAttribute("tabindex"); // which is for scrolling it where there are no buttons
  for (const [at, button] of buttons.entries()) {
    button.addEventListener("focus", () => select(button));
    button.addEventListener("keydown", (event) => {
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      buttons[Math.min(Math.max(to, 0), buttons.length - 1)].focus();
    });
  }
}

// --- colour behind the field: the same text stands there, with the variables marked ---
export function highlightVariables(form) {
  const field = form.querySelector(".template-editor textarea");
  const behind = document.createElement("div");
  behind.className = "template-mirror";
  behind.setAttribute("aria-hidden", "true");
  const paint = () => {
    const text = field.value;
    const parts = [];
    let end = 0;
    for (const { 0: found, index } of text.matchAll(VARIABLE)) {
      const mark = document.createElement("mark");
      mark.textContent = found;
      parts.push(text.slice(end, index), mark);
      end = index + found.length;
    }
    behind.replaceChildren(...parts, `${text.slice(end)}\n`);
    behind.scrollTop = field.scrollTop;
  };
  field.before(behind);
  field.parentElement.classList.add("is-mirrored");
  field.addEventListener("input", paint);
  field.addEventListener("scroll", () => { behind.scrollTop = field.scrollTop; });
  field.addEventListener("keydown", (event) => {
    // A URL has one line: Enter sends the form, as in any other field.
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit(form.querySelector(".button-primary"));
  });
  paint();
}
