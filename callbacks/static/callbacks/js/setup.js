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
