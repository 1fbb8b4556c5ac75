// Sends what stands in a callback's form once, for real, and shows the result in the form.
//
// The button's `formaction` answers with the part of the form that says so; with the whole form (422) if something is
// wrong in it. Nothing is saved. Meanwhile everything else can be used, but the test cannot be sent again.
import { fill } from "../../theme/js/dialog.js";
import { ask, errorNote, parsed, typedIn } from "../../theme/js/server.js";
import { localise } from "../../theme/js/times.js";

export function sendTests(form) {
  form.addEventListener("submit", async (event) => {
    const dialog = form.closest("dialog");
    if (!dialog || !event.submitter?.hasAttribute("data-test")) return;
    event.preventDefault();
    const refused = await send(form, event.submitter);
    if (refused && dialog.contains(form)) fill(dialog, refused);
  });
  // Once something is changed, a result says that it is older, and a note of why nothing was sent goes.
  form.addEventListener("input", () => {
    form.querySelector(".test-result")?.classList.add("is-stale");
    form.querySelector("#setup-test > .note")?.remove();
  });
}

// Returns the form to show in the place of this one if it was refused.
async function send(form, button) {
  if (button.hasAttribute("aria-busy")) return null;
  const body = typedIn(form);
  const label = button.querySelector("[data-busy]");
  const words = label.textContent;
  button.setAttribute("aria-busy", "true");
  label.textContent = label.dataset.busy;
  try {
    const answer = await ask(button.formAction, { method: "POST", body });
    const isHtml = answer.headers.get("Content-Type")?.startsWith("text/html");
    if (answer.status === 422) return await answer.text();
    if (answer.redirected || answer.status === 403) say(form, form.dataset.testRefused);
    else if (isHtml && (answer.ok || answer.status === 429)) {
      const fresh = parsed(await answer.text()).getElementById("setup-test");
      show(form, document.importNode(fresh, true), fresh.dataset.summary);
    } else say(form, form.dataset.testFailed);
  } catch {
    say(form, form.dataset.testUnknown);
  } finally {
    button.removeAttribute("aria-busy");
    label.textContent = words;
  }
  return null;
}

function say(form, sentence) {
  const part = form.querySelector("#setup-test").cloneNode(false);
  part.append(errorNote(sentence));
  show(form, part, sentence);
}

function show(form, part, summary) {
  form.querySelector("#setup-test").replaceWith(part);
  localise(part);
  form.querySelector("[data-said]").textContent = summary;
  part.scrollIntoView({ block: "nearest" });
}
