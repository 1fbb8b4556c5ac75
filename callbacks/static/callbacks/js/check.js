// Checks a callback's URL while it is typed.
//
// Some moments after the last change of the form its fields are sent to `data-check-url`, which answers with parts of
// the same form; they take the places of those that are there. If the server cannot be asked, the URL is checked when
// the form is sent. While a variable is half typed nothing is asked.
import { latest, parsed, typedIn } from "../../theme/js/server.js";
import { offerVariables, type } from "./editor.js";

const WAIT_MS = 350;

export function checkWhileTyped(form) {
  const field = form.querySelector(".template-editor textarea");
  const ask = latest();
  let timer = 0;
  let isPutOff = false;
  let checked = field.value; // what the findings are about

  const check = async () => {
    const typed = field.value;
    const html = await ask(form.dataset.checkUrl, { method: "POST", body: typedIn(form) });
    if (html === null) return;
    show(form, html);
    checked = typed;
  };

  form.addEventListener("input", (event) => {
    clearTimeout(timer);
    isPutOff = event.target === field && event.inputType !== "insertFromPaste" && isInVariable(field);
    setAside(form, isPutOff);
    if (!isPutOff) timer = setTimeout(check, WAIT_MS);
  });
  for (const moved of ["keyup", "pointerup", "blur"]) {
    field.addEventListener(moved, () => {
      if (!isPutOff || (moved !== "blur" && isInVariable(field))) return;
      isPutOff = false;
      setAside(form, false);
      check();
    });
  }
  form.addEventListener("click", (event) => {
    if (!event.target.closest("button[data-json]")) return;
    event.preventDefault();
    for (const chosen of ["[name=method][value=POST]", "[name=body_format][value=json]"]) form.querySelector(chosen).checked = true;
    field.focus();
    clearTimeout(timer);
    check();
  });
  form.addEventListener("click", async (event) => {
    let button = event.target.closest("button[data-take]");
    if (!button) return;
    event.preventDefault();
    clearTimeout(timer);
    if (field.value !== checked) {
      // It holds the URL as it was before the last keystrokes: those must not be lost.
      const name = button.textContent;
      await check();
      button = [...form.querySelectorAll("button[data-take]")].find((fresh) => fresh.textContent === name);
      if (!button || field.value !== checked) return;
    }
    field.focus();
    field.select();
    type(field, button.dataset.take);
    clearTimeout(timer);
    check();
  });
}

// Whether the cursor is in a variable that is still being typed: what is wrong with it will be said when it is left.
function isInVariable(field) {
  const before = field.value.slice(0, field.selectionStart);
  const after = field.value.slice(field.selectionEnd);
  return /\{[^{}]*$/.test(before) && !/^[^{}]*\}/.test(after);
}

// While a variable is half typed, what was said of the URL before it is no longer so, and no button in it may be pressed.
function setAside(form, isAside) {
  for (const part of form.querySelectorAll("#setup-check, #setup-preview")) part.inert = isAside;
}

function show(form, html) {
  const fresh = parsed(html);
  for (const part of fresh.querySelectorAll("body > [id]")) {
    const present = form.querySelector(`#${part.id}`);
    if (!present || isSame(present, part)) continue;
    const focused = present.contains(document.activeElement) ? document.activeElement.id : "";
    const copy = document.importNode(part, true);
    for (const details of copy.querySelectorAll("details")) details.open = Boolean(present.querySelector("details[open]"));
    present.replaceWith(copy);
    if (focused) document.getElementById(focused)?.focus();
    if (part.querySelector("[data-insert]")) offerVariables(form);
  }
  describe(form.querySelector(".template-editor textarea"), form.querySelector("#setup-check"));
  const said = form.querySelector("[data-said]");
  const summary = fresh.querySelector("[data-summary]")?.dataset.summary ?? "";
  if (said.textContent !== summary) said.textContent = summary;
}

// The list of variables is another one only for another order.
function isSame(present, part) {
  return "of" in part.dataset ? present.dataset.of === part.dataset.of : present.innerHTML === part.innerHTML;
}

// What is beside the field describes it. It is marked as wrong by the server only, when it was sent.
function describe(field, part) {
  const errors = part.querySelector(".errorlist");
  if (errors) field.setAttribute("aria-describedby", errors.id);
  else {
    field.removeAttribute("aria-describedby");
    field.removeAttribute("aria-invalid");
  }
}
