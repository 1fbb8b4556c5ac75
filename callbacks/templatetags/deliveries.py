"""What became of an order: an answer for each callback, and every delivery of it."""

from typing import Any

from django import template
from django.template.context import Context

from callbacks.log import explain
from callbacks.models import Delivery
from callbacks.reports.reconciliation import Line
from config.theme.templatetags.theme import chip
from orders.models import Order

register = template.Library()

SHOWN = 50


@register.inclusion_tag("admin/callbacks/log/why.html", takes_context=True)
def why(context: Context, order: Order) -> dict[str, Any]:
    may_set_up = context["perms"]["callbacks"]["add_callbacksetting"]
    return {"answers": explain.why(order), "order": order, "may_set_up": may_set_up}


@register.inclusion_tag("admin/callbacks/log/deliveries_of_order.html")
def deliveries_of(order: Order) -> dict[str, Any]:
    """Every delivery of an order, tests too, if there are others than those that `why` speaks of."""
    found = list(order.deliveries.select_related("affiliate", "setting").order_by("-pk")[:SHOWN])
    told = (delivery for delivery in found if delivery.origin != Delivery.Origin.TEST)
    callbacks = {(delivery.affiliate_id, delivery.event, delivery.setting_id) for delivery in told}
    return {"deliveries": found if len(found) > len(callbacks) else [], "order": order}


@register.inclusion_tag("theme/chip.html")
def why_in_short(order: Any) -> dict[str, Any]:
    """The chip of an order without deliveries, which is annotated with when its affiliate's callbacks were set up."""
    state, words = explain.in_short(order, order.first_set_up_at, order.first_created_at)
    return chip(state, words)


@register.filter
def count_of(line: Line, result: str) -> int:
    """How many orders came to that with a callback."""
    return line.of(result)
