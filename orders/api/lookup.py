"""Finds the shop and the order that an address or a body names."""

import uuid

from django.core.exceptions import ValidationError
from django.db.models import Q

from affiliates.models import validate_text
from orders.intake import place
from orders.intake.problems import RefusedError
from orders.models import Order, Shop


def shop_of(text: str | None) -> Shop | None:
    """The shop with this UUID or name; None for none. Raises `ValidationError` (`unknown_shop`)."""
    if not text:
        return None
    try:
        named = Q(uuid=uuid.UUID(text[:50]))
    except ValueError:
        named = Q(name=text.strip()) if _can_be_kept(text) else Q(pk=None)
    found = Shop.objects.filter(named).first()
    if found is None:
        wrong = "There is no shop with this UUID or name. Orders > Shops lists them."
        raise ValidationError({"shop": ValidationError(wrong, code="unknown_shop")})
    return found


def orders_of(number: str, shop: str | None) -> list[Order]:
    """The order with this number, of the named shop. Without one the order of no shop, else those of all shops.

    "" names no shop.
    """
    if shop is None:
        return place.find_all(number)
    found = place.find(number, shop_of(shop))
    return [found] if found else []


def order_of(number: str, shop: str | None, *, lock: bool = False) -> Order:
    """With `lock` it is there until the end of the transaction.

    Raises `RefusedError`: 404 if there is none, 409 if several shops have one with this number.
    """
    found = orders_of(number, shop)
    if lock and len(found) == 1:
        rows = Order.objects.select_for_update(no_key=True, of=("self",)).select_related("shop")
        found = list(rows.filter(pk=found[0].pk))
    if not found:
        raise RefusedError(404, "number", "not_found", "There is no order with this number.")
    if len(found) > 1:
        several = "Several shops have an order with this number. Name one: add ?shop= with its UUID or name."
        raise RefusedError(409, "shop", "several_shops", several)
    return found[0]


def _can_be_kept(text: str) -> bool:
    """Whether a row may hold this text. A query with other texts may be an error."""
    try:
        validate_text(text)
    except ValidationError:
        return False
    return True
