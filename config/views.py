"""What operators see: whether the process is alive, whether it can do its work, and error reports without secrets."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.debug import SafeExceptionReporterFilter
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from callbacks.delivery import wakeup
from callbacks.egress.proxy import proxy_from
from config.security import encryption

OK = "ok"
HEARTBEAT_MAX_AGE = timedelta(seconds=15)  # the sweep records one every 2 s


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """This process answers. It checks nothing else, so that an outage elsewhere does not get it restarted."""
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
@require_safe
def readyz(request: HttpRequest, database: Any = connection) -> JsonResponse:
    """Whether all that a postback needs is there: for each part "ok" or a sentence; 503 unless all are ok."""
    parts = {"database": _database(database)} | _broker_and_worker() | _proxy()
    if parts["database"] == OK:
        parts |= _unreadable_secrets()
    return JsonResponse(parts, status=200 if set(parts.values()) == {OK} else 503)


def _database(database: Any) -> str:
    try:
        with database.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "The database does not answer."
    return OK


def _unreadable_secrets() -> dict[str, str]:
    """Named only if there are some."""
    try:
        count = encryption.count_unreadable()
    except DatabaseError:  # without its tables
        return {}
    return {"secrets": f"{count} stored under another SECRET_KEY: nothing can be signed with them."} if count else {}


def _broker_and_worker() -> dict[str, str]:
    try:
        beat_at = wakeup.last_heartbeat()
    except (redis.RedisError, OSError):
        return {"broker": "The broker does not answer.", "worker": "Not known without the broker."}
    if beat_at is None or datetime.now(UTC) - beat_at > HEARTBEAT_MAX_AGE:
        return {"broker": OK, "worker": f"No worker has shown itself in the last {HEARTBEAT_MAX_AGE.seconds} seconds."}
    return {"broker": OK, "worker": OK}


def _proxy() -> dict[str, str]:
    """Whether the proxy can be used as it is configured; nothing if there is none."""
    try:
        return {"proxy": OK} if proxy_from(settings.CALLBACKS_PROXY_URL) else {}
    except ValueError as error:  # its text repeats nothing of the URL
        return {"proxy": str(error)}


class ErrorReportFilter(SafeExceptionReporterFilter):
    """Hides what Django hides, and every setting that is named a URL: it may hold a password."""

    hidden_settings = re.compile(SafeExceptionReporterFilter.hidden_settings.pattern + "|URL", re.IGNORECASE)
