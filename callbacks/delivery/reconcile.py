"""Finds what nobody was told of: orders that were written without a signal, by `QuerySet.update` or raw SQL, say.

An order as it stands is compared with the last thing that was recorded for each affiliate. Telling is the outbox.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from django.db.models import Min

from callbacks.delivery import order_events
from callbacks.delivery.order_events import OrderEvent
from callbacks.models import CallbackSetting, Delivery, EventType
from callbacks.postback.variables import Event, snapshot
from orders.models import Order, OrderState

CHUNK = 500
# What is no property of the order: it differs between two events without anything having changed.
NOT_COMPARED = ("event", "event.id", "affiliate.code")


def missed(since: datetime) -> Iterator[OrderEvent]:
    """What should have been recorded for the orders made since then, and was not. Reads in chunks."""
    first_told_of = _first_told_of()
    orders = Order.objects.filter(created_at__gte=since).order_by("pk")
    last_pk = 0
    while chunk := list(orders.filter(pk__gt=last_pk)[:CHUNK]):
        last_pk = chunk[-1].pk
        told: dict[int, dict[int, Delivery]] = defaultdict(dict)
        recorded = Delivery.objects.filter(order__in=chunk, affiliate__isnull=False)
        for delivery in recorded.exclude(origin=Delivery.Origin.TEST).order_by("pk"):
            told[delivery.order_id or 0][delivery.affiliate_id or 0] = delivery
        links = order_events.link_urls(_as_it_stands(order, 0) for order in chunk)
        for order in chunk:
            yield from _missed_of(order, told[order.pk], links.get(order.link_id or 0, ""), first_told_of)


def is_as_told(order: Order, last: Delivery) -> bool:
    """Whether the order still is what was recorded with `last`, the last delivery of it to its affiliate."""
    link_url = order.link.url if order.link else ""
    return _values(order, order.current_state(), link_url) == _comparable(last.variables)


def _missed_of(
    order: Order, told: dict[int, Delivery], link_url: str, first_told_of: dict[int, datetime]
) -> Iterator[OrderEvent]:
    state = order.current_state()
    for affiliate_id, last in told.items():
        status_before = str(last.variables.get("order.status", ""))
        if affiliate_id == order.affiliate_id:
            if _values(order, state, link_url) != _comparable(last.variables):
                yield OrderEvent(order, EventType.UPDATED, affiliate_id, state, status_before)
        elif status_before != Order.Status.REJECTED:
            gone = replace(state, status=Order.Status.REJECTED.value, link_id=None)
            yield OrderEvent(order, EventType.UPDATED, affiliate_id, gone, status_before)
    if order.affiliate_id and order.affiliate_id not in told:
        began_at = first_told_of.get(order.affiliate_id)
        if began_at and order.created_at >= began_at:
            yield _as_it_stands(order, order.affiliate_id)


def _as_it_stands(order: Order, affiliate_id: int) -> OrderEvent:
    return OrderEvent(order, EventType.CREATED, affiliate_id, order.current_state())


def _first_told_of() -> dict[int, datetime]:
    """From when on each affiliate hears of new orders: orders before that are no oversight."""
    settings = CallbackSetting.objects.filter(event=EventType.CREATED).order_by()
    return dict(settings.values("affiliate").annotate(first=Min("created_at")).values_list("affiliate", "first"))


def _values(order: Order, state: OrderState, link_url: str) -> dict[str, str]:
    return _comparable(snapshot(Event("", "", state, order.created_at, "", link_url)))


def _comparable(variables: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name not in NOT_COMPARED}
