"""What every request passes before its view, and every answer after it: what belongs to no page of its own."""

from collections.abc import Callable
from contextlib import nullcontext
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import structlog
from django.core.exceptions import BadRequest
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import resolve

from config.db_locks import waiting_at_most
from config.request import given_request_id
from config.stack.web import body_limit
from orders.intake.problems import GENERAL, answer

View = Callable[[HttpRequest], HttpResponseBase]
PROBES = ("/healthz", "/readyz", "/status", "/metrics")
FOR_PROGRAMS = ("/api/", "/intake/")
LOCK_S = 0.8  # and then there is time to say so within the second
POLICY = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"


class NoUploads(FileUploadHandler):
    """Refuses a form with a file, which no page takes, before anything of the file is kept: nothing else is called."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        raise BadRequest("A form holds a file.")


def request_id(get_response: View) -> View:
    """Give each request an id, which stands in every line of it, in its answer, and with the deliveries it causes."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        given = given_request_id(request) or uuid4().hex
        with structlog.contextvars.bound_contextvars(request_id=given):
            response = get_response(request)
        response.headers["X-Request-ID"] = given
        return response

    return middleware


def in_time(get_response: View) -> View:
    """Tell a program within a second that the database is busy: it asks again. WooCommerce never does, so it waits."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        path = request.path_info
        is_hasty = path.startswith(FOR_PROGRAMS) and not path.startswith("/intake/woocommerce/")
        with waiting_at_most(LOCK_S) if is_hasty else nullcontext():
            return get_response(request)

    return middleware


def probes(get_response: View) -> View:
    """Answer an orchestrator, which asks by address and without TLS: before a Host is checked or anybody redirected."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.path_info not in PROBES:
            return get_response(request)
        answer: HttpResponse = resolve(request.path_info).func(request)
        answer.headers["Content-Length"] = str(len(answer.content))
        if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:  # who asks every few seconds tells of it
            vars(answer)["_has_been_logged"] = True
        return answer

    return middleware


def headers(get_response: View) -> View:
    """What is made for a request is stored by nobody, unless its view says otherwise; and no page needs a camera."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("Permissions-Policy", POLICY)
        return response

    return middleware


def unreadable_requests(get_response: View) -> View:
    """Refuse what no view can use: a body that is too large, and an address with NUL, which no database text holds.

    Forms refuse NUL themselves.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        path, parameters = request.path_info, request.GET.lists()
        limit = body_limit(path, request.content_type or "")
        if _length(request) > limit:
            if path.startswith(FOR_PROGRAMS):
                return answer(413, [("", GENERAL[413][0], f"The body is larger than {limit / 2**20:.1f} MB.")])
            return render(request, "413.html", status=413)
        if "\0" in path or any("\0" in text for name, values in parameters for text in (name, *values)):
            return render(request, "400.html", status=400)
        return get_response(request)

    return middleware


def for_shops(get_response: View) -> View:
    """Let what shops send, and the script in their pages, past all that is for people: sessions, cookies, log-ins, and
    what keeps forms safe.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(("/intake/", "/t.js")):
            return get_response(request)
        request.get_host()  # raises if it is not allowed
        match = request.resolver_match = resolve(request.path_info)
        response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
        return response

    return middleware


def _length(request: HttpRequest) -> int:
    text = request.META.get("CONTENT_LENGTH") or "0"
    return int(text) if text.isdecimal() and len(text) < 19 else 0
