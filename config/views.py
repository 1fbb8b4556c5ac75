"""For whoever watches over the process: is it alive, and can it do its work?"""

from datetime import UTC, datetime, timedelta

import redis
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from callbacks.delivery import wakeup

OK = "ok"
FRESH = timedelta(seconds=15)  # the sweep beats the worker's heart every 2 s


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """This process answers. Nothing else is asked, so that an outage elsewhere does not get it restarted."""
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """All that a postback needs is there: for each part "ok" or a sentence; 503 unless all are ok."""
    parts = {"database": _database()} | _broker_and_worker()
    return JsonResponse(parts, status=200 if set(parts.values()) == {OK} else 503)


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "The database does not answer."
    return OK


def _broker_and_worker() -> dict[str, str]:
    try:
        beat_at = wakeup.last_heartbeat()
    except (redis.RedisError, OSError):
        return {"broker": "The broker does not answer.", "worker": "Not known without the broker."}
    if beat_at is None or datetime.now(UTC) - beat_at > FRESH:
        return {"broker": OK, "worker": f"No worker has shown itself in the last {FRESH.seconds} seconds."}
    return {"broker": OK, "worker": OK}
