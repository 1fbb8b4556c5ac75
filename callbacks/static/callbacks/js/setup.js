// Makes the form of a callback easier to fill in, in a window and as a page of its own.
import { onFill } from "../../theme/js/dialog.js";
import { checkWhileTyped } from "./check.js";
import { highlightVariables, offerVariables } from "./editor.js";
import { rotateInPlace } from "./secret.js";
import { sendTests } from "./test_send.js";

function attach(root) {
  const form = root.querySelector("form[data-check-url]");
  if (!form) return;
  for (const enhance of [highlightVariables, offerVariables, checkWhileTyped, sendTests, rotateInPlace]) enhance(form);
}

onFill.push(attach);
attach(document);

// The page opens at a row after a form without a window was saved: what was said of it is read out there.
const messages = document.getElementById("messages");
if (location.hash && messages?.childElementCount) {
  messages.tabIndex = -1;
  messages.focus({ preventScroll: true });
}
