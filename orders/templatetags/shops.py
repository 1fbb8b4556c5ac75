"""How pages say in which state a shop is, and what each source said of an order's affiliate."""

from dataclasses import dataclass
from typing import Any

from django import template
from django.utils.translation import gettext_lazy as _

from orders.models import Order
from orders.shops import connection

register = template.Library()

SOURCES = {
    "cart": _("Link in the cart"),
    "landing": _("Landing page"),
    "link": _("Referral link"),
    "coupon": _("Coupon"),
    "affiliate": _("Affiliate code"),
}

register.filter("shop_state", connection.state_of)
register.filter("shows_refused", connection.shows_refused)


@dataclass(frozen=True, slots=True)
class Said:
    """What one source said: in words, with the code of the affiliate that it names, and why it names nobody."""

    label: str
    given: str
    affiliate: str
    decided: bool
    reason: str


@register.filter
def sources(order: Order) -> list[Said]:
    """What each source said of the affiliate, in the order in which they were asked."""
    return [_said(entry) for entry in order.attribution or []]


@register.filter
def has_origin(order: Order) -> bool:
    """Whether there is something to say of where it came from."""
    return bool(order.shop_id or order.source or order.attribution or order.coupon or order.refunded)


def _said(entry: dict[str, Any]) -> Said:
    reason, source = entry.get("reason") or "", str(entry.get("source"))
    known = reason in Order.NoAffiliate.values
    return Said(
        label=str(SOURCES.get(source, source)),
        given=str(entry.get("given") or ""),
        affiliate=str(entry.get("affiliate") or ""),
        decided=bool(entry.get("decided")),
        reason=str(Order.NoAffiliate(reason).label) if known else "",
    )
