"""Finds events that were not recorded: orders that were written without a signal, by `QuerySet.update` or raw SQL.

An order as it is now is compared with the last delivery that was recorded for each affiliate. If deliveries of its age
may be pruned, an order without any is not missing: it is unknown. Writing the missing deliveries is
`callbacks.delivery.outbox`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Min

from callbacks.delivery import order_events
from callbacks.delivery.order_events import OrderEvent
from callbacks.models import CallbackSetting, Delivery, EventType
from callbacks.models.retention import deliveries_kept_since, is_no_longer_kept
from callbacks.postback.variables import AMOUNT, COMMISSION, CURRENCY, LINK_QUERY, STATUS, Event, snapshot
from orders.models import Order, OrderState

CHUNK, LOCKED = 500, 50  # orders that are read at a time, and orders that are locked at a time
# Besides the parameters of the link. The other variables may differ although nothing happened that is an event.
COMPARED = frozenset({"order.number", AMOUNT, COMMISSION, CURRENCY, STATUS, "link.sub_id", "link.path", "link.hash"})


def missed(
    since: datetime, until: datetime | None = None, record: Callable[[Sequence[OrderEvent]], None] = lambda _: None
) -> Iterator[OrderEvent]:
    """The events that are missing for the orders made since then, and before `until`.

    Reads in chunks and without a lock. What seems to be missing is looked at again while its orders are locked, a few
    at a time: an order that is saved meanwhile, and its deliveries, must be seen both before or both after. `record` is
    called in that transaction.
    """
    subscribed_since, kept_since = _subscribed_since(), deliveries_kept_since()
    orders = Order.objects.filter(created_at__gte=since).order_by("pk")
    if until is not None:
        orders = orders.filter(created_at__lt=until)
    last_pk = 0
    while chunk := list(orders.filter(pk__gt=last_pk)[:CHUNK]):
        last_pk = chunk[-1].pk
        suspects = sorted({event.order.pk for event in _missed_of_all(chunk, subscribed_since, kept_since)})
        for start in range(0, len(suspects), LOCKED):
            with transaction.atomic():
                locked = Order.objects.select_for_update(no_key=True).filter(pk__in=suspects[start : start + LOCKED])
                held = list(locked.order_by("pk"))
                # Asked anew, because what was there a moment ago may be pruned by now.
                found = list(_missed_of_all(held, subscribed_since, deliveries_kept_since()))
                record(found)
            yield from found


def is_recorded(order: Order, last: Delivery) -> bool:
    """Whether `last`, the last delivery of the order to its affiliate, has the values that the order has now."""
    link_url = order.link.url if order.link else ""
    return not _has_changed(order, order.current_state(), link_url, last.variables)


def _missed_of_all(
    orders: list[Order], subscribed_since: dict[int, datetime], kept_since: datetime | None
) -> Iterator[OrderEvent]:
    recorded: dict[int, dict[int, Delivery]] = defaultdict(dict)  # the last of each order and affiliate
    deliveries = Delivery.objects.filter(order__in=orders, affiliate__isnull=False)
    for delivery in deliveries.exclude(origin=Delivery.Origin.TEST).order_by("pk"):
        recorded[delivery.order_id or 0][delivery.affiliate_id or 0] = delivery
    links = order_events.link_urls(_created(order, 0) for order in orders)
    for order in orders:
        is_unknown = is_no_longer_kept(order.created_at, kept_since)
        since = {} if is_unknown else subscribed_since
        yield from _missed_of(order, recorded[order.pk], links.get(order.link_id or 0, ""), since)


def _missed_of(
    order: Order, recorded: dict[int, Delivery], link_url: str, subscribed_since: dict[int, datetime]
) -> Iterator[OrderEvent]:
    state = order.current_state()
    for affiliate_id, last in recorded.items():
        status_before = str(last.variables.get("order.status", ""))
        if affiliate_id == order.affiliate_id:
            if _has_changed(order, state, link_url, last.variables):
                yield OrderEvent(order, EventType.UPDATED, affiliate_id, state, status_before)
        elif status_before != Order.Status.REJECTED:
            yield order_events.rejection(order, affiliate_id, last.variables)
    if order.affiliate_id and order.affiliate_id not in recorded:
        began_at = subscribed_since.get(order.affiliate_id)
        if began_at and order.created_at >= began_at:
            yield _created(order, order.affiliate_id)


def _created(order: Order, affiliate_id: int) -> OrderEvent:
    return OrderEvent(order, EventType.CREATED, affiliate_id, order.current_state())


def _subscribed_since() -> dict[int, datetime]:
    """Since when each affiliate has a callback for new orders: older orders are not missing."""
    settings = CallbackSetting.objects.filter(event=EventType.CREATED).order_by()
    return dict(settings.values("affiliate").annotate(first=Min("created_at")).values_list("affiliate", "first"))


def _has_changed(order: Order, state: OrderState, link_url: str, recorded: Mapping[str, str]) -> bool:
    """Whether a value differs from the recorded one. Variables that a later release added or dropped do not count."""
    now = snapshot(Event("", "", state, order.created_at, "", link_url))
    names = {name for name in recorded.keys() | now.keys() if name.startswith(LINK_QUERY)}
    names |= recorded.keys() & now.keys() & COMPARED
    return any(recorded.get(name, "") != now.get(name, "") for name in names)
