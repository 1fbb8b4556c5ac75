"""Bodies and answers of the routes of orders, and how they become an `IncomingOrder` and are made of an `Order`."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal

from django.core.exceptions import ValidationError
from django.http import HttpResponse, JsonResponse
from ninja import Field, Schema
from ninja.params.models import Query
from pydantic import SkipValidation, StrictBool, WithJsonSchema

from orders import money
from orders.api.fields import Amount, Body, Count, Coupons, Moment, UrlText
from orders.api.pages import PageOut, PageQuery
from orders.intake.incoming import KEEP, IncomingOrder, LeftOut, Placed
from orders.intake.problems import Problem, as_problems, refused_fields
from orders.models import NUMBER_MAX_LENGTH, Order, Shop

MOST_IN_BATCH = 1000


# --- what is sent --------------------------------------------------------------
class OrderKey(Body):
    number: str = Field(
        description="As the shop shows it. The order with this number is created or changed. White space at both ends "
        "is ignored. `.`, `..` and `batch` are not allowed.",
        json_schema_extra={"minLength": 1, "maxLength": NUMBER_MAX_LENGTH, "pattern": r"^[^\x00-\x1f]*$"},
        examples=["#100482"],
    )
    shop: str | None = Field(
        None,
        description="The UUID or the name of a connected shop. Missing, null or empty: an order of no connected shop.",
    )


class OrderChange(Body):
    """Changes to an order. A field that is left out, null or empty is not changed.

    Exceptions: `commission`, `affiliate` and `link`; see there.
    """

    amount: Amount | None = Field(
        None,
        description="Total in the currency, in digits with a point, after all refunds. Required for a new order.",
        examples=["58.00"],
    )
    commission: Amount | None = Field(
        None,
        description="Missing in a new order, null or empty: calculated with the affiliate's rate, as it was when the "
        "order was assigned to them.",
        examples=["8.70"],
    )
    currency: str | None = Field(
        None,
        description="ISO 4217 code. A new order without one is in USD.",
        json_schema_extra={"enum": [*sorted(money.CURRENCIES), "", None]},
        examples=["USD"],
    )
    status: Literal["new", "approved", "rejected", ""] | None = None
    affiliate: str | None = Field(
        None,
        description="The affiliate's code; not needed if the link contains it. An unknown code is left out, with a "
        "warning. Empty: no affiliate, unless the link contains a code.",
        examples=["joe"],
    )
    link: str | None = Field(
        None,
        description="The full referral URL that the customer used. A link that cannot be used is left out, with a "
        "warning. Empty: no link.",
        examples=["https://shop.example/?ref=joe&sub_id=fb"],
    )
    coupon: Coupons | None = Field(
        None,
        description="The discount codes that the customer used: a list, or a text with commas. One that belongs to an "
        "affiliate assigns the order to them.",
        examples=["JOE10"],
    )
    subtotal: Amount | None = Field(
        None, description="The amount without shipping and tax, after all refunds.", examples=["49.00"]
    )
    refunded: Amount | None = Field(
        None, description="What was given back so far. `amount` is what is left.", examples=["9.00"]
    )
    items: Count | None = Field(None, description="How many items were ordered.", examples=[3])
    customer_is_new: StrictBool | None = Field(None, description="Whether it is the customer's first order.")
    ordered_at: Moment | None = Field(
        None,
        description="When the customer ordered, with the zone. Missing in a new order: now.",
        examples=["2026-03-14T09:30:00Z"],
    )


class OrderIn(OrderChange, OrderKey):
    """An order, or changes to one. A field that is left out, null or empty is not changed.

    Exceptions: `commission`, `affiliate` and `link`; see there.
    """


def incoming(given: OrderChange, number: str, shop: Shop | None) -> IncomingOrder:
    """What was given, for `place`."""
    return IncomingOrder(
        number=number,
        shop=shop,
        amount=given.amount or None,
        subtotal=given.subtotal or None,
        refunded=given.refunded or None,
        currency=given.currency or None,
        status=given.status or None,
        commission=(given.commission or None) if "commission" in given.model_fields_set else KEEP,
        affiliate_code=given.affiliate,
        link=given.link,
        coupons=tuple(given.coupon) if given.coupon else None,
        items=given.items,
        customer_is_new=given.customer_is_new,
        ordered_at=given.ordered_at,
        source=Order.Source.API,
    )


# Each is checked by itself, so that a bad one spoils no other: a batch may hold anything.
Anything = Annotated[Any, WithJsonSchema({"description": "What is no order gets its errors as its result."})]


class Batch(Body):
    orders: Annotated[list[SkipValidation[OrderIn | Anything]], Field(max_length=MOST_IN_BATCH)]


class OrderQuery(PageQuery):
    status: Order.Status | None = None
    affiliate: UrlText | None = Field(None, description="An affiliate's code.")
    shop: UrlText | None = Field(None, description="The UUID or the name of a connected shop. Empty: none.")
    since: Moment | None = Field(None, description="Received at that time or later.")


SHOP: Any = Query(
    None,
    description="The UUID or the name of a connected shop, needed if several shops have an order with this number. "
    "Empty: an order of no connected shop.",
)


# --- what is answered ----------------------------------------------------------
class OrderOut(Schema):
    """From `shop` on, a field that is not known is left out."""

    number: str
    amount: str
    commission: str
    currency: str
    status: str
    affiliate: str | None
    link: str | None
    warnings: list[Problem] = Field(description="What was left out of the order, and why.")
    shop: str | None = Field(None, description="The UUID of the connected shop.")
    coupon: str | None = Field(None, description="With commas between several.")
    subtotal: str | None = None
    refunded: str | None = None
    items: int | None = None
    customer_is_new: bool | None = None
    ordered_at: datetime | None = None


class OrdersOut(PageOut):
    orders: list[OrderOut]


class BatchResult(Schema):
    """`status` is that of the same order alone: 201, 200 or 422. It has either an order or errors."""

    status: Literal[200, 201, 422]
    order: OrderOut | None = None
    errors: list[Problem] | None = None


class BatchOut(Schema):
    results: list[BatchResult] = Field(description="One for each order, in their order.")


def shown(order: Order, left_out: Iterable[LeftOut]) -> dict[str, Any]:
    """An `OrderOut`."""
    found = {
        "number": order.number,
        "amount": money.plain(order.amount, order.currency),
        "commission": money.plain(order.commission, order.currency),
        "currency": order.currency,
        "status": order.status,
        "affiliate": order.affiliate.code if order.affiliate else None,
        "link": order.link.url if order.link else None,
        "warnings": [{"field": part.field, "code": part.code, "message": part.message} for part in left_out],
    }
    if order.shop:
        found["shop"] = str(order.shop.uuid)
    if order.coupon:
        found["coupon"] = order.coupon
    if order.subtotal is not None:
        found["subtotal"] = money.plain(order.subtotal, order.currency)
    if order.refunded:
        found["refunded"] = money.plain(order.refunded, order.currency)
    for name in ("items", "customer_is_new", "ordered_at"):
        if (value := getattr(order, name)) is not None:
            found[name] = value
    return found


def refused(problems: Iterable[tuple[str, str, str]]) -> dict[str, Any]:
    """The `BatchResult` of an order with these problems."""
    return {"status": 422, "errors": as_problems(problems)}


def result_of(placed: Placed | Exception) -> dict[str, Any]:
    """The `BatchResult` of an order that was saved, or refused by `place`."""
    if isinstance(placed, ValidationError):
        return refused(refused_fields(placed))
    assert isinstance(placed, Placed)  # no other error is about an order that came with its number
    return {"status": 201 if placed.is_new else 200, "order": shown(placed.order, placed.warnings)}


def answered(found: dict[str, Any], status: int = 200) -> HttpResponse:
    """As ninja answers, which would check once more what is made here, in as long as a batch takes to be read."""
    return JsonResponse(found, status=status, content_type="application/json; charset=utf-8")
