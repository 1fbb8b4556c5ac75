"""What a saved order means for affiliates: which of them gets which event, with which values.

Nothing but the links' URLs is read here. Which callbacks want an event is `callbacks.delivery.outbox`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from affiliates.models import Link
from callbacks.models import EventType
from orders.models import Order, OrderState


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """One event of one order for one affiliate, with the order's values at that moment.

    `status_before` is the status in the event recorded for the affiliate before this one; "" if this is the first.
    """

    order: Order
    event: EventType
    affiliate_id: int
    state: OrderState
    status_before: str = ""

    @property
    def new_status(self) -> str:
        """The status that the order has just come to; "" if it had it before."""
        return self.state.status if self.state.status != self.status_before else ""


def of_saved(order: Order) -> list[OrderEvent]:
    """The events of the last save of `order`.

    An order given to another affiliate is *updated* to rejected for the old one, and *created* for the new one.
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
    return events


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
