// Every module of the site, which `config.static_files` makes one file of. On a page without its elements each does nothing.
import "./theme/js/times.js";
import "./theme/js/frame.js";
import "./theme/js/copy.js";
import "./theme/js/messages.js";
import "./theme/js/selection.js";
import "./theme/js/dialog.js";
import "./affiliates/js/suggest.js";
import "./callbacks/js/live.js";
import "./orders/js/shop.js";
import "./callbacks/js/setup.js";
import "./callbacks/js/charts.js";
