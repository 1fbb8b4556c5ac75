// Keeps the line up to date that says when a shop's last message arrived, so that it turns green by itself.
import { fill, follow } from "../../theme/js/server.js";

const heard = document.querySelector("[data-heard-url]");

function show({ html, again_ms }) {
  fill(heard, html);
  return again_ms;
}

if (heard) follow(() => heard.dataset.heardUrl, show, 1000, 10000);
