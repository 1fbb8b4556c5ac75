// Replaces the signing secret inside the form, so that what is typed there stays.
//
// The link leads to a page that asks once more. Asked with `X-Requested-With: fetch` its address gives the part of the
// form that asks, perhaps for the password, too, and sent so the part that shows the new secret, this once; 422 and the
// question again if the password is wrong. If that fails, the link is a link.
import { ask, parsed, refresh } from "../../theme/js/server.js";
import { localise } from "../../theme/js/times.js";

export function rotateInPlace(form) {
  const present = () => form.querySelector("#setup-secret");
  let kept = null;

  form.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-ask]");
    const button = event.target.closest("[data-rotate], [data-keep]");
    if (link && !(event.ctrlKey || event.metaKey || event.shiftKey)) {
      event.preventDefault();
      kept = present();
      exchange(link, link.href, {}).catch(() => location.assign(link.href));
    } else if (button?.hasAttribute("data-keep")) {
      present().replaceWith(kept);
      kept.querySelector("a[data-ask]").focus();
    } else if (button) rotate(button);
  });
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.target.closest(".secret-password")) return;
    event.preventDefault();
    rotate(present().querySelector("[data-rotate]"));
  });

  const rotate = async (button) => {
    if (button.hasAttribute("aria-busy")) return;
    const body = new FormData();
    const password = present().querySelector(".secret-password input");
    if (password) body.set("password_again", password.value);
    try {
      await exchange(button, button.dataset.rotate, { method: "POST", body });
    } catch {
      button.after(` ${button.dataset.failed}`);
      return;
    }
    if (!present().querySelector("[data-rotate]")) await refresh(location.href).catch(() => {}); // what else this page says of it
  };

  const exchange = async (control, address, options) => {
    control.setAttribute("aria-busy", "true");
    try {
      const answer = await ask(address, options);
      if ((!answer.ok && answer.status !== 422) || answer.redirected) throw new Error(answer.statusText);
      const part = parsed(await answer.text()).getElementById("setup-secret");
      present().replaceWith(document.importNode(part, true));
      localise(present());
      (present().querySelector("input") ?? present().querySelector("[data-keep]"))?.focus();
      present().scrollIntoView({ block: "nearest" });
    } finally {
      control.removeAttribute("aria-busy");
    }
  };
}
