// Choosing rows of a list for an action: all of the page by the box in the head, some in a row with Shift, all pages by
// the link that then appears. The bar of actions is there while a row is chosen.
const bar = document.querySelector(".actions");
const boxes = [...document.querySelectorAll("tr input.action-select")];
const all = document.getElementById("action-toggle");

function show() {
  const count = boxes.filter((box) => box.checked).length;
  const isAll = count > 0 && count === boxes.length;
  const across = bar.querySelector(".select-across");
  if (across && !isAll) across.value = "0";
  const isAcross = across?.value === "1";
  all.checked = isAll;
  all.indeterminate = count > 0 && !isAll;
  for (const box of boxes) box.closest("tr").classList.toggle("selected", box.checked);
  bar.classList.toggle("is-active", count > 0);
  const counter = bar.querySelector(".action-counter");
  counter.textContent = counter.dataset.selected.replace("{selected}", count).replace("{total}", boxes.length);
  counter.classList.toggle("hidden", isAcross);
  bar.querySelector(".all")?.classList.toggle("hidden", !isAcross);
  bar.querySelector(".question")?.classList.toggle("hidden", !isAll || isAcross);
  bar.querySelector(".clear")?.classList.toggle("hidden", !isAcross);
}

function choose(chosen, isChecked) {
  for (const box of chosen) box.checked = isChecked;
  show();
}

function attach() {
  let last = null;
  for (const [index, box] of boxes.entries()) {
    box.addEventListener("click", (event) => {
      const from = event.shiftKey && last !== null ? last : index;
      choose(boxes.slice(Math.min(from, index), Math.max(from, index) + 1), box.checked);
      last = index;
    });
  }
  all.addEventListener("click", () => choose(boxes, all.checked));
  bar.addEventListener("click", (event) => {
    const button = event.target.closest(".question button, .clear button");
    if (!button) return;
    bar.querySelector(".select-across").value = button.closest(".question") ? "1" : "0";
    choose(boxes, Boolean(button.closest(".question")));
    bar.querySelector(button.closest(".question") ? ".clear button" : "select")?.focus();
  });
  addEventListener("pageshow", show); // the Back button brings the choice back
  show();
}

if (bar && boxes.length) attach();
