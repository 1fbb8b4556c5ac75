"""What a search in the log of deliveries means: an order by its number, or a delivery by its event id.

A whole number, with or without its #, is found by an index, and so is the beginning of one; a part from the middle is
looked for among the latest orders only.
"""

import uuid

from django.db import connection
from django.db.models import Q, QuerySet

from callbacks.models import Delivery
from orders.models import Order

LATEST = 20_000  # orders that a part of a number is looked for in
MOST = 500  # orders whose deliveries are shown, the newest ones


def search(deliveries: QuerySet[Delivery], text: str) -> QuerySet[Delivery]:
    """Those of `deliveries` that `text` asks for; all of them if it is empty."""
    term = text.strip()
    if not term:
        return deliveries
    if event_id := _event_id(term):
        return deliveries.filter(event_id=event_id)
    return deliveries.filter(order__in=_orders(term))


def _orders(term: str) -> list[int]:
    terms = (term, f"#{term}")
    orders = Order.objects.order_by("-pk").values_list("pk", flat=True)
    if whole := list(orders.filter(number__in=terms)):
        return whole
    if begun := list(orders.filter(_begins(terms[0]) | _begins(terms[1]))[:MOST]):
        return begun
    latest = orders.values("pk")[:LATEST]
    return list(orders.filter(pk__in=latest, number__icontains=term)[:MOST])


def _begins(beginning: str) -> Q:
    if connection.vendor == "sqlite":  # whose LIKE, as Django has it, goes past the index
        return Q(number__gte=beginning, number__lt=beginning + "\U0010ffff")
    return Q(number__startswith=beginning)


def _event_id(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
