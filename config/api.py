"""The HTTP API under /api/: its routes put together, and what is answered to what is wrong."""

import json
import re
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from ninja import NinjaAPI, Swagger
from ninja.errors import AuthenticationError, HttpError, ValidationErrorContext
from ninja.errors import ValidationError as RequestError
from ninja.parser import Parser

import affiliates.api
import callbacks.api
import orders.intake.api
from config.db_outages import note, outage
from orders.api import access
from orders.api.fields import problem_of
from orders.intake import json_body
from orders.intake.json_body import BadJsonError
from orders.intake.problems import AGAIN, GENERAL, RefusedError, answer, refused_fields


class StrictParser(Parser):
    def parse_body(self, request: HttpRequest) -> Any:
        """Raises `BadJsonError`."""
        return json_body.read(request.body)


class API(NinjaAPI):
    def get_openapi_schema(self, **kwargs: Any) -> Any:
        """As ninja's, without the components that nothing refers to: it describes queries in their routes as well."""
        schema = super().get_openapi_schema(**kwargs)
        components = schema["components"]["schemas"]
        while unused := components.keys() - set(
            re.findall(r"#/components/schemas/(\w+)", json.dumps(schema, default=str))
        ):
            for name in unused:
                del components[name]
        return schema

    def validation_error_from_error_contexts(self, error_contexts: list[ValidationErrorContext[Any]]) -> RequestError:
        """As ninja's, with what `answer` takes in the place of its errors."""
        return RequestError(
            [
                {"problem": _problem(error, context.model)}
                for context in error_contexts
                for error in context.pydantic_validation_error.errors(include_url=False, include_input=False)
            ]
        )


def _problem(error: Any, source: Any) -> tuple[str, str, str]:
    """Of an error about the body (a model of one field, the parameter of the view), or about the address."""
    path = source.__ninja_flatten_map_reverse__.get(error["loc"], error["loc"])
    if source.__ninja_param_source__ != "body":
        return problem_of(error, path[-1:], source)
    if len(path) < 2:
        if error["type"] == "missing":
            return "", "missing", "There is no body, or it came without a Content-Length."
        return problem_of(error, (), source)
    return problem_of(error, path[1:], source.model_fields[path[0]].annotation)


api = API(
    title="Affiliate Postbacks",
    version="1",
    urls_namespace="api",
    docs=Swagger(settings={"deepLinking": False}),  # a link inside a button is nothing that a keyboard reaches
    description="Send orders here; postbacks to the affiliates' trackers follow within a second.\n\n"
    'All errors have one form: `{"errors": [{"field", "code", "message"}]}`. A link or an affiliate code '
    "that cannot be used does not cause an order to be refused. It is left out, and `warnings` says why, in the same "
    "form.\n\n"
    "A token has scopes, such as `orders:write`; `write` includes `read`. A list comes in pages: send the `next` of "
    "one as `after` to get the next one. After too many requests in a minute the answer is 429, and its header "
    "`Retry-After` says for how many seconds to wait.",
    servers=[{"url": "/", "description": "This installation"}],
    parser=StrictParser(),
    docs_decorator=lambda view: csrf_exempt(require_safe(view)),
    openapi_extra={
        "info": {"license": {"name": "MIT", "identifier": "MIT"}},
        "tags": [
            {"name": "Orders", "description": "Orders of the shop, by their numbers."},
            {"name": "Affiliates", "description": "Affiliates, by their codes."},
            {"name": "Callbacks", "description": "Where the events of an affiliate are sent to."},
            {"name": "Deliveries", "description": "What was sent, what was answered, and sending it again."},
        ],
    },
)
for router in (
    orders.intake.api.router,
    affiliates.api.router,
    callbacks.api.callbacks,
    callbacks.api.deliveries,
):
    for path_view in router.path_operations.values():
        for operation in path_view.operations:
            assert isinstance(operation.auth_param, access.Token)
            operation.description = f"{operation.description}\n\nScope: `{operation.auth_param.scope}`.".strip()
    api.add_router("", router)


# --- what is wrong -----------------------------------------------------------
@api.exception_handler(RefusedError)
def _refusal(request: HttpRequest, error: RefusedError) -> HttpResponse:
    return answer(error.status, [error.problem])


@api.exception_handler(ValidationError)
def _refused(request: HttpRequest, error: ValidationError) -> HttpResponse:
    return answer(422, refused_fields(error))


@api.exception_handler(RequestError)
def _malformed(request: HttpRequest, error: RequestError) -> HttpResponse:
    return answer(422, [each["problem"] for each in error.errors])


@api.exception_handler(AuthenticationError)
def _without_token(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    wrong = ', error="invalid_token"' if "Authorization" in request.headers else ""
    return answer(401, headers={"WWW-Authenticate": f'Bearer realm="Affiliate Postbacks"{wrong}'})


@api.exception_handler(access.TokenExpiredError)
def _expired(request: HttpRequest, error: access.TokenExpiredError) -> HttpResponse:
    problem = ("", "token_expired", "This token has expired. Ask whoever runs the panel for a new one.")
    challenge = 'Bearer error="invalid_token", error_description="The token has expired"'
    return answer(401, [problem], headers={"WWW-Authenticate": challenge})


@api.exception_handler(access.MissingScopeError)
def _without_scope(request: HttpRequest, error: access.MissingScopeError) -> HttpResponse:
    said = f"This token does not have the scope {error.scope}. Use a token that has it."
    challenge = f'Bearer error="insufficient_scope", scope="{error.scope}"'
    return answer(403, [("", "missing_scope", said)], headers={"WWW-Authenticate": challenge})


@api.exception_handler(access.TooManyRequestsError)
def _too_many(request: HttpRequest, error: access.TooManyRequestsError) -> HttpResponse:
    said = f"This token may make {settings.API_RATE_LIMIT:,} requests a minute. Try again in {error.wait_s} seconds."
    return answer(429, [("", GENERAL[429][0], said)], headers={"Retry-After": str(error.wait_s)})


@api.exception_handler(HttpError)
def _unreadable(request: HttpRequest, error: HttpError) -> HttpResponse:
    """A body that cannot be read. What it is said to be matters only then, because some programs do not say it."""
    if request.content_type and not re.fullmatch(r"application/(?:[\w.-]{1,99}\+)?json", request.content_type):
        return answer(415)
    cause = error.__cause__
    return answer(error.status_code, [("", "bad_json", str(cause))] if isinstance(cause, BadJsonError) else ())


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
