"""What a saved or deleted order means for affiliates: which of them gets which event, with which values.

Which callbacks want an event is `callbacks.delivery.outbox`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from affiliates.models import Link
from callbacks.models import CallbackSetting, Delivery, EventType
from callbacks.models.retention import deliveries_kept_since, is_no_longer_kept
from orders.models import Order, OrderState


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """One event of one order for one affiliate, with the order's values at that moment.

    `status_before` is the status in the event recorded for the affiliate before this one; "" if this is the first.
    `told` are the variables last told to an affiliate who loses the order: its rejection repeats them, so that their
    tracker knows the click again. None if the event has the values of `state`.
    `is_return`: the order came back to them. Their callbacks for *updated* are told where no *created* goes, because
    they were told that it is rejected.
    """

    order: Order
    event: EventType
    affiliate_id: int
    state: OrderState
    status_before: str = ""
    told: Mapping[str, str] | None = None
    is_return: bool = False

    @property
    def new_status(self) -> str:
        """The status that the order has just come to; "" if it had it before."""
        return self.state.status if self.state.status != self.status_before else ""


def of_saved(order: Order) -> list[OrderEvent]:
    """The events of the last save of `order`.

    An order given to another affiliate is *updated* to rejected for the old one, and *created* for the new one. It may
    be a return: `with_what_was_told` finds that out.
    """
    before, after = order.before, order.after
    assert after is not None, "of_saved() takes orders that were saved"
    if before == after:
        return []
    if before is not None and before.affiliate_id == after.affiliate_id:
        if after.affiliate_id is None:
            return []
        return [OrderEvent(order, EventType.UPDATED, after.affiliate_id, after, before.status)]
    events = []
    if before is not None and before.affiliate_id is not None:
        gone = replace(before, status=Order.Status.REJECTED.value)
        events.append(OrderEvent(order, EventType.UPDATED, before.affiliate_id, gone, before.status))
    if after.affiliate_id is not None:
        events.append(OrderEvent(order, EventType.CREATED, after.affiliate_id, after))
        if before is not None:
            rejected = Order.Status.REJECTED.value
            events.append(OrderEvent(order, EventType.UPDATED, after.affiliate_id, after, rejected, is_return=True))
    return events


def of_deleted(order_keys: Sequence[int]) -> list[OrderEvent]:
    """The events of orders that are about to be deleted: each is rejected for all who were told of it.

    Nothing for whoever was told last that it is rejected. The orders' rows are locked, so nothing is told after this.
    """
    rows = Order.objects.select_for_update(no_key=True, of=("self",)).filter(pk__in=order_keys)
    return rejections(list(rows.order_by("pk")))


def rejections(orders: Sequence[Order]) -> list[OrderEvent]:
    """The events that would tell everybody who was told of these orders that they are rejected."""
    by_key = {order.pk: order for order in orders}
    told = told_last(orders)
    events = [rejection(by_key[key], affiliate_id, variables) for (key, affiliate_id), variables in told.items()]
    if untold := [order for order in orders if (order.pk, order.affiliate_id) not in told]:
        events += _rejections_of_old(untold)
    return [event for event in events if event.new_status]


def _rejections_of_old(orders: Iterable[Order]) -> Iterator[OrderEvent]:
    """Those of orders whose deliveries may be pruned: what was told last are the values that they have now.

    Only if there was a callback when the order came in; else nobody is known to have been told.
    """
    kept_since = deliveries_kept_since()
    for order in orders:
        if order.affiliate_id and is_no_longer_kept(order.created_at, kept_since):
            settings = CallbackSetting.objects.filter(affiliate=order.affiliate_id, created_at__lte=order.created_at)
            if settings.exists():
                state = replace(order.current_state(), status=Order.Status.REJECTED.value)
                yield OrderEvent(order, EventType.UPDATED, order.affiliate_id, state, order.status)


def rejection(order: Order, affiliate_id: int, told: Mapping[str, str]) -> OrderEvent:
    """The event that an order is an affiliate's no longer, with the variables that they were `told` last."""
    state = replace(order.current_state(), status=Order.Status.REJECTED.value)
    return OrderEvent(order, EventType.UPDATED, affiliate_id, state, str(told.get("order.status", "")), told)


def with_what_was_told(events: Sequence[OrderEvent]) -> list[OrderEvent]:
    """Events of saved orders, with what former affiliates were told last, and without returns to whom heard nothing.

    Reads only if an order has another affiliate now. Whether an old order was told to somebody may be pruned; then a
    return is told.
    """
    moved = {event.order.pk: event.order for event in events if _is_former(event) or event.is_return}
    if not moved:
        return list(events)
    told, known, kept_since = told_last(moved.values()), _with_deliveries(moved), deliveries_kept_since()
    return [
        replace(event, told=told.get((event.order.pk, event.affiliate_id))) if _is_former(event) else event
        for event in events
        if not event.is_return
        or (event.order.pk, event.affiliate_id) in known
        or (kept_since is not None and event.order.created_at < kept_since)
    ]


def _is_former(event: OrderEvent) -> bool:
    return event.order.after is not None and event.affiliate_id != event.order.after.affiliate_id


def _with_deliveries(order_keys: Iterable[int]) -> set[tuple[int | None, int | None]]:
    """The orders and affiliates that there are deliveries for, by their keys."""
    recorded = Delivery.objects.filter(order__in=list(order_keys)).exclude(origin=Delivery.Origin.TEST).order_by()
    return set(recorded.values_list("order_id", "affiliate_id").distinct())


def told_last(orders: Iterable[Order]) -> dict[tuple[int, int], Mapping[str, str]]:
    """The variables of the last delivery of each order for each affiliate, by their keys.

    Tests do not count, nor does what was skipped: nobody was told. What still waits to be sent does.
    """
    told = Delivery.objects.filter(order__in=[order.pk for order in orders], affiliate__isnull=False)
    told = told.exclude(origin=Delivery.Origin.TEST).exclude(status=Delivery.Status.SKIPPED).order_by("pk")
    rows = told.values_list("order_id", "affiliate_id", "variables")
    return {(order_id, affiliate_id): variables for order_id, affiliate_id, variables in rows}


def link_urls(events: Iterable[OrderEvent]) -> dict[int, str]:
    """The URLs of all links that these orders came in through, by the link's id."""
    urls: dict[int, str] = {}
    unknown = set()
    for event in events:
        link_id = event.state.link_id
        if link_id is None:
            continue
        if Order.link.is_cached(event.order) and event.order.link and event.order.link.pk == link_id:
            urls[link_id] = event.order.link.url
        else:
            unknown.add(link_id)
    unknown -= urls.keys()
    return urls | (dict(Link.objects.filter(pk__in=unknown).values_list("pk", "url")) if unknown else {})
