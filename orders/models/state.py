"""The columns of an order that events are made of, as they stand in its row. `order` reads and compares them."""

from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from affiliates.referral import without_blanks
from orders import money
from orders.models.fields import AMOUNT_PLACES

_UNIT = Decimal(1).scaleb(-AMOUNT_PLACES)


@dataclass(frozen=True, slots=True)
class OrderState:
    """The columns of an order whose change is an event, as they stand in its row.

    Then those that an event tells as well: two states that differ in nothing else are equal.
    """

    number: str
    affiliate_id: int | None
    link_id: int | None
    amount: Decimal
    commission: Decimal
    currency: str
    status: str
    coupon: str = field(default="", compare=False)
    subtotal: Decimal | None = field(default=None, compare=False)
    refunded: Decimal = field(default=Decimal(0), compare=False)
    source: str = field(default="", compare=False)
    items: int | None = field(default=None, compare=False)
    customer_is_new: bool | None = field(default=None, compare=False)
    ordered_at: datetime | None = field(default=None, compare=False)

    @property
    def basis(self) -> tuple[Any, ...]:
        """What a commission is computed from, besides the order's rate and `commission_on`."""
        return self.amount, self.currency, self.affiliate_id


TOLD = tuple(each.name for each in fields(OrderState))
WATCHED = tuple(each.name for each in fields(OrderState) if each.compare)


def rate_of_row(row: OrderState, rate: Decimal) -> Decimal:
    """The rate by which the commission of a row was computed: `rate` if that gives it, or else what does.

    For rows from before the rate was kept.
    """
    if not row.amount or money.rounded(row.amount * rate, row.currency) == row.commission:
        return rate
    share = row.commission / row.amount
    return share if 0 <= share <= 1 else rate


def stored(column: Any, value: object) -> Any:
    """A value as its column, a field of `Order`, will hold it, so that it compares equal to what is read back."""
    if value is None:
        return None
    kept = column.to_python(value)
    if column.name == "number" and kept:
        kept = without_blanks(kept)
    return kept.quantize(_UNIT) if isinstance(kept, Decimal) else kept
