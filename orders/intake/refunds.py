"""What an order's refunds and totals make of its amount, its subtotal, its commission and its status."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from affiliates.models import validate_text
from orders import money
from orders.intake.incoming import IncomingOrder, IncomingRefund
from orders.models import AMOUNT_DIGITS, AMOUNT_PLACES, Order, Refund, Shop

_TOO_LARGE = 10 ** (AMOUNT_DIGITS - AMOUNT_PLACES)


@dataclass(slots=True)
class RefundRows:
    """The rows of refunds that are written when their order is saved."""

    saved: list[Refund] = field(default_factory=list)
    deleted: list[int] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.saved or self.deleted)


def write(rows: Iterable[RefundRows]) -> None:
    """Write these rows, whose orders are saved by now."""
    rows = [each for each in rows if each]
    if saved := [refund for each in rows for refund in each.saved]:
        for refund in saved:
            refund.order = refund.order  # takes over the key that the order has got meanwhile
        Refund.objects.bulk_create(
            saved,
            update_conflicts=True,
            unique_fields=["order", "external_id"],
            update_fields=["amount", "refunded_at"],
        )
    if deleted := [pk for each in rows for pk in each.deleted]:
        Refund.objects.filter(pk__in=deleted).delete()


def settle(order: Order, incoming: IncomingOrder, before: Mapping[str, Any]) -> RefundRows:
    """Set `refunded`, and what follows from it and from the totals that came. The order's fields are clean by now.

    `before` are the columns of the order's row; none if it is new. Raises `ValidationError` (`refunds`).
    """
    said = (incoming.amount, incoming.subtotal, incoming.refunded, incoming.refunds, incoming.new_refund)
    if all(value is None for value in said):
        return RefundRows()
    is_amount_changed = incoming.amount is not None and order.amount != before.get("amount")
    if incoming.subtotal is not None or is_amount_changed:
        if incoming.subtotal is None:
            order.subtotal = None  # that of another amount
        is_base = order.shop is not None and order.shop.commission_base == Shop.CommissionBase.SUBTOTAL
        order.commission_on = order.subtotal if is_base else None
    rows, is_refunded = RefundRows(), order.refunded > 0
    if incoming.refunds is not None:
        _list(order, incoming, before, rows)
        is_refunded = is_refunded or bool(incoming.refunds)
    if incoming.new_refund is not None:
        _add(order, incoming, incoming.new_refund, rows)
        is_refunded = True
    if is_refunded and not order.amount:
        order.status = Order.Status.REJECTED
    return rows


def rounded(amount: Any, currency: str) -> Any:
    """A total that no person typed, with the decimals of its currency. What is no amount stays as it is."""
    if not isinstance(amount, Decimal) or not amount.is_finite() or abs(amount) >= _TOO_LARGE:
        return amount
    code = currency.strip().upper()
    return money.rounded(amount, code) if money.is_currency(code) else round(amount, AMOUNT_PLACES)


def _list(order: Order, incoming: IncomingOrder, before: Mapping[str, Any], rows: RefundRows) -> None:
    """All refunds of an order: rows of others are deleted."""
    listed = {refund.external_id: _row(order, refund) for refund in incoming.refunds or ()}
    if before and (listed or before["refunded"] or order.refunded):
        known = {refund.external_id: refund for refund in Refund.objects.filter(order=order.pk)}
    else:
        known = {}
    rows.saved += [refund for key, refund in listed.items() if key not in known or _facts(known[key]) != _facts(refund)]
    rows.deleted += [refund.pk for key, refund in known.items() if key not in listed]
    if incoming.refunded is None:
        order.refunded = sum((refund.amount for refund in listed.values()), Decimal(0))


def _facts(refund: Refund) -> tuple[Decimal, datetime | None]:
    return refund.amount, refund.refunded_at


def _add(order: Order, incoming: IncomingOrder, new: IncomingRefund, rows: RefundRows) -> None:
    """One more refund, unless it is known. It lowers the amount if that did not come with it."""
    refund = _row(order, new)
    is_listed = any(refund.external_id == row.external_id for row in rows.saved)
    if is_listed or (
        order.pk is not None and Refund.objects.filter(order=order.pk, external_id=refund.external_id).exists()
    ):
        return
    rows.saved.append(refund)
    if incoming.refunded is None:
        order.refunded += refund.amount
    if incoming.amount is None:
        order.amount = _lowered(order.amount, refund.amount)
        order.subtotal = None if order.subtotal is None else _lowered(order.subtotal, refund.amount)
        order.commission_on = None if order.commission_on is None else _lowered(order.commission_on, refund.amount)


def _lowered(amount: Decimal, by: Decimal) -> Decimal:
    """Not below 0 by a refund."""
    return min(amount, max(amount - by, Decimal(0)))


def _row(order: Order, refund: IncomingRefund) -> Refund:
    amount = rounded(refund.amount, order.currency)
    row = Refund(order=order, external_id=refund.external_id, amount=amount, refunded_at=refund.refunded_at)
    try:
        validate_text(row.external_id)
        row.clean_fields(exclude={"order", "refunded_at"})
    except ValidationError as error:
        raise ValidationError({"refunds": error.messages}) from error
    if row.amount < 0:
        raise ValidationError({"refunds": ValidationError(_("A refund cannot be negative."), code="negative")})
    return row
