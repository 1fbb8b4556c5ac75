// Opens a form that is a page of its own in a window instead, and sends it from there.
//
// A link with `data-dialog` leads to such a page. Asked with `X-Requested-With: fetch` it gives the form alone; sent so,
// it answers 422 with the form again if something is wrong, and JSON if all is saved. What was typed stays in the
// window when that is closed with Escape, until it is saved or cancelled. If the server cannot be asked, the link is
// a link.
import { announce } from "./messages.js";
import { ask, errorNote, refresh, typedIn } from "./server.js";
import { localise } from "./times.js";

export const onFill = []; // functions that are called with a window after a form was put into it
const drafts = new Map(); // address -> the window with what was typed

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
  focusField(dialog);
}

function focusField(dialog) {
  const field = dialog.querySelector("[aria-invalid=true]") ?? dialog.querySelector("[autofocus]");
  field?.focus();
  field?.setSelectionRange?.(field.value.length, field.value.length);
}

async function open(link) {
  const address = link.href;
  let dialog = drafts.get(address);
  if (!dialog) {
    link.setAttribute("aria-busy", "true");
    try {
      const answer = await ask(address);
      if (!answer.ok || answer.redirected) throw new Error(answer.statusText);
      dialog = document.createElement("dialog");
      dialog.opener = link.id;
      fill(dialog, await answer.text());
      drafts.set(address, dialog);
      dialog.address = address;
    } catch {
      location.assign(address);
      return;
    } finally {
      link.removeAttribute("aria-busy");
    }
  }
  document.body.append(dialog);
  dialog.addEventListener("close", () => {
    dialog.remove();
    document.getElementById(dialog.opener)?.focus();
  }, { once: true });
  dialog.showModal();
  focusField(dialog);
}

function forget(dialog) {
  drafts.delete(dialog.address);
  dialog.close();
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
    else if (answer.redirected) note(dialog, "You are logged out. Log in in another tab, then press Submit again: nothing you typed is lost.");
    else if (answer.ok || answer.status === 422) fill(dialog, await answer.text());
    else if (answer.status === 403) note(dialog, "The server did not accept this: you may be logged out, or not allowed to change it. Log in in another tab, then press Submit again: nothing you typed is lost.");
    else if (answer.status === 404 && form.dataset.gone) note(dialog, form.dataset.gone);
    else note(dialog, `The server answered ${answer.status}. Nothing was saved; try again.`);
  } catch {
    note(dialog, "The server could not be reached. Nothing was saved; try again.");
  } finally {
    dialog.removeAttribute("aria-busy");
    button?.removeAttribute("aria-busy");
  }
}

// Takes the changed parts of the page below from the server, so that it neither jumps nor loses its place.
async function saved(dialog, { location: target }) {
  forget(dialog);
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
  if (dialog && event.target.closest("[data-cancel]")) {
    event.preventDefault();
    forget(dialog);
  }
});

document.addEventListener("submit", (event) => {
  const dialog = event.target.closest("dialog");
  if (!dialog || event.defaultPrevented) return;
  event.preventDefault();
  send(dialog, event.target, event.submitter);
});
