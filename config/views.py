"""What operators see: whether the process is alive, whether it may take traffic, how all is, and errors."""

import re
import sys
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.utils.translation import gettext
from django.views.debug import SafeExceptionReporterFilter
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from config.db_outages import note, outage
from config.monitoring import status as monitoring
from config.monitoring.troubles import troubles

OK = "ok"
# What is typed there is not written into a page.
NOT_REPEATED = re.compile("password|secret|token|code|otp", re.IGNORECASE)
CSRF = "csrfmiddlewaretoken"
REPEATED_LENGTH = 100_000


# --- the start ---------------------------------------------------------------------
def start(request: HttpRequest) -> HttpResponse:
    """Staff to the panel, affiliates to their portal."""
    user = request.user
    return redirect("portal:home" if user.is_authenticated and not user.is_staff else "admin:index")


# --- probes ----------------------------------------------------------------------
@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """This process answers. It checks nothing else, so that an outage elsewhere does not get it restarted."""
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
@require_safe
def readyz(request: HttpRequest, database: Any = connection) -> JsonResponse:
    """Whether this process may take traffic: what is sent to it can be saved. 503 if not.

    Nothing else is looked at: orders are taken while broker and workers are away.
    """
    parts = {"database": monitoring.database_trouble(database), "migrations": monitoring.migrations_trouble(database)}
    said = {name: trouble or OK for name, trouble in parts.items()}
    return JsonResponse(said, status=503 if any(parts.values()) else 200)


@never_cache
@require_safe
def status(request: HttpRequest) -> JsonResponse:
    """How the installation is, for a monitor: 200 whatever is wrong, which `state` and `troubles` say."""
    try:
        found = monitoring.status()
    except (DatabaseError, InterfaceError):
        wrong = [monitoring.database_trouble() or "The database does not answer as it should."]
        wrong += filter(None, [monitoring.migrations_trouble()])
        parts: dict[str, Any] = {"is_broker_there": monitoring.is_broker_there()}
    else:
        wrong, parts = [trouble.sentence for trouble in troubles(found)], asdict(found)
        parts |= {name: parts[name] or OK for name in ("database", "migrations", "proxy")}
    state = "trouble" if wrong else OK
    return JsonResponse({"state": state, "troubles": wrong, "version": settings.VERSION} | parts)


# --- errors ------------------------------------------------------------------------
def server_error(request: HttpRequest) -> HttpResponse:
    """An error that nobody expected: 500; or 503 and one line in the log if the database cannot do its work for now.

    The page needs no database. Of a form it holds what was typed, to be sent again.
    """
    error = sys.exc_info()[1]
    sentence = outage(error)
    if not sentence:
        return HttpResponse(render_to_string("500.html"), status=500)
    is_post = request.method == "POST"
    context = {"sentence": gettext(sentence), "action": request.get_full_path(), "is_post": is_post}
    if is_post:
        context["fields"] = _typed(request)
    return note(request, error, HttpResponse(render_to_string("503.html", context), status=503))


def _typed(request: HttpRequest) -> list[tuple[str, str]]:
    """The fields of a form as they were sent; none if there is something among them that is no page's to hold."""
    try:
        fields = [(name, value) for name, values in request.POST.lists() for value in values]
    except Exception:  # noqa: BLE001 - a form that cannot be read is not repeated
        return []
    is_secret = any(NOT_REPEATED.search(name) for name, _ in fields if name != CSRF)
    return [] if is_secret or sum(len(value) for _, value in fields) > REPEATED_LENGTH else fields


class ErrorReportFilter(SafeExceptionReporterFilter):
    """Hides what Django hides, and every setting that is named a URL: it may hold a password."""

    hidden_settings = re.compile(SafeExceptionReporterFilter.hidden_settings.pattern + "|URL", re.IGNORECASE)
