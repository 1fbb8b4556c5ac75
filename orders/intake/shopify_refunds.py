"""Translates the refunds of Shopify: those in the message of an order, and those that come alone.

Shopify's lines, adjustments and transactions of a refund do not add up to each other. What was paid back is what its
transactions say; what is left of an order is `current_total_price` in the order's own message, and nothing else.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.utils import timezone
from django.utils.translation import gettext as _

from orders.intake import place, translator
from orders.intake.incoming import IncomingOrder, IncomingRefund
from orders.intake.json_body import currency, decimal, key, text
from orders.intake.translator import Ignored
from orders.models import Message, Shop

UPDATED: Final = "orders/updated"
OTHER_STATES: Final = frozenset({"orders/create", "orders/paid", "orders/cancelled"})
LATELY: Final = timedelta(days=60)
ALLOWED: Final = {
    "id": key, "order_id": key, "created_at": text(40), "processed_at": text(40),
    "transactions": [{"kind": text(32), "status": text(32), "amount": decimal, "currency": currency}],
}  # fmt: skip


def of_order(kept: Mapping[str, Any], code: str) -> Iterator[IncomingRefund]:
    """The refunds in an order's message that paid something back in its currency."""
    return (found for each in kept.get("refunds", ()) if (found := _refund(each, code)))


def alone(kept: Mapping[str, Any], shop: Shop) -> IncomingOrder | Ignored:
    """A refund whose order comes with no other message.

    The amount by Shopify's own reckoning, which is not the former one without the refund, is in orders/updated. If that
    is subscribed, this one only announces it.
    """
    if "id" not in kept or "order_id" not in kept:
        return translator.without_id()
    if _sends_updates(shop):
        return Ignored(_("A refund was announced. The message orders/updated follows and lowers the amount."))
    if not (moved := _money_back(kept)):
        return Ignored(_("The refund gave no money back."))
    order = place.find("", shop, kept["order_id"])
    if order is None:
        return Ignored(_("The refund waits for its order."), Message.Outcome.WAITING)
    if others := {each["currency"] for each in moved if "currency" in each} - {order.currency}:
        return translator.refused(
            _("The refund is in %(refund)s, and the order in %(order)s.")
            % {"refund": ", ".join(sorted(others)), "order": order.currency}
        )
    return IncomingOrder(shop=shop, external_id=kept["order_id"], new_refund=_refund(kept, order.currency))


def _sends_updates(shop: Shop) -> bool:
    """Whether orders/updated is subscribed, as far as can be seen: it came lately.

    Not if in the last week, of which the messages are kept, others of orders came without it. Nobody can tell before
    it came for the first time.
    """
    kept = Message.objects.filter(shop=shop)
    if kept.filter(topic=UPDATED).exists():
        return True
    last = shop.updates_received_at
    return last is not None and last > timezone.now() - LATELY and not kept.filter(topic__in=OTHER_STATES).exists()


def _refund(kept: Mapping[str, Any], code: str) -> IncomingRefund | None:
    """A refund that moved money of this currency."""
    moved = [each for each in _money_back(kept) if each.get("currency", code) == code]
    if not moved or "id" not in kept:
        return None
    total = sum((translator.rounded(each["amount"], code) or Decimal(0) for each in moved), Decimal(0))
    return IncomingRefund(kept["id"], total, moment_of(kept))


def moment_of(kept: Mapping[str, Any]) -> datetime | None:
    return translator.moment(kept.get("processed_at")) or translator.moment(kept.get("created_at"))


def _money_back(kept: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The transactions that gave money back. Without any, something went back on the shelf and that is all."""
    given_back = [each for each in kept.get("transactions", ()) if each.get("kind") == "refund"]
    return [each for each in given_back if each.get("status") == "success" and each.get("amount")]
