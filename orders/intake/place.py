"""The one way in for all that hands over orders: finds or makes the order, and saves it in one transaction.

What is applied to an order is `orders.intake.draft`, whose it is `orders.intake.attribution`.
"""

from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from affiliates.models import validate_text
from affiliates.referral import without_blanks
from orders.intake import sources
from orders.intake.attribution import warnings_of
from orders.intake.draft import Draft, link_of
from orders.intake.incoming import IncomingOrder, Placed
from orders.models import EXTERNAL_ID_MAX_LENGTH, NUMBER_MAX_LENGTH, Order, Shop

__all__ = ["UnknownOrderError", "find", "find_all", "place", "place_many", "warnings_of"]


class UnknownOrderError(Exception):
    """There is no order with this external id, and what came is not enough to make one."""


Result = Placed | ValidationError | UnknownOrderError


def place(incoming: IncomingOrder) -> Placed:
    """Save the order that came in: a new one, or the changes to the one that is there.

    It is found by the shop's external id, else by its number, which stays as it is. A code or a link that cannot be
    used refuses nothing. It is left out with a warning: a new order then has no affiliate, and keeps the reason and
    what was given. What is older than what is stored changes nothing. Raises `ValidationError` with the fields' names
    and codes, or `UnknownOrderError`.
    """
    try:
        return _place(incoming)
    except IntegrityError:  # a request at the same time has just made this order
        return _place(incoming)


def _place(incoming: IncomingOrder) -> Placed:
    with transaction.atomic():
        order = find(incoming.number, incoming.shop, incoming.external_id, lock=True)
        return _apply(order or _new(incoming), incoming)


def _new(incoming: IncomingOrder) -> Order:
    if incoming.external_id and not without_blanks(incoming.number):
        raise UnknownOrderError(incoming.external_id)
    return Order(number=incoming.number, shop=incoming.shop, external_id=incoming.external_id)


def _apply(order: Order, incoming: IncomingOrder) -> Placed:
    draft = Draft(order, incoming)
    if draft.is_older:
        return draft.placed(is_saved=False)
    sources.identify(draft.said, order.affiliate)
    draft.fill()
    if draft.needs_link:
        order.link = link_of(draft)
    draft.check()
    return draft.save()


def place_many(incoming: Sequence[IncomingOrder]) -> list[Result]:
    """As `place` for each, in their order; what is refused is in the place of its result and spoils no other."""
    results: list[Result] = []
    for each in incoming:
        try:
            results.append(place(each))
        except (ValidationError, UnknownOrderError) as error:
            results.append(error)
    return results


# --- finding -------------------------------------------------------------------
def find(number: str, shop: Shop | None = None, external_id: str = "", *, lock: bool = False) -> Order | None:
    """The shop's order with this external id, else with this number, whether or not white space is at its ends."""
    orders = Order.objects.select_related("affiliate", "link").filter(shop=shop)
    if lock:
        orders = orders.select_for_update(no_key=True, of=("self",))
    found = None
    if external_id and _can_be(external_id, EXTERNAL_ID_MAX_LENGTH):
        found = orders.filter(external_id=external_id).first()
    if found is None and (numbers := _spellings(number)):
        by_number = {order.number: order for order in orders.filter(number__in=numbers)}
        found = next((by_number[text] for text in numbers if text in by_number), None)
    if found is not None:
        found.shop = shop
    return found


def find_all(number: str) -> list[Order]:
    """The orders with this number: the one of no shop, else those of all shops, the oldest first."""
    numbers = _spellings(number)
    orders = list(Order.objects.select_related("affiliate", "link", "shop").filter(number__in=numbers).order_by("pk"))
    exact = [order for order in orders if order.number == numbers[0]] or orders
    return [order for order in exact if order.shop_id is None][:1] or exact


def _spellings(number: str) -> list[str]:
    """A number as it came, which rows from before may have, and without white space at its ends."""
    return [text for text in dict.fromkeys((number, without_blanks(number))) if _can_be(text, NUMBER_MAX_LENGTH)]


def _can_be(text: str, max_length: int) -> bool:
    """Whether a row may have this key. A query with other texts may be an error."""
    try:
        validate_text(text[:max_length])
    except ValidationError:
        return False
    return 0 < len(text) <= max_length
