// Copies the text of the field that a button names, and says so on the button.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  event.preventDefault(); // a summary would open; without scripts that is how the text is reached
  const field = document.getElementById(button.dataset.copy);
  const label = button.querySelector("[data-copied]");
  label.dataset.label ??= label.textContent;
  try {
    await navigator.clipboard.writeText(field.value);
    label.textContent = label.dataset.copied;
  } catch {
    // Not allowed, or no secure context: show the text, chosen, for the keyboard to copy.
    button.closest("details")?.setAttribute("open", "");
    field.focus();
    field.select();
    label.textContent = label.dataset.select;
  }
  setTimeout(() => { label.textContent = label.dataset.label; }, 2500);
});
