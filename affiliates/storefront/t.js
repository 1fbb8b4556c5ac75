// Keeps the referral link that a customer came through, and leaves it in the cart. docs/storefront.md says how to use it.
(() => {
  "use strict";
  const KEY = "_aff_landing";
  const LONGEST = 1500; // characters of a link, 2,000 in base64
  const options = document.currentScript?.dataset ?? {};
  const names = (options.parameters || "REFERRAL_PARAMETERS").toLowerCase().split(",");
  const days = Number(options.days) > 0 ? Number(options.days) : 30;

  const nameOf = (part) => part.split("=")[0].split("[")[0].toLowerCase();
  const hasValue = (part) => part.split("=").slice(1).join("=") !== "";

  function isReferral(url) {
    return url.split(/[?&;#]/).slice(1).some((part) => names.includes(nameOf(part)) && hasValue(part));
  }

  // A link that is too long keeps what names the affiliate and the click.
  function shortened(url) {
    if (url.length <= LONGEST) return url;
    const isNeeded = (name) => names.includes(name) || name.includes("sub") || name.includes("click");
    const parts = url.split(/[?&;#]/).slice(1).filter((part) => part.length < 500 && isNeeded(nameOf(part)));
    return `${location.origin}${location.pathname.slice(0, 500)}?${parts.join("&")}`.slice(0, LONGEST);
  }

  const encoded = (url) => btoa(url).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const decoded = (value) => atob(value.replaceAll("-", "+").replaceAll("_", "/"));

  function kept() {
    const found = document.cookie.split("; ").find((each) => each.startsWith(`${KEY}=`));
    return found ? found.slice(KEY.length + 1) : "";
  }

  function keep(url) {
    const domain = options.domain ? `; domain=${options.domain}` : "";
    const secure = location.protocol === "https:" ? "; secure" : "";
    const age = Math.round(days * 86400);
    document.cookie = `${KEY}=${encoded(url)}; path=/; max-age=${age}; samesite=lax${domain}${secure}`;
  }

  // Shopify: an attribute of the cart, which the order then has. Another app may have removed it.
  async function tellCart() {
    const root = window.Shopify?.routes?.root ?? "/";
    const cart = await (await fetch(`${root}cart.js`, { headers: { Accept: "application/json" } })).json();
    if (!cart.item_count || cart.attributes?.[KEY] === kept()) return;
    const body = JSON.stringify({ attributes: { [KEY]: kept() } });
    await fetch(`${root}cart/update.js`, { method: "POST", headers: { "Content-Type": "application/json" }, body });
  }

  function watchCart() {
    const tell = () => kept() && tellCart().catch(() => {}); // the page is more important than the link
    const isChange = (entry) => /\/cart\/(add|change|clear|update)/.test(entry.name);
    new PerformanceObserver((list) => list.getEntries().some(isChange) && tell()).observe({ type: "resource" });
    tell();
  }

  // WooCommerce, the classic checkout: a field, which the plugin stores with the order.
  function fillCheckout() {
    for (const form of document.querySelectorAll("form.checkout, form.woocommerce-checkout")) {
      const field = form.elements.namedItem(KEY) ?? document.createElement("input");
      Object.assign(field, { type: "hidden", name: KEY, value: kept() });
      form.append(field);
    }
  }

  function begin() {
    if (window.Shopify) watchCart();
    if (kept()) fillCheckout();
  }

  if (isReferral(location.href) && !(options.touch === "first" && kept())) keep(shortened(location.href));
  window.affiliatePostbacks = { landing: () => (kept() ? decoded(kept()) : "") };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
