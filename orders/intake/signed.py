"""Translates messages of a shop of one's own: the fields of `POST /api/orders` and some more.

The names that GoAffPro has for them are read too, so that a shop that leaves it has only a URL to change.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from django.utils.translation import gettext as _

from orders.intake import place, privacy, statuses
from orders.intake.incoming import KEEP, IncomingOrder
from orders.intake.json_body import JsonNumber, boolean, currency, decimal, pick, text
from orders.intake.translator import Headers, Ignored, ignored_status, key_of, moment, refused, rounded
from orders.models import Message, Order, Shop

TOPIC: Final = "order"
ALIASES: Final = {
    "total": "amount", "date": "ordered_at", "created_at": "ordered_at", "coupons": "coupon", "coupon_code": "coupon",
    "order_id": "id", "order_number": "number",
}  # fmt: skip


def _codes(value: Any) -> list[str] | None:
    """Codes in a list or in a text with commas; each may be an object with its `code`."""
    given = value if isinstance(value, list) else value.split(",") if isinstance(value, str) else [value]
    codes = [each.get("code") if isinstance(each, dict) else each for each in given]
    found: list[str] | None = pick(codes, [text(255)])
    return found


def _amount(value: Any) -> str | None:
    """As `decimal`; what is no amount is kept too, for the reason why it is refused."""
    return "" if value is None or value == "" else decimal(value) or "?"


def _items(value: Any) -> int | None:
    number = value.text if isinstance(value, JsonNumber) else ""
    return int(number) if number.isascii() and number.isdigit() and len(number) < 10 else None


ALLOWED: Final = {
    "id": text(64), "number": text(100), "amount": _amount, "commission": _amount, "currency": currency,
    "status": text(64), "affiliate": text(64), "link": privacy.address, "landing_url": privacy.address,
    "ordered_at": text(40), "updated_at": text(40), "coupon": _codes, "subtotal": _amount, "tax": _amount,
    "shipping": _amount, "refunded": _amount, "items": _items, "customer_is_new": boolean, "test": boolean,
}  # fmt: skip
AMOUNTS: Final = ("amount", "commission", "subtotal", "tax", "shipping", "refunded")


def headers(given: Mapping[str, str], body: bytes) -> Headers:
    return Headers(TOPIC, key_of(given.get("webhook-id") or ""))


def keep(topic: str, body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        return {}
    named = {name: body[alias] for alias, name in ALIASES.items() if alias in body} | body
    kept: dict[str, Any] = pick(named, ALLOWED) or {}
    customer = body.get("customer")
    email = customer.get("email") if isinstance(customer, dict) else customer or body.get("email")
    kept["customer"] = privacy.customer(email)
    return kept


def translate(message: Message) -> IncomingOrder | Ignored:
    kept, shop = message.kept or {}, message.shop
    number, key = kept.get("number", ""), kept.get("id", "")
    if not number and not key:
        return refused(_("The message names no order. Send its number or its id."))
    if bad := [name for name in AMOUNTS if kept.get(name) == "?"]:
        return refused(_("%(name)s must be a number in digits with a point, such as 58.00.") % {"name": bad[0]})
    theirs = kept.get("status", "")
    status = statuses.translate(shop, theirs) if theirs else None
    if status == statuses.IGNORED:
        return ignored_status(theirs)
    code = kept.get("currency") or _currency_of(shop, number, key)
    amounts = {name: rounded(kept.get(name), code) for name in AMOUNTS}
    return IncomingOrder(
        shop=shop,
        external_id=key,
        number=number or key,
        amount=amounts["amount"],
        commission=amounts["commission"] if "commission" in kept else KEEP,
        subtotal=_subtotal(amounts),
        refunded=amounts["refunded"],
        currency=kept.get("currency"),
        status=status,
        affiliate_code=kept.get("affiliate"),
        link=kept.get("link"),
        landing=kept.get("landing_url"),
        coupons=tuple(kept["coupon"]) if "coupon" in kept else None,
        ordered_at=moment(kept.get("ordered_at")),
        updated_at=moment(kept.get("updated_at")),
        items=kept.get("items"),
        customer_is_new=kept.get("customer_is_new"),
        customer=kept.get("customer") or "",
        source=Order.Source.API if kept.get("affiliate") else None,
    )


def _currency_of(shop: Shop, number: str, key: str) -> str:
    """That of an order which came without one: as it is stored, or as new ones have it."""
    order = place.find(number, shop, key)
    return order.currency if order else str(Order._meta.get_field("currency").default)  # noqa: SLF001 - Django's documented name


def _subtotal(amounts: Mapping[str, Decimal | None]) -> Decimal | None:
    """As given, else what is left of the amount without tax and shipping, if one of them was given."""
    total, tax, shipping = amounts["amount"], amounts["tax"], amounts["shipping"]
    if amounts["subtotal"] is not None or total is None or (tax is None and shipping is None):
        return amounts["subtotal"]
    return max(total - (tax or Decimal(0)) - (shipping or Decimal(0)), Decimal(0))
