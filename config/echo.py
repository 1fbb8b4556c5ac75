"""The built-in receiver: answers any request under /echo/ and shows the last ones, to try callbacks with.

It exists in demo and debug mode only. The requests are kept in the memory of the one web process, without what proves
who sent them. Anybody may send one; only staff see them.
"""

from collections import deque
from dataclasses import asdict, dataclass
from datetime import datetime

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.csrf import csrf_exempt

KEPT = 50
BODY_KEPT = 4096
NEVER_KEPT = frozenset({"cookie", "authorization", "proxy-authorization", "x-csrftoken"})


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it arrived, and the status it was answered with."""

    received_at: datetime
    method: str
    target: str
    headers: dict[str, str]
    body: str
    status: int


_received: deque[Received] = deque(maxlen=KEPT)


@csrf_exempt
def receive(request: HttpRequest, path: str) -> HttpResponse:
    """Answer 200, or what `?status=` in the URL asks for (200 to 599), and keep the request."""
    status = _requested_status(request)
    _received.appendleft(
        Received(
            received_at=timezone.now(),
            method=request.method or "",
            target=request.get_full_path(),
            headers={name: value for name, value in request.headers.items() if name.lower() not in NEVER_KEPT},
            body=request.body[:BODY_KEPT].decode("utf-8", "replace"),
            status=status,
        )
    )
    answer = HttpResponse("ok\n" if status < 300 else f"status {status}, as asked for\n", "text/plain", status)
    vars(answer)["_has_been_logged"] = True  # it is as wanted, and no error of this installation
    return answer


@admin.site.admin_view
def show(request: HttpRequest) -> HttpResponse:
    """The requests, newest first; as JSON for a program that asks for it."""
    requests = tuple(_received)
    if not request.accepts("text/html"):
        return JsonResponse({"requests": [asdict(received) for received in requests]})
    context = {
        **admin.site.each_context(request),
        "title": gettext("Echo receiver"),
        "requests": requests,
        "kept": KEPT,
    }
    return render(request, "echo/requests.html", context)


def _requested_status(request: HttpRequest) -> int:
    text = request.GET.get("status", "")
    return int(text) if text.isascii() and text.isdigit() and 200 <= int(text) < 600 else 200
