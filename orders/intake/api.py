"""The HTTP API: a shop's back end hands over orders and their changes as JSON."""

import difflib
import json
import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, ValidationError
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from ninja import Field, NinjaAPI, Schema, Swagger
from ninja.errors import AuthenticationError, HttpError
from ninja.errors import ValidationError as RequestError
from ninja.parser import Parser
from ninja.responses import Status
from ninja.security import HttpBearer
from pydantic import BeforeValidator, ConfigDict, WithJsonSchema
from pydantic_core import PydanticCustomError

from config.db_outages import note, outage
from config.security import security_log
from orders import money
from orders.intake import place, tokens
from orders.intake.incoming import KEEP, IncomingOrder, LeftOut
from orders.intake.problems import AGAIN, GENERAL, Problem, Problems, answer
from orders.models import AMOUNT_DIGITS, AMOUNT_PLACES, NUMBER_MAX_LENGTH, ApiToken, Order


# --- what is sent ------------------------------------------------------------
class Token(HttpBearer):
    openapi_description = "A token created in the panel or with `manage.py create_token NAME`."

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


class JsonNumber:
    """A number of a JSON text, as it is written there: it is read later, and by the rules of its field."""

    def __init__(self, text: str) -> None:
        self.text = text


class BadJsonError(ValueError):
    """A body that is no JSON text, with the reason."""


class StrictParser(Parser):
    """JSON as RFC 8259 has it, in UTF-8: no NaN, no Infinity, no name twice, which other readers take differently."""

    def parse_body(self, request: HttpRequest) -> Any:
        """Raises `BadJsonError`."""
        try:
            return json.loads(
                request.body.decode("utf-8-sig"),
                parse_int=JsonNumber,
                parse_float=JsonNumber,
                parse_constant=_refuse_constant,
                object_pairs_hook=_once_each,
            )
        except UnicodeDecodeError as error:
            raise BadJsonError("The body is not UTF-8.") from error
        except RecursionError as error:
            raise BadJsonError("The body is nested too deeply.") from error
        except json.JSONDecodeError as error:
            where = f"line {error.lineno}, column {error.colno}"
            raise BadJsonError(f"The body is not JSON: {error.msg}, {where}.") from error


def _refuse_constant(name: str) -> Any:
    raise BadJsonError(f"The body is not JSON: {name} is not a JSON number.")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise BadJsonError("The body has the same field twice.")
    return found


def _text_of_number(value: Any) -> str:
    if isinstance(value, JsonNumber):
        return value.text
    if isinstance(value, str):
        return value
    raise PydanticCustomError("invalid", "This is not a number.")


_DIGITS = AMOUNT_DIGITS - AMOUNT_PLACES
_PATTERN = rf"^(-?[0-9]{{1,{_DIGITS}}}(\.[0-9]{{1,{AMOUNT_PLACES}}})?)?$"
Amount = Annotated[
    str,
    BeforeValidator(_text_of_number),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": _PATTERN}, {"type": "number"}]}),
]


