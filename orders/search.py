"""Which orders a search for a number means, in a table too long to be looked through.

A whole number, with or without its #, is found by an index, and so is the beginning of one; a part from the middle is
looked for among the latest orders only.
"""

from django.db import connection
from django.db.models import Q, QuerySet

from orders.models import Order

LATEST = 20_000  # orders that a part of a number is looked for in
MOST = 500  # orders that are found, the newest ones
SORTED = 20_000  # of which at most so many are looked at


def numbered(text: str) -> list[int]:
    """The primary keys of the orders whose number is `text`, or else begins with it, or else holds it."""
    term = text.strip()
    terms = (term, f"#{term}")
    orders = Order.objects.order_by()
    if whole := list(orders.filter(number__in=terms).values_list("pk", flat=True)):
        return whole
    if begun := _newest(orders.filter(_begins(terms[0]) | _begins(terms[1])).values_list("pk", flat=True)):
        return begun
    newest = orders.order_by("-pk").values_list("pk", flat=True).first() or 0
    return _newest(orders.filter(pk__gt=newest - LATEST, number__icontains=term).values_list("pk", flat=True))


def _newest(keys: QuerySet[Order, int]) -> list[int]:
    # Sorted here: asked for a few in order, a database may go through all orders by key instead of by number.
    return sorted(keys[:SORTED], reverse=True)[:MOST]


def _begins(beginning: str) -> Q:
    if connection.vendor == "sqlite":  # whose LIKE, as Django has it, goes past the index
        return Q(number__gte=beginning, number__lt=beginning + "\U0010ffff")
    return Q(number__startswith=beginning)
