"""Finds orders by number, in a table too long to be read as a whole.

An index finds a whole number, with or without its #, and the beginning of one. A part from the middle of a number is
looked for in the latest orders only.
"""

from django.db import connection
from django.db.models import Q, QuerySet

from orders.models import Order

MAX_FOUND = 500  # orders, the newest
MAX_SORTED = 20_000  # matches that the newest are taken from
LATEST = 20_000  # orders that a part of a number is looked for in


def find_by_number(text: str) -> list[int]:
    """The primary keys of the orders whose number is `text`; or else begins with it; or else contains it."""
    term = text.strip()
    orders = Order.objects.order_by()
    if whole := list(orders.filter(number__in=(term, f"#{term}")).values_list("pk", flat=True)):
        return whole
    if begun := _newest(orders.filter(_begins_with(term) | _begins_with(f"#{term}"))):
        return begun
    newest = orders.order_by("-pk").values_list("pk", flat=True).first() or 0
    return _newest(orders.filter(pk__gt=newest - LATEST, number__icontains=term))


def _newest(orders: QuerySet[Order]) -> list[int]:
    # Sorted here: with ORDER BY and LIMIT a database may read all orders by key instead of using the index of numbers.
    return sorted(orders.values_list("pk", flat=True)[:MAX_SORTED], reverse=True)[:MAX_FOUND]


def _begins_with(beginning: str) -> Q:
    if connection.vendor == "sqlite":  # where Django's LIKE does not use the index
        return Q(number__gte=beginning, number__lt=beginning + "\U0010ffff")
    return Q(number__startswith=beginning)
