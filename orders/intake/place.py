"""The one way in for all that hands over orders: finds or makes the order, and saves it in one transaction.

What is applied to an order is `orders.intake.draft`, whose it is `orders.intake.attribution`.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace

from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError, OperationalError, connection, transaction
from django.db.models import QuerySet
from structlog.contextvars import get_contextvars

from affiliates.models import is_storable
from affiliates.referral import without_blanks
from config.db_outages import is_deadlock
from orders.intake import refunds, sources
from orders.intake.attribution import warnings_of
from orders.intake.draft import Draft, find_or_make_links
from orders.intake.group_commit import GroupCommit
from orders.intake.incoming import IncomingOrder, Placed
from orders.models import EXTERNAL_ID_MAX_LENGTH, NUMBER_MAX_LENGTH, Order, Shop

__all__ = ["UnknownOrderError", "find", "find_all", "place", "place_many", "place_with_others", "warnings_of"]


class UnknownOrderError(Exception):
    """There is no order with this external id, and what came is not enough to make one."""


DEADLOCKS = 3  # of one call, after each of which it begins anew

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


def place_with_others(incoming: IncomingOrder) -> Placed:
    """As `place`, but new orders that come in the same moment are saved in one transaction: for many requests."""
    if connection.in_atomic_block:  # which may still be rolled back
        return place(incoming)
    request_id = get_contextvars().get("request_id", "")
    result = _place_new_together(replace(incoming, request_id=request_id))
    if isinstance(result, Exception):
        raise result
    return result or place(incoming)


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
    draft.check()
    find_or_make_links([draft])
    return draft.save()


# --- many at once --------------------------------------------------------------
def place_many(incoming: Sequence[IncomingOrder]) -> list[Result]:
    """As `place` for each, in one transaction; what is refused is in the place of its result and spoils no other.

    New orders are looked up, checked and inserted together. What cannot be, and what is several times in here, is
    placed one by one. That is left for few: requests which lock rows in other orders may wait for each other for ever.
    Then the database ends one of them, which begins anew and places all of them one by one, in the order of numbers.
    """
    for attempt in range(DEADLOCKS):
        try:
            return _place_many(incoming, is_together=attempt == 0)
        except OperationalError as error:
            if not is_deadlock(error):
                raise
    return _place_many(incoming, is_together=False)


def _place_many(incoming: Sequence[IncomingOrder], *, is_together: bool) -> list[Result]:
    results: dict[int, Result] = {}
    with transaction.atomic():
        alone = _alone(incoming)
        for _time in range(2 if is_together else 0):  # the second is for new orders that others have made meanwhile
            left = {index: each for index, each in alone.items() if index not in results}
            _place_together(_drafts(left, _find_many(left), results), results)
        remaining = [index for index in range(len(incoming)) if index not in results]
        if not any(incoming[index].external_id for index in remaining):  # which may be about one order in two ways
            remaining.sort(key=lambda index: without_blanks(incoming[index].number))
        for index in remaining:
            results[index] = _place_or_refuse(incoming[index])
    return [results[index] for index in range(len(incoming))]


def place_new(incoming: Sequence[IncomingOrder]) -> list[Result | None]:
    """As `place` for those that are new orders, in one transaction; None for all others.

    Raises `OperationalError` if it had to wait for a row of another transaction: all of these would wait with it.
    """
    results: dict[int, Result] = {}
    with transaction.atomic():
        if connection.vendor == "postgresql":  # SQLite has waited by now
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '50ms'")
        alone = _alone(incoming)
        known = _known(alone)
        new = {index: each for index, each in alone.items() if index not in known}
        _place_together(_drafts(new, {}, results), results)
    return [results.get(index) for index in range(len(incoming))]


_place_new_together: GroupCommit[IncomingOrder, Result] = GroupCommit(place_new, pause_s=0.005)


def _place_or_refuse(incoming: IncomingOrder) -> Result:
    try:
        return place(incoming)
    except (ValidationError, UnknownOrderError) as error:
        return error


def _alone(incoming: Sequence[IncomingOrder]) -> dict[int, IncomingOrder]:
    """The orders that nothing else in here is about, by their places."""
    times = Counter(key for each in incoming for key in _keys(each))
    return {index: each for index, each in enumerate(incoming) if all(times[key] == 1 for key in _keys(each))}


def _drafts(alone: dict[int, IncomingOrder], known: dict[int, Order], results: dict[int, Result]) -> dict[int, Draft]:
    """Their drafts, unless several are about one row; what is refused is in `results`."""
    found = Counter(order.pk for order in known.values())
    drafts = {}
    for index, each in alone.items():
        order = known.get(index)
        if order is None or found[order.pk] == 1:
            try:
                drafts[index] = Draft(order or _new(each), each)
            except (ValidationError, UnknownOrderError) as error:
                results[index] = error
    return drafts


def _place_together(drafts: dict[int, Draft], results: dict[int, Result]) -> None:
    """Save all drafts that can be, and add their results."""
    sources.identify([saying for draft in drafts.values() for saying in draft.said])
    for index, draft in drafts.items():
        if draft.is_older:
            results[index] = draft.placed(is_saved=False)
        else:
            draft.fill()
    due = {index: draft for index, draft in drafts.items() if index not in results}
    for index, draft in due.items():
        try:
            draft.check()
        except ValidationError as error:
            results[index] = error
    due = {index: draft for index, draft in due.items() if index not in results}
    find_or_make_links(due.values())
    # All in the same order, so that no two batches wait for each other.
    new = dict(sorted(((i, d) for i, d in due.items() if d.is_new), key=lambda item: item[1].order.number))
    if new:
        with suppress(IntegrityError, DataError), transaction.atomic():  # one of them; so they are placed one by one
            Order.objects.bulk_create([draft.order for draft in new.values()])
            refunds.write(draft.rows for draft in new.values())
            results.update({index: draft.placed(is_saved=True) for index, draft in new.items()})
    for index, draft in due.items():
        if not draft.has_changes:
            results[index] = draft.placed(is_saved=False)
        elif not draft.is_new:
            with suppress(IntegrityError, DataError), transaction.atomic():
                results[index] = draft.save()


def _keys(incoming: IncomingOrder) -> list[tuple[int | None, str, str]]:
    """What an order can be found by."""
    shop = incoming.shop.pk if incoming.shop else None
    keys = (("external_id", incoming.external_id), ("number", without_blanks(incoming.number)))
    return [(shop, name, key) for name, key in keys if key]


def _known(incoming: dict[int, IncomingOrder]) -> set[int]:
    """Those of which there is an order."""
    known: set[int] = set()
    for shop in {each.shop for each in incoming.values()}:
        of_shop = {index: each for index, each in incoming.items() if each.shop == shop}
        ids = {i: each.external_id for i, each in of_shop.items() if _can_be(each.external_id, EXTERNAL_ID_MAX_LENGTH)}
        by_id = _keys_of("external_id", ids.values(), shop)
        known |= {index for index, external_id in ids.items() if external_id in by_id}
        spelled = {index: _spellings(each.number) for index, each in of_shop.items()}
        by_number = _keys_of("number", [text for spellings in spelled.values() for text in spellings], shop)
        known |= {index for index, spellings in spelled.items() if any(text in by_number for text in spellings)}
    return known


def _find_many(incoming: dict[int, IncomingOrder]) -> dict[int, Order]:
    """As `find` for each, with their rows locked, in two queries for each shop."""
    found: dict[int, Order] = {}
    for shop in {each.shop for each in incoming.values()}:
        of_shop = {index: each for index, each in incoming.items() if each.shop == shop}
        orders = _orders(shop, lock=True).order_by("pk")
        keys = {each.external_id for each in of_shop.values() if _can_be(each.external_id, EXTERNAL_ID_MAX_LENGTH)}
        # Said to the database too: with many keys PostgreSQL does not see that its index has all of them.
        rows = orders.filter(external_id__in=keys).exclude(external_id="") if keys else ()
        by_key = {order.external_id: order for order in rows}
        found |= {index: by_key[each.external_id] for index, each in of_shop.items() if each.external_id in by_key}
        spelled = {index: _spellings(each.number) for index, each in of_shop.items() if index not in found}
        numbers = {number for spellings in spelled.values() for number in spellings}
        by_number = {order.number: order for order in orders.filter(number__in=numbers)} if numbers else {}
        for index, spellings in spelled.items():
            if match := next((by_number[text] for text in spellings if text in by_number), None):
                found[index] = match
        for index in of_shop.keys() & found.keys():
            found[index].shop = shop
    return found


# --- finding -------------------------------------------------------------------
def find(number: str, shop: Shop | None = None, external_id: str = "", *, lock: bool = False) -> Order | None:
    """The shop's order with this external id, else with this number, whether or not white space is at its ends."""
    ids, numbers = [external_id] if _can_be(external_id, EXTERNAL_ID_MAX_LENGTH) else [], _spellings(number)
    keys = _keys_of("external_id", ids, shop) or _keys_of("number", numbers, shop)
    key = next((keys[text] for text in ids + numbers if text in keys), None)
    if key is None:
        return None
    found = next(iter(_orders(shop, lock=lock).filter(pk=key)), None)
    if found is not None:
        found.shop = shop
    return found


def _keys_of(column: str, texts: Collection[str], shop: Shop | None) -> dict[str, int]:
    """The keys of the shop's orders that have one of these texts, by the texts.

    Most orders that come in are new, so it has SQL of its own: Django takes ten times as long to build the query.
    """
    if not texts:
        return {}
    of_shop = "shop_id IS NULL" if shop is None else "shop_id = %s"
    among = ", ".join(["%s"] * len(texts))
    sql = f"SELECT {column}, id FROM orders_order WHERE {of_shop} AND {column} <> '' AND {column} IN ({among})"  # noqa: S608 - our own names
    with connection.cursor() as cursor:
        cursor.execute(sql, [*([] if shop is None else [shop.pk]), *texts])
        return dict(cursor.fetchall())


def _orders(shop: Shop | None, *, lock: bool) -> QuerySet[Order]:
    orders = Order.objects.select_related("affiliate", "link").filter(shop=shop).order_by()
    return orders.select_for_update(no_key=True, of=("self",)) if lock else orders


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
    return 0 < len(text) <= max_length and is_storable(text)
