"""How programs are told what is wrong: one shape, for all under /api/ and /intake/ that is not answered as asked.

`ProblemsMiddleware` gives it also to answers that Django or another middleware make: unknown addresses, wrong methods,
hosts that are not allowed, errors of ours.
"""

from collections.abc import Callable, Iterable, Mapping

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from ninja import Schema

from config.monitoring import metrics

PREFIX = "/api"
NOT_COPIED = {"content-type", "content-length", "content-disposition", "content-encoding", "etag", "last-modified"}


class Problem(Schema):
    """`field` is the name of the field, or "" if it is about the whole request; `code` is for programs."""

    field: str
    code: str
    message: str


class Problems(Schema):
    errors: list[Problem]


AGAIN = "Send the same order again later; it is created only once."
GENERAL = {
    400: ("bad_request", "The request cannot be read."),
    401: ("unauthorized", "Send a token in the header Authorization, as in `Authorization: Bearer TOKEN`."),
    403: ("forbidden", "This is not allowed."),
    404: ("not_found", "There is nothing at this address. See /api/docs."),
    405: ("method_not_allowed", "This method is not allowed here. The Allow header lists the methods that are."),
    413: ("too_large", "The body is too large."),
    415: ("unsupported_media_type", "The body is not JSON. Send JSON with `Content-Type: application/json`."),
    429: ("too_many_requests", "Too many requests. Try again later."),
    431: ("head_too_large", "The header of this request is too large."),
    500: ("server_error", f"Something went wrong on our side. {AGAIN}"),
    501: ("not_implemented", "Send the body with Content-Length, or with `Transfer-Encoding: chunked`."),
    503: ("unavailable", f"The service is not available. {AGAIN}"),
}


KNOWN = GENERAL.keys() | {200, 201}  # statuses of answers


def answer(
    status: int, problems: Iterable[tuple[str, str, str]] = (), headers: Mapping[str, str] | None = None
) -> JsonResponse:
    """The answer with these problems, each a field, a code and a sentence; without any, what `status` means."""
    general = GENERAL.get(status) or GENERAL[500 if status >= 500 else 400]
    named = [{"field": field, "code": code, "message": text} for field, code, text in problems or [("", *general)]]
    return JsonResponse({"errors": named}, status=status, headers=headers)


class ProblemsMiddleware:
    """The outermost middleware, so that it sees the answers of all others."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if _is_of_api(request):
            known = response.status_code in KNOWN
            metrics.API_CALLS.labels(str(response.status_code) if known else "other").inc()
        is_ours = response.headers.get("Content-Type", "").startswith("application/json")
        is_for_program = _is_of_api(request) or request.path_info.startswith("/intake/")
        if response.status_code < 400 or is_ours or not is_for_program:
            return response
        kept = {name: value for name, value in response.headers.items() if name.lower() not in NOT_COPIED}
        reworded = answer(response.status_code, headers=kept)
        if "_has_been_logged" in vars(response):
            vars(reworded)["_has_been_logged"] = True
        return reworded


def _is_of_api(request: HttpRequest) -> bool:
    return request.path_info == PREFIX or request.path_info.startswith(f"{PREFIX}/")


def nothing_here(request: HttpRequest) -> HttpResponse:
    """For every address under /api/ that is no other view's."""
    return answer(404)


nothing_here.csrf_exempt = True  # type: ignore[attr-defined]  # a POST is told the same as a GET
