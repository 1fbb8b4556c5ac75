// Runs before anything is painted: says that scripts run, and takes up the theme that was chosen.
"use strict";
{
  const root = document.documentElement;
  root.classList.add("js");
  const stored = localStorage.getItem("theme");
  root.dataset.theme = ["light", "dark"].includes(stored) ? stored : "auto";

  const show = () => {
    for (const button of document.querySelectorAll("[data-set-theme]")) {
      button.setAttribute("aria-pressed", String(button.dataset.setTheme === root.dataset.theme));
    }
  };
  document.addEventListener("DOMContentLoaded", show);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-set-theme]");
    if (!button) return;
    root.dataset.theme = button.dataset.setTheme;
    localStorage.setItem("theme", root.dataset.theme);
    show();
  });
}
