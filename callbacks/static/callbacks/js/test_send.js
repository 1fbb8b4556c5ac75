// Sends what stands in a callback's form once, for real, and shows in the form what came of it.
//
// The button's `formaction` answers with the part of the form that says so; with the whole form (422) if something is
// wrong in it. Nothing is saved. Meanwhile everything else can be used, but the test cannot be sent again.
import { alarm } from "../../theme/js/alarm.js";
import { token } from "../../theme/js/csrf.js";
import { localise } from "../../theme/js/times.js";

const AWAY = "The server could not be reached, so it is not known whether the test was sent. The log will show it.";

// Returns the form to show in the place of this one if it was refused.
export async function sendTest(form, button) {
  if (button.hasAttribute("aria-busy")) return null;
  const data = new FormData(form);
  data.delete("csrfmiddlewaretoken");
  const label = button.querySelector("[data-busy]");
  const words = label.textContent;
  button.setAttribute("aria-busy", "true");
  label.textContent = label.dataset.busy;
  try {
    const headers = { "X-Requested-With": "fetch", "X-CSRFToken": token() };
    const answer = await fetch(button.formAction, { method: "POST", body: data, headers });
    const isHtml = answer.headers.get("Content-Type")?.startsWith("text/html");
    if (answer.status === 422) return await answer.text();
    if (answer.redirected || answer.status === 403) say(form, "Nothing was sent: you may be signed out, or not allowed to do this. Sign in in another tab, then send it again.");
    else if (isHtml && (answer.ok || answer.status === 429)) show(form, await answer.text());
    else say(form, `The server answered ${answer.status}. Look into the log before you send it again.`);
  } catch {
    say(form, AWAY);
  } finally {
    button.removeAttribute("aria-busy");
    label.textContent = words;
  }
  return null;
}

// What came of a test is told apart from what was changed after it; why nothing was sent is no longer said.
export function attendTest(form) {
  form.addEventListener("input", () => {
    form.querySelector(".test-result")?.classList.add("is-stale");
    form.querySelector("#setup-test > .note")?.remove();
  });
}

function show(form, html) {
  const fresh = new DOMParser().parseFromString(html, "text/html").getElementById("setup-test");
  place(form, document.importNode(fresh, true), fresh.dataset.summary);
}

function say(form, sentence) {
  const part = form.querySelector("#setup-test").cloneNode(false);
  part.append(alarm(sentence));
  place(form, part, sentence);
}

function place(form, part, summary) {
  form.querySelector("#setup-test").replaceWith(part);
  localise(part);
  form.querySelector("[data-said]").textContent = summary;
  part.scrollIntoView({ block: "nearest" });
}
