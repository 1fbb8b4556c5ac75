"""Finds the shop and the order that an address or a body names."""

import uuid

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet

from affiliates.models import validate_text
from affiliates.referral import without_blanks
from orders.intake.problems import RefusedError
from orders.models import NUMBER_MAX_LENGTH, Order, Shop


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


def orders_numbered(number: str, shop: str | None) -> QuerySet[Order]:
    """The orders with this number, whether or not white space is at its ends: of the named shop, else of all.

    "" names no shop: orders that came from none.
    """
    texts = {text for text in (number, without_blanks(number)) if len(text) <= NUMBER_MAX_LENGTH}
    orders = Order.objects.filter(number__in=[text for text in texts if _can_be_kept(text)])
    return orders if shop is None else orders.filter(shop=shop_of(shop))


def order_of(number: str, shop: str | None, *, is_locked: bool = False) -> Order:
    """Raises `RefusedError`: 404 if there is none, 409 if several shops have one with this number."""
    orders = orders_numbered(number, shop).select_related("affiliate", "link", "shop").order_by("pk")
    if is_locked:
        orders = orders.select_for_update(no_key=True, of=("self",))
    found = list(orders[:10])
    found = [order for order in found if order.number == number] or found
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
