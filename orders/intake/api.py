"""The HTTP API: a shop's back end hands over orders and their changes as JSON."""

from decimal import Decimal
from typing import Any, Literal

from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from ninja import Field, NinjaAPI, Schema
from ninja.errors import ValidationError as RequestError
from ninja.responses import Status
from ninja.security import HttpBearer

from config import security_log
from orders import money
from orders.intake import place, tokens
from orders.models import ApiToken, Order


class Token(HttpBearer):
    openapi_description = "A token made with `manage.py create_token NAME`."

    def authenticate(self, request: HttpRequest, token: str) -> ApiToken | None:
        found = tokens.find(token)
        if found is None:
            security_log.warn(request, "token_refused", reason="unknown")
            return None
        if found.is_expired:
            security_log.warn(request, "token_refused", reason="expired", token=found.name)
            raise TokenExpiredError
        tokens.note_use(found)
        return found


class TokenExpiredError(Exception):
    """The token was right until some day."""


api = NinjaAPI(
    title="Affiliate Postbacks",
    version="1",
    auth=Token(),
    urls_namespace="api",
    description="Hand over orders; the affiliates' trackers hear of them within a second.",
)


class OrderIn(Schema):
    """An order, or the changes of one: what is left out stays as it is."""

    number: str = Field(description="As the shop shows it; the order with this number is made or changed.")
    amount: Decimal | None = Field(None, description="Total, in units of the currency. Needed for a new order.")
    commission: Decimal | None = Field(None, description="Left out: the affiliate's rate of the amount.")
    currency: str | None = Field(None, description="ISO 4217 code. A new order without one is in USD.")
    status: Literal["new", "approved", "rejected"] | None = None
    affiliate: str | None = Field(None, description="The affiliate's code; not needed where the link names it.")
    link: str | None = Field(None, description="The full referral URL that the customer came through.")


class OrderOut(Schema):
    number: str
    amount: str
    commission: str
    currency: str
    status: str
    affiliate: str | None
    link: str | None


class Problem(Schema):
    field: str
    code: str
    message: str


class Problems(Schema):
    errors: list[Problem]


def _shown(order: Order) -> dict[str, Any]:
    return {
        "number": order.number,
        "amount": money.plain(order.amount, order.currency),
        "commission": money.plain(order.commission, order.currency),
        "currency": order.currency,
        "status": order.status,
        "affiliate": order.affiliate.code if order.affiliate else None,
        "link": order.link.url if order.link else None,
    }


@api.post(
    "/orders",
    response={200: OrderOut, 201: OrderOut, 422: Problems},
    summary="Make or change an order",
    tags=["Orders"],
)
def place_order(request: HttpRequest, order: OrderIn) -> Status[dict[str, Any]]:
    """201 for a new order, 200 for one that was there. Sending the same order twice changes nothing."""
    given = order.model_dump(exclude_unset=True)
    number, affiliate, link = given.pop("number"), given.pop("affiliate", None), given.pop("link", None)
    fields = {name: value for name, value in given.items() if value is not None or name == "commission"}
    try:
        placed = place.place(number, fields, affiliate_code=affiliate, link_url=link)
    except IntegrityError:  # a request at the same time has just made this order
        placed = place.place(number, fields, affiliate_code=affiliate, link_url=link)
    return Status(201 if placed.is_new else 200, _shown(placed.order))


@api.get("/orders/{path:number}", response={200: OrderOut, 404: Problems}, summary="Read an order", tags=["Orders"])
def read_order(request: HttpRequest, number: str) -> Status[dict[str, Any]]:
    order = Order.objects.select_related("affiliate", "link").filter(number=number).first()
    if order is None:
        return Status(404, _problems([("number", "not_found", "There is no order with this number.")]))
    return Status(200, _shown(order))


@api.exception_handler(TokenExpiredError)
def _expired(request: HttpRequest, error: TokenExpiredError) -> HttpResponse:
    problem = ("", "token_expired", "This token has expired. Ask whoever runs the panel for a new one.")
    response = api.create_response(request, _problems([problem]), status=401)
    response.headers["WWW-Authenticate"] = 'Bearer error="invalid_token", error_description="The token has expired"'
    return response


def _problems(problems: list[tuple[str, str, str]]) -> dict[str, Any]:
    return {"errors": [{"field": field, "code": code, "message": message} for field, code, message in problems]}


@api.exception_handler(ValidationError)
def _refused(request: HttpRequest, error: ValidationError) -> HttpResponse:
    problems = [
        (name if name != "__all__" else "", str(e.code or "invalid"), " ".join(e.messages))
        for name, errors in error.error_dict.items()
        for e in errors
    ]
    return api.create_response(request, _problems(problems), status=422)


@api.exception_handler(RequestError)
def _malformed(request: HttpRequest, error: RequestError) -> HttpResponse:
    problems = [(".".join(str(part) for part in e["loc"][2:]), str(e["type"]), str(e["msg"])) for e in error.errors]
    return api.create_response(request, _problems(problems), status=422)
