"""Says in a sentence why nothing was sent for an order: the question every merchant asks."""

from callbacks.models import CallbackSetting
from orders.models import Order


def why_nothing_was_sent(order: Order) -> str:
    """The reason why this order has no deliveries; for an order that has some, read those instead."""
    if order.affiliate is None:
        return "No affiliate brought this order, so there is nobody to tell."
    name = order.affiliate.name
    oldest = CallbackSetting.objects.filter(affiliate=order.affiliate).order_by("created_at").first()
    if oldest is None:
        return f"{name} has no S2S callback yet. Set one up and the next order or change goes out."
    if oldest.created_at > order.created_at:
        return f"This order came in before {name}'s S2S callback was set up; changes of it from then on are sent."
    if not CallbackSetting.objects.filter(affiliate=order.affiliate, event="order.created").exists():
        return f"{name} has a callback for updated orders only, and this order was not changed since it came in."
    return (
        "Nothing was recorded when this order was saved: it was written past the application, with raw SQL or "
        "QuerySet.update(), which send no signal."
    )