class OrderIn(Schema):
    """An order, or changes to one. A field that is left out, null or empty is not changed.

    Exceptions: `commission`, `affiliate` and `link`; see there.
    """

    model_config = ConfigDict(extra="forbid")

    number: str = Field(
        description="As the shop shows it. The order with this number is created or changed. White space at both ends "
        "is ignored. `.` and `..` are not allowed.",
        json_schema_extra={"minLength": 1, "maxLength": NUMBER_MAX_LENGTH, "pattern": r"^[^\x00-\x1f]*$"},
        examples=["#100482"],
    )
    amount: Amount | None = Field(
        None,
        description="Total in the currency, in digits with a point. Required for a new order.",
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


# --- what is answered --------------------------------------------------------
class OrderOut(Schema):
    number: str
    amount: str
    commission: str
    currency: str
    status: str
    affiliate: str | None
    link: str | None
    warnings: list[Problem] = Field(description="What was left out of the order, and why.")


ERRORS = dict.fromkeys((400, 401, 404, 405, 413, 415, 422, 500, 503), Problems)

api = NinjaAPI(
    title="Affiliate Postbacks",
    version="1",
    auth=Token(),
    urls_namespace="api",
    docs=Swagger(settings={"deepLinking": False}),  # a link inside a button is nothing that a keyboard reaches
    description="Send orders here; postbacks to the affiliates' trackers follow within a second.\n\n"
    'All errors have one form: `{"errors": [{"field", "code", "message"}]}`. A link or an affiliate code '
    "that cannot be used does not cause an order to be refused. It is left out, and `warnings` says why, in the same "
    "form.",
    servers=[{"url": "/", "description": "This installation"}],
    parser=StrictParser(),
    docs_decorator=lambda view: csrf_exempt(require_safe(view)),
    openapi_extra={
        "info": {"license": {"name": "MIT", "identifier": "MIT"}},
        "tags": [{"name": "Orders", "description": "Orders of the shop, by their numbers."}],
    },
)


def _shown(order: Order, left_out: Iterable[LeftOut]) -> dict[str, Any]:
    return {
        "number": order.number,
        "amount": money.plain(order.amount, order.currency),
        "commission": money.plain(order.commission, order.currency),
        "currency": order.currency,
        "status": order.status,
        "affiliate": order.affiliate.code if order.affiliate else None,
        "link": order.link.url if order.link else None,
        "warnings": [{"field": part.field, "code": part.code, "message": part.message} for part in left_out],
    }


@api.post(
    "/orders",
    response={200: OrderOut, 201: OrderOut}
    | {status: ERRORS[status] for status in (400, 401, 413, 415, 422, 500, 503)},
    summary="Create or change an order",
    operation_id="place_order",
    tags=["Orders"],
)
def place_order(request: HttpRequest, order: OrderIn) -> Status[dict[str, Any]]:
    """201 for a new order, 200 for an existing one. Sending the same order twice changes nothing."""
    placed = place.place(
        IncomingOrder(
            number=order.number,
            amount=order.amount or None,
            currency=order.currency or None,
            status=order.status or None,
            commission=(order.commission or None) if "commission" in order.model_fields_set else KEEP,
            affiliate_code=order.affiliate,
            link=order.link,
            source=Order.Source.API,
        )
    )
    return Status(201 if placed.is_new else 200, _shown(placed.order, placed.warnings))


@api.get(
    "/orders/{path:number}",
    response={200: OrderOut} | {status: ERRORS[status] for status in (400, 401, 404, 500, 503)},
    summary="Read an order",
    operation_id="read_order",
    tags=["Orders"],
)
def read_order(request: HttpRequest, number: str) -> Any:
    order = place.find(number)
    if order is None:
        return answer(404, [("number", "not_found", "There is no order with this number.")])
    return Status(200, _shown(order, place.warnings_of(order)))


# --- what is wrong -----------------------------------------------------------
@api.exception_handler(ValidationError)
def _refused(request: HttpRequest, error: ValidationError) -> HttpResponse:
    by_field = getattr(error, "error_dict", {"": [error]})
    return answer(
        422,
        [
            (name if name != "__all__" else "", str(e.code or "invalid"), " ".join(e.messages))
            for name, errors in by_field.items()
            for e in errors
        ],
    )


@api.exception_handler(RequestError)
def _malformed(request: HttpRequest, error: RequestError) -> HttpResponse:
    return answer(422, [_problem(e) for e in error.errors])


def _problem(error: dict[str, Any]) -> tuple[str, str, str]:
    field = ".".join(str(part) for part in error["loc"][2:])
    if not field and error["type"] == "missing":
        return "", "missing", "There is no body, or it came without a Content-Length."
    if error["type"] != "extra_forbidden":
        return field, str(error["type"]), str(error["msg"])
    close = difflib.get_close_matches(field[:100].casefold(), OrderIn.model_fields, n=1, cutoff=0)
    return field[:100], "unknown_field", f"There is no field with this name. Did you mean “{close[0]}”?"


@api.exception_handler(AuthenticationError)
def _without_token(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    wrong = ', error="invalid_token"' if "Authorization" in request.headers else ""
    return answer(401, headers={"WWW-Authenticate": f'Bearer realm="Affiliate Postbacks"{wrong}'})


@api.exception_handler(TokenExpiredError)
def _expired(request: HttpRequest, error: TokenExpiredError) -> HttpResponse:
    problem = ("", "token_expired", "This token has expired. Ask whoever runs the panel for a new one.")
    challenge = 'Bearer error="invalid_token", error_description="The token has expired"'
    return answer(401, [problem], headers={"WWW-Authenticate": challenge})


@api.exception_handler(HttpError)
def _unreadable(request: HttpRequest, error: HttpError) -> HttpResponse:
    """A body that cannot be read. What it is said to be matters only then, because some programs do not say it."""
    if request.content_type and not re.fullmatch(r"application/(?:[\w.-]{1,99}\+)?json", request.content_type):
        return answer(415)
    cause = error.__cause__
    return answer(error.status_code, [("", "bad_json", str(cause))] if isinstance(cause, BadJsonError) else ())


@api.exception_handler(RequestDataTooBig)
def _too_large(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:
    limit = (settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0) / 2**20
    return answer(413, [("", GENERAL[413][0], f"The body is larger than {limit:.1f} MB.")])


@api.exception_handler(UnreadablePostError)
def _cut_off(request: HttpRequest, error: UnreadablePostError) -> HttpResponse:
    return answer(400)


@api.exception_handler(DatabaseError)
@api.exception_handler(InterfaceError)
def _without_database(request: HttpRequest, error: Exception) -> HttpResponse:
    """While the database is away, busy or full the shop is told to come back. Any other error of it is ours."""
    sentence = outage(error)
    if not sentence:
        raise error
    return note(request, error, answer(503, [("", GENERAL[503][0], f"{sentence} {AGAIN}")]))
