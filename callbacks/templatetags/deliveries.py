"""What was sent for an order, or in one sentence why nothing was."""

from typing import Any

from django import template

from callbacks.explanations import why_nothing_was_sent
from orders.models import Order

register = template.Library()

SHOWN = 50


@register.inclusion_tag("admin/callbacks/deliveries_of_order.html")
def deliveries_of(order: Order) -> dict[str, Any]:
    found = list(order.deliveries.select_related("affiliate", "setting").order_by("-pk")[:SHOWN])
    return {"deliveries": found, "order": order, "reason": "" if found else why_nothing_was_sent(order)}
