"""What a search in the log of deliveries means: an order by its number, or a delivery by its event id."""

import uuid

from django.db.models import QuerySet

from callbacks.models import Delivery
from orders import search as searching

MOST = 5000  # deliveries that are found


def search(deliveries: QuerySet[Delivery], text: str) -> QuerySet[Delivery]:
    """Those of `deliveries` that `text` asks for; all of them if it is empty."""
    term = text.strip()
    if not term:
        return deliveries
    if event_id := _event_id(term):
        return deliveries.filter(event_id=event_id)
    of_orders = Delivery.objects.order_by().filter(order__in=searching.numbered(term))
    return deliveries.filter(pk__in=list(of_orders.values_list("pk", flat=True)[:MOST]))


def _event_id(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
