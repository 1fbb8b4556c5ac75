"""Translates messages of Shopify: the webhooks of orders and refunds, as Shopify's documentation of 2026-07 has them.

An order's message holds its whole present state, so they need no particular order but that of their times.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from affiliates import search
from affiliates.referral import without_blanks
from orders.intake import place, privacy, shopify_refunds, sources, statuses, translator
from orders.intake.incoming import IncomingOrder
from orders.intake.json_body import boolean, currency, decimal, key, pick, text
from orders.intake.translator import Headers, Ignored
from orders.models import Message, Shop

STATES: Final = {shopify_refunds.UPDATED, *shopify_refunds.OTHER_STATES}
_MONEY: Final = {"shop_money": {"amount": decimal, "currency_code": currency}}
ALLOWED: Final = {
    "id": key, "name": text(100), "order_number": key, "test": boolean, "source_name": text(64),
    "current_total_price": decimal, "current_total_price_set": _MONEY, "total_price": decimal,
    "current_subtotal_price": decimal, "current_total_tax": decimal, "taxes_included": boolean, "currency": currency,
    "subtotal_price": decimal, "total_tax": decimal, "financial_status": text(64), "cancelled_at": text(40),
    "created_at": text(40), "processed_at": text(40), "updated_at": text(40),
    "landing_site": privacy.address, "landing_site_ref": text(64),
    "discount_codes": [{"code": text(255), "type": text(32)}],
    "discount_applications": [{"type": text(32), "code": text(255)}],
    "refunds": [shopify_refunds.ALLOWED],
}  # fmt: skip


def headers(given: Mapping[str, str], body: bytes) -> Headers:
    """Each header has its name with or without `X-`, as Shopify's own library reads them."""

    def header(name: str) -> str:
        return given.get(f"X-Shopify-{name}") or given.get(f"Shopify-{name}") or ""

    return Headers(
        topic=translator.one_line(header("Topic"), translator.TOPIC_MAX_LENGTH),
        key=translator.key_of(header("Webhook-Id")),
        triggered_at=translator.moment(header("Triggered-At")),
        api_version=translator.one_line(header("API-Version"), 32),
        domain=translator.one_line(header("Shop-Domain"), 255).lower(),
        is_test=header("Test").lower() == "true",
    )


def signature(given: Mapping[str, str]) -> str:
    return given.get("X-Shopify-Hmac-Sha256") or given.get("Shopify-Hmac-Sha256") or ""


def keep(topic: str, body: Any) -> dict[str, Any]:
    if topic == "refunds/create":
        return pick(body, shopify_refunds.ALLOWED) or {}
    if topic == "orders/edited":
        edit = pick(body, {"order_edit": {"order_id": key}}) or {}
        return {"id": edit["order_edit"]["order_id"]} if edit.get("order_edit") else {}
    kept: dict[str, Any] = pick(body, ALLOWED if topic in STATES else {"id": key}) or {}
    if topic not in STATES or not isinstance(body, dict):
        return kept
    if sources.is_technical(kept.get("landing_site", "")):
        del kept["landing_site"]
    attributes = pick(body.get("note_attributes"), [{"name": text(64), "value": privacy.cart_link}]) or []
    kept["note_attributes"] = [each for each in attributes if each.get("name") == translator.CART_KEY]
    kept["status"] = kept.pop("financial_status", "")
    kept["items"] = translator.count(body.get("line_items"))
    customer = pick(body.get("customer"), {"email": privacy.customer}) or {}
    kept["customer"] = privacy.customer(body.get("email") or body.get("contact_email")) or customer.get("email")
    return kept


def translate(message: Message) -> IncomingOrder | Ignored:
    kept, shop, topic = message.kept or {}, message.shop, message.topic
    if topic == "refunds/create":
        return shopify_refunds.alone(kept, shop)
    if topic == "orders/edited":
        return Ignored(_("The order was edited. The message orders/updated follows and changes it."))
    if topic not in STATES and topic != "orders/delete":
        return translator.unknown_topic(topic)
    if "id" not in kept:
        return translator.without_id()
    return _deletion(message, kept["id"]) if topic == "orders/delete" else _state(kept, shop)


def _deletion(message: Message, key: str) -> IncomingOrder:
    """It is the last that happens to an order, whatever the clocks say; what comes later was only late."""
    received_at = message.received_at if message.pk else timezone.now()
    known, at = place.find("", message.shop, key), message.triggered_at or received_at
    if known and known.source_updated_at:
        at = max(at, known.source_updated_at + timedelta.resolution)
    return IncomingOrder(shop=message.shop, external_id=key, status=statuses.REJECTED, updated_at=at)


def _state(kept: Mapping[str, Any], shop: Shop) -> IncomingOrder | Ignored:
    status = statuses.REJECTED if kept.get("cancelled_at") else statuses.translate(shop, kept.get("status", ""))
    if status == statuses.IGNORED:
        return translator.ignored_status(kept["status"])
    when = "current_" if "current_total_price" in kept else ""  # old versions have only what it was at the checkout
    total, code = kept.get(f"{when}total_price"), kept.get("currency", "")
    in_shop = kept.get("current_total_price_set", {}).get("shop_money", {})
    if len(in_shop) == 2:  # both from one place: beside it is what the customer saw, in another currency
        total, code = in_shop["amount"], in_shop["currency_code"]
    if not code:
        return translator.without_currency()
    price = translator.rounded(total, code)
    if kept.get("refunds") and price == 0:
        status = statuses.REJECTED
    subtotal = translator.rounded(kept.get(f"{when}subtotal_price"), code)
    if subtotal is not None and kept.get("taxes_included"):  # also those of the shipping, which may be all that is left
        subtotal = max(subtotal - (translator.rounded(kept.get(f"{when}total_tax"), code) or 0), Decimal(0))
    return IncomingOrder(
        shop=shop,
        external_id=kept["id"],
        number=without_blanks(kept.get("name", "")) or kept.get("order_number") or kept["id"],
        amount=price,
        subtotal=subtotal,
        refunds=tuple(shopify_refunds.of_order(kept, code)),
        currency=code,
        status=status,
        ordered_at=shopify_refunds.moment_of(kept),
        updated_at=translator.moment(kept.get("updated_at")),
        cart_link=next((each["value"] for each in kept.get("note_attributes", ()) if each.get("value")), None),
        landing=_landing(kept),
        coupons=tuple(_coupons(kept)),
        items=kept.get("items"),
        customer=kept.get("customer") or "",
    )


def _landing(kept: Mapping[str, Any]) -> str | None:
    """The landing page. What Shopify itself took for a code, as in `?source=abc`, is one if there is none of ours."""
    page, ref = kept.get("landing_site", ""), kept.get("landing_site_ref")
    if not ref or search.code_in(page):
        return page or None
    return f"{page or '/'}{'&' if '?' in page else '?'}{settings.REFERRAL_PARAMETERS[0]}={quote(ref)}"


def _coupons(kept: Mapping[str, Any]) -> Iterator[str]:
    """The codes that a customer entered. A discount that somebody of the shop gave has a text, which is no code."""
    applied = [each for each in kept.get("discount_applications", ()) if each.get("type") == "discount_code"]
    real = {each["code"].casefold() for each in applied if "code" in each}
    given = (each.get("code", "") for each in kept.get("discount_codes", ()))
    return (code for code in given if code.casefold() in real)
