// Replaces the signing secret inside the form, so that what is typed there stays.
//
// The link leads to a page that asks once more. Asked with `X-Requested-With: fetch` its address gives the part of the
// form that asks, and sent so the part that shows the new secret, this once. If that fails, the link is a link.
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
    } else if (button && !button.hasAttribute("aria-busy")) {
      exchange(button, button.dataset.rotate, { method: "POST" }).then(
        () => refresh(location.href).catch(() => {}), // what else this page says of it
        () => button.after(" No answer came. Reload the page before you try again: the secret may be another one now."),
      );
    }
  });

  const exchange = async (control, address, options) => {
    control.setAttribute("aria-busy", "true");
    try {
      const answer = await ask(address, options);
      if (!answer.ok || answer.redirected) throw new Error(answer.statusText);
      const part = parsed(await answer.text()).getElementById("setup-secret");
      present().replaceWith(document.importNode(part, true));
      localise(present());
      present().querySelector("[data-keep], input")?.focus();
      present().scrollIntoView({ block: "nearest" });
    } finally {
      control.removeAttribute("aria-busy");
    }
  };
}
