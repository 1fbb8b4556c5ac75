// Opens a form that is a page of its own in a window instead, and sends it from there.
//
// A link with `data-dialog` leads to such a page. Asked with `X-Requested-With: fetch` it gives the form alone; sent so,
// it answers 422 with the form again if something is wrong, and JSON if all is saved. Escape asks before it closes a
// window in which something was typed. What the window says stands in its form (`admin/dialog_words.html`). If the
// server cannot be asked, the link is a link.
import { announce } from "./messages.js";
import { ask, errorNote, refresh, typedIn } from "./server.js";
import { localise } from "./times.js";

export const onFill = []; // functions that are called with a window after a form was put into it

const words = (dialog) => dialog.querySelector(".dialog-leave").dataset;

// What stands in the fields that a person fills in. A field that is not saved has `data-unsaved`.
function entered(dialog) {
  const fields = [...dialog.querySelector("form").elements].filter((field) => field.name && field.type !== "hidden" && !("unsaved" in field.dataset));
  return JSON.stringify(fields.map((field) => [field.name, "checked" in field && field.type !== "text" ? field.checked : field.value]));
}

function note(dialog, sentence) {
  dialog.querySelector(".dialog-trouble")?.remove();
  const element = errorNote(sentence);
  element.classList.add("dialog-trouble");
  element.setAttribute("role", "alert");
  dialog.querySelector(".dialog-body").prepend(element);
}

export function fill(dialog, html) {
  dialog.innerHTML = html;
  dialog.setAttribute("aria-labelledby", dialog.querySelector("form").getAttribute("aria-labelledby"));
  localise(dialog);
  for (const attach of onFill) attach(dialog);
  dialog.untouched ??= entered(dialog);
  focusField(dialog);
}

function focusField(dialog) {
  const field = dialog.querySelector("[aria-invalid=true]") ?? dialog.querySelector("[autofocus]");
  field?.focus();
  field?.setSelectionRange?.(field.value.length, field.value.length);
}

async function open(link) {
  if (link.hasAttribute("aria-busy")) return;
  const dialog = document.createElement("dialog");
  dialog.opener = link.id;
  link.setAttribute("aria-busy", "true");
  try {
    const answer = await ask(link.href);
    if (!answer.ok || answer.redirected) throw new Error(answer.statusText);
    fill(dialog, await answer.text());
  } catch {
    location.assign(link.href);
    return;
  } finally {
    link.removeAttribute("aria-busy");
  }
  document.body.append(dialog);
  dialog.addEventListener("close", () => {
    dialog.remove();
    document.getElementById(dialog.opener)?.focus();
  }, { once: true });
  dialog.addEventListener("cancel", leave);
  // A browser may close a window at the second Escape without asking its page; not if it never sees the key.
  dialog.addEventListener("keydown", (event) => { if (event.key === "Escape" && !event.isComposing) leave(event); });
  dialog.showModal();
  focusField(dialog);
}

// --- closed by Escape: in the place of the buttons stands a question if something would be lost ---
function leave(event) {
  const dialog = event.currentTarget;
  const isAsking = !dialog.querySelector(".dialog-leave").hidden;
  if (!isAsking && entered(dialog) === dialog.untouched) return;
  event.preventDefault();
  if (isAsking) stay(dialog);
  else {
    dialog.left = document.activeElement;
    showQuestion(dialog, true);
    dialog.querySelector("[data-stay]").focus();
  }
}

function showQuestion(dialog, isAsking) {
  for (const foot of dialog.querySelectorAll(".dialog-foot")) foot.hidden = foot.classList.contains("dialog-leave") !== isAsking;
}

function stay(dialog) {
  showQuestion(dialog, false);
  dialog.left?.focus();
}

async function send(dialog, form, button) {
  if (dialog.hasAttribute("aria-busy")) return;
  const body = typedIn(form, button);
  dialog.setAttribute("aria-busy", "true");
  button?.setAttribute("aria-busy", "true");
  try {
    const answer = await ask(form.action, { method: "POST", body });
    const isJson = answer.headers.get("Content-Type")?.startsWith("application/json");
    if (answer.ok && isJson) await saved(dialog, await answer.json());
    else if (answer.redirected) note(dialog, words(dialog).loggedOut);
    else if (answer.ok || answer.status === 422) fill(dialog, await answer.text());
    else if (answer.status === 403) note(dialog, words(dialog).refused);
    else if (answer.status === 404 && form.dataset.gone) note(dialog, form.dataset.gone);
    else note(dialog, words(dialog).failed);
  } catch {
    note(dialog, words(dialog).unreachable);
  } finally {
    dialog.removeAttribute("aria-busy");
    button?.removeAttribute("aria-busy");
  }
}

// Takes the changed parts of the page below from the server, so that it neither jumps nor loses its place.
async function saved(dialog, { location: target }) {
  dialog.close();
  try {
    await refresh(target);
  } catch {
    location.assign(target);
    return;
  }
  document.getElementById(dialog.opener)?.focus({ preventScroll: true });
  announce();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-dialog]");
  if (link && !(event.ctrlKey || event.metaKey || event.shiftKey || event.button)) {
    event.preventDefault();
    open(link);
    return;
  }
  const dialog = event.target.closest("dialog");
  if (dialog && event.target.closest("[data-cancel], [data-leave]")) {
    event.preventDefault();
    dialog.close();
  } else if (dialog && event.target.closest("[data-stay]")) stay(dialog);
});

document.addEventListener("submit", (event) => {
  const dialog = event.target.closest("dialog");
  if (!dialog || event.defaultPrevented) return;
  event.preventDefault();
  send(dialog, event.target, event.submitter);
});
