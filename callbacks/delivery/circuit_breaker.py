"""Holds back the deliveries for a host that has stopped connecting or answering, until it answers again.

After `THRESHOLD` failures in a row only one request goes there in each `PROBE_EVERY`, from all workers together; the
deliveries that wait meanwhile are not attempted, so their schedule is not used up. An answer, whatever its status,
ends that. It is kept in the database, because workers share it; a host without trouble has no row and costs nothing.
"""

from collections.abc import Iterable
from datetime import timedelta

from django.db import connection
from django.db.models import F
from django.utils import timezone

from callbacks.egress.outcome import Outcome
from callbacks.models import TroubledHost

THRESHOLD = 10
PROBE_EVERY = timedelta(seconds=30)
# Kinds of outcome in which the host did not answer. A refusal, such as 500, is an answer.
UNANSWERED = frozenset({"dns", "connect", "timeout", "tls", "closed", "protocol", "proxy"})


def is_unanswered(outcome: Outcome) -> bool:
    return outcome.error_kind in UNANSWERED


def record(outcomes: Iterable[tuple[str, Outcome]], troubled: Iterable[str]) -> None:
    """Count the failures of hosts. `outcomes` are of finished attempts in their order, each with its host.

    `troubled` are the hosts known to have a row; for any other an answer costs no query.
    """
    failures: dict[str, int] = {}
    answered: set[str] = set()
    for host, outcome in outcomes:
        if is_unanswered(outcome):
            failures[host] = failures.get(host, 0) + 1
        else:
            answered.add(host)
            failures.pop(host, None)
    if recovered := answered & (set(troubled) | failures.keys()):
        TroubledHost.objects.filter(host__in=recovered).delete()
    probe_at = timezone.now() + PROBE_EVERY
    for host, count in failures.items():
        TroubledHost.objects.update_or_create(
            host=host,
            defaults={"failures": F("failures") + count, "probe_at": probe_at},
            create_defaults={"failures": count, "probe_at": probe_at},
        )


def troubled() -> dict[str, bool]:
    """Every host in trouble, and whether its deliveries are held."""
    with connection.cursor() as cursor:  # at each claim, so without the time that the ORM takes to build it
        cursor.execute("SELECT host, failures FROM callbacks_troubledhost")
        return {host: failures >= THRESHOLD for host, failures in cursor.fetchall()}


def held(troubled: dict[str, bool]) -> frozenset[str]:
    """Those of the troubled hosts that get nothing but probes."""
    return frozenset(host for host, is_held in troubled.items() if is_held)


def take_probes() -> list[str]:
    """The held hosts that this caller may send one request to now. Nobody else may, for `PROBE_EVERY`."""
    now = timezone.now()
    due = TroubledHost.objects.filter(failures__gte=THRESHOLD, probe_at__lte=now)
    return [
        host for host in due.values_list("host", flat=True) if due.filter(host=host).update(probe_at=now + PROBE_EVERY)
    ]
