"""Translates messages of WooCommerce: the webhooks of orders, API version WP REST API v3.

An order's message is what the REST API answers for it when the message is sent, its whole present state.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from django.utils.translation import gettext as _

from affiliates import search
from affiliates.referral import without_blanks
from orders.intake import privacy, statuses, translator
from orders.intake.incoming import IncomingOrder, IncomingRefund
from orders.intake.json_body import currency, decimal, key, pick, text
from orders.intake.translator import Headers, Ignored
from orders.models import Message

STATES: Final = {"order.created", "order.updated", "order.restored"}
SESSION_ENTRY: Final = "_wc_order_attribution_session_entry"  # the page that the customer's visit began on
ALLOWED: Final = {
    "id": key, "parent_id": key, "number": text(100), "status": text(64), "currency": currency, "created_via": text(64),
    "total": decimal, "total_tax": decimal, "shipping_total": decimal,
    "date_created_gmt": text(40), "date_modified_gmt": text(40), "date_paid_gmt": text(40),
    "coupon_lines": [{"code": text(255)}],
    "refunds": [{"id": key, "total": decimal}],
}  # fmt: skip
_PING = re.compile("webhook_id=[0-9]{1,20}")
_PLAIN = re.compile(r"[\w.~-]*")


def is_ping(given: Mapping[str, str], body: bytes) -> bool:
    """Whether it is what WooCommerce sends, unsigned, when a webhook is saved."""
    return "X-WC-Webhook-Signature" not in given and _PING.fullmatch(body[:40].decode("latin-1")) is not None


def signature(given: Mapping[str, str]) -> str:
    return given.get("X-WC-Webhook-Signature") or ""


def headers(given: Mapping[str, str], body: bytes) -> Headers:
    """Its delivery ID is no key: orders of the same second have the same. Nor is the body: a state can come back."""
    return Headers(translator.one_line(given.get("X-WC-Webhook-Topic"), translator.TOPIC_MAX_LENGTH))


def keep(topic: str, body: Any) -> dict[str, Any]:
    if topic not in STATES:
        return pick(body, {"id": key}) or {}
    kept: dict[str, Any] = pick(body, ALLOWED) or {}
    if not kept:
        return kept
    meta = pick(body.get("meta_data"), [{"key": text(64), "value": _any_text}]) or []
    given = {each["key"]: each["value"] for each in meta if "key" in each and "value" in each}
    kept["cart_link"] = privacy.cart_link(given.get(translator.CART_KEY))
    kept["session_entry"] = privacy.address(given.get(SESSION_ENTRY))
    kept["items"] = translator.count(body.get("line_items"))
    billing = body.get("billing")
    kept["customer"] = privacy.customer(billing.get("email") if isinstance(billing, dict) else None)
    return kept


def _any_text(value: Any) -> str | None:
    """Values of plugins are of any type."""
    return value if isinstance(value, str) else None


def translate(message: Message) -> IncomingOrder | Ignored:
    kept, shop, topic = message.kept or {}, message.shop, message.topic
    if topic not in STATES and topic != "order.deleted":
        return translator.unknown_topic(topic)
    if "id" not in kept:
        return translator.without_id()
    if topic == "order.deleted":
        return IncomingOrder(shop=shop, external_id=kept["id"], status=statuses.REJECTED)
    if kept.get("parent_id", "0").strip("0"):
        return Ignored(_("This is a part of another order."))
    status = statuses.translate(shop, kept.get("status", ""))
    if status == statuses.IGNORED:
        return translator.ignored_status(kept["status"])
    if not (code := kept.get("currency", "")):
        return translator.without_currency()
    amount, subtotal = _without_refunds(kept, code)
    return IncomingOrder(
        shop=shop,
        external_id=kept["id"],
        number=without_blanks(kept.get("number", "")) or kept["id"],
        amount=amount,
        subtotal=subtotal,
        refunds=tuple(_refunds(kept, code)),
        currency=code,
        status=status,
        ordered_at=translator.moment(kept.get("date_created_gmt")),
        updated_at=translator.moment(kept.get("date_modified_gmt")),
        cart_link=kept.get("cart_link"),
        landing=_what_is_sound(kept.get("session_entry")),
        coupons=tuple(each["code"] for each in kept.get("coupon_lines", ()) if each.get("code")),
        items=kept.get("items"),
        customer=kept.get("customer") or "",
    )


def _refunds(kept: Mapping[str, Any], code: str) -> Iterator[IncomingRefund]:
    """Their totals are negative there."""
    for each in kept.get("refunds", ()):
        if "id" in each and (total := translator.rounded(each.get("total"), code)) is not None:
            yield IncomingRefund(each["id"], abs(total))


def _without_refunds(kept: Mapping[str, Any], code: str) -> tuple[Decimal | None, Decimal | None]:
    """The total, and the same without shipping and tax, both after the refunds and never below 0."""
    if "total" not in kept:
        return None, None
    refunded = sum((abs(Decimal(each["total"])) for each in kept.get("refunds", ()) if "total" in each), Decimal(0))
    aside = sum((Decimal(kept.get(name, "0")) for name in ("shipping_total", "total_tax")), Decimal(0))
    left = [max(Decimal(kept["total"]) - refunded - part, Decimal(0)) for part in (Decimal(0), aside)]
    total, subtotal = (translator.rounded(str(amount), code) for amount in left)
    return total, subtotal


def _what_is_sound(url: str | None) -> str | None:
    """The page that the visit began on, without the parameters that WordPress may have damaged.

    It takes each `%` with the two characters behind it out of a text, so only plain values are what they were.
    """
    if not url:
        return None
    head, question, rest = url.partition("?")
    query, mark, fragment = rest.partition("#")
    code = search.code_in(url)
    sound = [part for part in query.split("&") if _PLAIN.fullmatch(value := part.partition("=")[2]) or value == code]
    return f"{head}{question}{'&'.join(sound)}{mark}{fragment}"
