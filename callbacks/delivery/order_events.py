"""What a saved order means for affiliates: whom to tell of which event, with which values.

Pure but for reading links. Whether there is a callback that wants to hear of it is `callbacks.delivery.outbox`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from affiliates.models import Link
from callbacks.models import EventType
from orders.models import Order, OrderState


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """What one affiliate is to be told about one order, with the order's values at that moment.

    `status_before` is what they were last told, or "" if they have not been told of this order.
    """

    order: Order
    event: EventType
    affiliate_id: int
    state: OrderState
    status_before: str = ""

    @property
    def reached(self) -> str:
        """The status that the order has just come to; "" if it was in it before."""
        return self.state.status if self.state.status != self.status_before else ""


def of(order: Order) -> list[OrderEvent]:
    """What the last save of `order` means.

    An order given to another affiliate is *updated* to rejected for the old one, and *created* for the new one.
    """
    before, after = order.before, order.after
    assert after is not None, "of() takes orders that were saved"
    if before == after:
        return []
    if before is not None and before.affiliate_id == after.affiliate_id:
        if after.affiliate_id is None:
            return []
        return [OrderEvent(order, EventType.UPDATED, after.affiliate_id, after, before.status)]
    happenings = []
    if before is not None and before.affiliate_id is not None:
        gone = replace(before, status=Order.Status.REJECTED.value)
        happenings.append(OrderEvent(order, EventType.UPDATED, before.affiliate_id, gone, before.status))
    if after.affiliate_id is not None:
        happenings.append(OrderEvent(order, EventType.CREATED, after.affiliate_id, after))
    return happenings


def link_urls(happenings: Iterable[OrderEvent]) -> dict[int, str]:
    """The URLs of all links that these orders came in through, by the link's id."""
    urls: dict[int, str] = {}
    unknown = set()
    for happening in happenings:
        link_id = happening.state.link_id
        if link_id is None:
            continue
        if Order.link.is_cached(happening.order) and happening.order.link and happening.order.link.pk == link_id:
            urls[link_id] = happening.order.link.url
        else:
            unknown.add(link_id)
    unknown -= urls.keys()
    return urls | (dict(Link.objects.filter(pk__in=unknown).values_list("pk", "url")) if unknown else {})
