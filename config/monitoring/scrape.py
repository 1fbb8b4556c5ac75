"""`/metrics`: what is counted by all processes, and how the installation is at this moment, as Prometheus reads it.

It may be asked every few seconds, so nothing here reads more than a bounded number of rows. It is open to this machine
itself, and to whoever brings METRICS_TOKEN.
"""

import hmac
import ipaddress
import time
from collections.abc import Iterator
from datetime import datetime

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from callbacks.delivery import circuit_breaker
from callbacks.models import Delivery, Job
from config.monitoring import alarms, metrics, status, troubles
from config.request import client_address
from config.security import security_log

MOST_COUNTED = 100_000  # deliveries that wait: more are not counted, and told as so many
DATABASE_SIZE = {
    "postgresql": "SELECT pg_database_size(current_database())",
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
}
# Any of these says that a proxy passed the request on: then its other end is the proxy and not who asks.
FORWARDED = (
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_FORWARDED",
    "HTTP_VIA",
    "HTTP_X_REAL_IP",
)


@never_cache
@require_safe
def show(request: HttpRequest) -> HttpResponse:
    """403 for everybody else; 503 while the database is away."""
    if not _may_read(request):
        security_log.warn(request, "metrics_refused")
        return HttpResponse(
            "Open this from the same machine, or send METRICS_TOKEN as a bearer token.\n",
            status=403,
            content_type="text/plain",
        )
    try:
        text = generate_latest(_Installation())
    except (DatabaseError, InterfaceError):
        return HttpResponse("The database does not answer.\n", status=503, content_type="text/plain")
    return HttpResponse(text, content_type=CONTENT_TYPE_PLAIN_0_0_4)


def _may_read(request: HttpRequest) -> bool:
    given = request.headers.get("Authorization", "").encode("utf-8", "replace")
    wanted = f"Bearer {settings.METRICS_TOKEN}".encode()
    if settings.METRICS_TOKEN and hmac.compare_digest(given, wanted):
        return True
    if any(request.META.get(header) for header in FORWARDED):
        return False
    try:
        return ipaddress.ip_address(client_address(request)).is_loopback
    except ValueError:
        return False


class _Installation(Collector):
    def collect(self) -> Iterator[Metric]:
        began = time.monotonic()
        yield from metrics.of_all_processes()
        yield from _gauges()
        yield _gauge("scrape_seconds", "How long it took to gather these metrics.", time.monotonic() - began)


def _gauges() -> Iterator[Metric]:
    found = status.status()
    yield _gauge("waiting", f"Deliveries that wait to be sent, retries too; {MOST_COUNTED} if more.", _count_waiting())
    yield _gauge(
        "oldest_waiting_seconds", "How long the oldest due delivery has been waiting.", _age(found.oldest_due_at)
    )
    yield _gauge("in_flight", "Deliveries that a worker is sending.", _count("sending"))
    yield _gauge("hosts_held", "Hosts that do not answer and get one request every half minute.", _count_held())
    yield _gauge("jobs_running", "Resends and backfills that wait or run.", _count_jobs())
    yield _gauge("workers", "Workers that are alive.", found.workers)
    yield _gauge("beats", "Beats that are alive.", found.beats)
    yield _gauge("webs", "Web processes that are alive.", found.webs)
    for kind, seen_at in (("worker", found.worker_seen_at), ("beat", found.beat_seen_at)):
        if seen_at is not None:
            said = f"Since the last heartbeat of a {kind}."
            yield _gauge(f"{kind}_heartbeat_age_seconds", said, _age(seen_at))
    yield _gauge("broker_up", "1 if the broker accepts writes.", found.is_broker_there)
    yield _alarms()
    yield _gauge("database_bytes", "Size of the database.", _database_bytes())
    if found.disk_free is not None:
        yield _gauge("disk_free_ratio", "Free share of the fullest disk, of all machines, 0 to 1.", found.disk_free)


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(f"postbacks_{name}", documentation, float(value))


def _alarms() -> Metric:
    said = "1 while this alarm is active."
    found = GaugeMetricFamily("postbacks_alarms", said, labels=["kind"])
    are_open = {alarm.kind for alarm in alarms.open()}
    for kind in troubles.ALARMS:
        found.add_metric([kind], float(kind in are_open))
    return found


def _age(moment: datetime | None) -> float:
    return max(0.0, time.time() - moment.timestamp()) if moment else 0.0


def _count_waiting() -> int:
    # Each reads a partial index of its own.
    return min(MOST_COUNTED, _count("pending", attempt_count=0) + _count("pending", attempt_count__gt=0))


def _count(state: str, **conditions: int) -> int:
    found = Delivery.objects.order_by().filter(status=state, **conditions)
    return found[:MOST_COUNTED].count()


def _count_held() -> int:
    return len(circuit_breaker.held(circuit_breaker.troubled()))


def _count_jobs() -> int:
    return Job.objects.filter(state__in=Job.ACTIVE).count()


def _database_bytes() -> int:
    with connection.cursor() as cursor:
        cursor.execute(DATABASE_SIZE[connection.vendor])
        return int(cursor.fetchone()[0])
