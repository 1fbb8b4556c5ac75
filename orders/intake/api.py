"""The routes of orders in the API, which a shop's back end hands over and reads as JSON. `place` saves them."""

from functools import cache
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from ninja.responses import Status
from pydantic import ValidationError as FieldsError

from affiliates import search
from config.listing.period import Bound, Period
from orders.api import idempotency
from orders.api.access import Scope, Token
from orders.api.fields import UrlText, problem_of
from orders.api.lookup import order_of, shop_of
from orders.api.order_schemas import (
    SHOP,
    Batch,
    BatchOut,
    OrderChange,
    OrderIn,
    OrderOut,
    OrderQuery,
    OrdersOut,
    answered,
    incoming,
    refused,
    result_of,
    shown,
)
from orders.api.pages import page
from orders.intake import place
from orders.intake.problems import BODY, errors
from orders.models import Order

router = Router(tags=["Orders"])


@router.post(
    "/orders",
    response={200: OrderOut, 201: OrderOut} | errors(*BODY),
    auth=Token(Scope.ORDERS_WRITE),
    summary="Create or change an order",
    operation_id="place_order",
    exclude_unset=True,
    openapi_extra=idempotency.DOCUMENTED,
)
@idempotency.once
def place_order(request: HttpRequest, order: OrderIn) -> HttpResponse:
    """201 for a new order, 200 for an existing one. Sending the same order twice changes nothing."""
    placed = place.place_with_others(incoming(order, order.number, shop_of(order.shop)))
    return answered(shown(placed.order, placed.warnings), status=201 if placed.is_new else 200)


@router.post(
    "/orders/batch",
    response={200: BatchOut} | errors(*BODY),
    auth=Token(Scope.ORDERS_WRITE),
    summary="Create or change many orders",
    operation_id="place_orders",
    exclude_unset=True,
    openapi_extra=idempotency.DOCUMENTED,
)
@idempotency.once
def place_orders(request: HttpRequest, batch: Batch) -> HttpResponse:
    """Up to 1,000 orders, each as in `POST /api/orders`. One that is refused spoils no other. Counts as one request."""
    shop_named = cache(shop_of)
    results: list[dict[str, Any] | None] = []
    accepted = []
    for each in batch.orders:
        try:
            order = OrderIn.model_validate(each)
            accepted.append(incoming(order, order.number, shop_named(order.shop)))
            results.append(None)
        except FieldsError as error:
            found = error.errors(include_url=False, include_input=False, include_context=False)
            results.append(refused([problem_of(e, e["loc"], OrderIn) for e in found]))
        except ValidationError as error:
            results.append(result_of(error))
    placed = iter(place.place_many(accepted))
    return answered({"results": [result or result_of(next(placed)) for result in results]})


@router.get(
    "/orders",
    response={200: OrdersOut} | errors(422),
    auth=Token(Scope.ORDERS_READ),
    summary="List orders",
    operation_id="list_orders",
    exclude_unset=True,
)
def list_orders(request: HttpRequest, query: Query[OrderQuery]) -> dict[str, Any]:
    """The newest first."""
    orders = Order.objects.select_related("affiliate", "link", "shop").order_by()
    if query.status:
        orders = orders.filter(status=query.status)
    if query.affiliate is not None:
        affiliate = search.by_code(query.affiliate)
        orders = orders.filter(affiliate=affiliate) if affiliate else orders.none()
    if query.shop is not None:
        orders = orders.filter(shop=shop_of(query.shop))
    period = Period(Bound(query.since, is_day=False) if query.since else None)
    rows, after = page(request, query, period.narrow(orders), period.keys_of(Order))
    return {"orders": [shown(order, place.warnings_of(order)) for order in rows], "next": after}


@router.get(
    "/orders/{path:number}",
    response={200: OrderOut} | errors(404, 409, 422),
    auth=Token(Scope.ORDERS_READ),
    summary="Read an order",
    operation_id="read_order",
    exclude_unset=True,
)
def read_order(request: HttpRequest, number: UrlText, shop: UrlText | None = SHOP) -> dict[str, Any]:
    return shown(order := order_of(number, shop), place.warnings_of(order))


@router.patch(
    "/orders/{path:number}",
    response={200: OrderOut} | errors(404, 409, *BODY),
    auth=Token(Scope.ORDERS_WRITE),
    summary="Change an order",
    operation_id="change_order",
    exclude_unset=True,
)
def change_order(request: HttpRequest, number: UrlText, changes: OrderChange, shop: UrlText | None = SHOP) -> Any:
    """As `POST /api/orders`, but only for an order that is there."""
    with transaction.atomic():
        known = order_of(number, shop, lock=True)
        placed = place.place(incoming(changes, known.number, known.shop))
    return shown(placed.order, placed.warnings)


@router.delete(
    "/orders/{path:number}",
    response={204: None} | errors(404, 409, 422),
    auth=Token(Scope.ORDERS_WRITE),
    summary="Delete an order",
    operation_id="delete_order",
)
def delete_order(request: HttpRequest, number: UrlText, shop: UrlText | None = SHOP) -> Status[None]:
    """Trackers that were told of the order are told that it is rejected."""
    with transaction.atomic():
        order_of(number, shop, lock=True).delete()
    return Status(204, None)
