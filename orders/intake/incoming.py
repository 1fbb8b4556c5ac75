"""An order as it comes in, from whatever door, before anything was looked up. Plain values only."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum

from orders.models import Order, Shop


class Keep(Enum):
    """Said of a field whose None has a meaning of its own."""

    KEEP = "keep"


KEEP = Keep.KEEP


@dataclass(frozen=True, slots=True)
class IncomingRefund:
    """Money that was given back, in the order's currency, by the shop's key of the refund."""

    external_id: str
    amount: Decimal
    refunded_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingOrder:
    """What a door knows of an order. None: not said, so what is stored stays. Amounts may be text, which is checked.

    `number` may be "" if `external_id` names an order that is there already; an order keeps its first number.
    `amount` is the total after all refunds, `subtotal` the same without shipping and tax, `refunded` what was given
    back: the sum of `refunds` if it is not said. `refunds` are all refunds; `new_refund` is one more, which lowers the
    amount unless that is said too or the refund is known already.
    `commission`: None is calculated from the rate; KEEP stays as it is.
    `affiliate_code` and `link` are named outright; "" clears them.
    `cart_link` is the landing URL that our own script left in the cart, `landing` the one that the shop noted itself,
    which often has no referral in it. `coupons` are the codes of real discounts.
    `customer` is the keyed hash of the customer's e-mail, "" if it is not known.
    `updated_at` and `triggered_at` put the messages of one order in order: older ones change nothing.
    `received_at` is when a message came that is applied later.
    `request_id` is of the request that hands it over, if another one saves it.
    `source` is stored if neither a link nor a coupon decides; None for a shop, which never undoes a person's choice.
    """

    number: str = ""
    shop: Shop | None = None
    external_id: str = ""
    amount: Decimal | str | None = None
    subtotal: Decimal | str | None = None
    refunded: Decimal | str | None = None
    refunds: tuple[IncomingRefund, ...] | None = None
    new_refund: IncomingRefund | None = None
    currency: str | None = None
    commission: Decimal | str | Keep | None = KEEP
    status: str | None = None
    ordered_at: datetime | None = None
    updated_at: datetime | None = None
    triggered_at: datetime | None = None
    received_at: datetime | None = None
    affiliate_code: str | None = None
    link: str | None = None
    cart_link: str | None = None
    landing: str | None = None
    coupons: tuple[str, ...] | None = None
    items: int | None = None
    customer_is_new: bool | None = None
    customer: str = ""
    source: Order.Source | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A part of an order that was left out, with the reason as a code and as a sentence."""

    field: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Placed:
    """An order as it was saved, whether it is a new one, whether it changed, and what was left out.

    `is_older`: what came is older than what is stored, so nothing was changed.
    """

    order: Order
    is_new: bool
    warnings: tuple[LeftOut, ...] = ()
    is_changed: bool = True
    is_older: bool = False
