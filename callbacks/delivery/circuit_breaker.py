"""Holds back what is due for a host that has stopped to connect or to answer, until it does again.

After `THRESHOLD` failures in a row only one request goes there each `PROBE_EVERY`, from all workers together; the
deliveries that wait meanwhile are not attempted, so their schedule is not used up. An answer, whatever its status,
ends that. Known in the database, because workers share it; a host without trouble has no row and costs nothing.
"""

from collections.abc import Iterable
from datetime import timedelta

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from callbacks.egress.outcome import Outcome
from callbacks.models import TroubledHost

THRESHOLD = 10
PROBE_EVERY = timedelta(seconds=30)
# Kinds of outcome in which nobody answered. An answer that refuses, 500 say, is a matter of its delivery alone.
SILENT = frozenset({"dns", "connect", "timeout", "tls", "closed", "protocol", "proxy"})


def is_silent(outcome: Outcome) -> bool:
    return outcome.error_kind in SILENT


def note(results: Iterable[tuple[str, bool]], troubled: Iterable[str]) -> None:
    """Take note of finished attempts, in their order: the host, and whether it was silent.

    `troubled` are the hosts known to have a row; an answer of any other needs none to be deleted.
    """
    failures: dict[str, int] = {}
    answered: set[str] = set()
    for host, silent in results:
        if silent:
            failures[host] = failures.get(host, 0) + 1
        else:
            answered.add(host)
            failures.pop(host, None)
    if recovered := answered & (set(troubled) | failures.keys()):
        TroubledHost.objects.filter(host__in=recovered).delete()
    for host, count in failures.items():
        probe_at = timezone.now() + PROBE_EVERY
        with transaction.atomic():
            _, is_new = TroubledHost.objects.get_or_create(
                host=host, defaults={"failures": count, "probe_at": probe_at}
            )
            if not is_new:
                TroubledHost.objects.filter(host=host).update(failures=F("failures") + count, probe_at=probe_at)


def troubled() -> dict[str, bool]:
    """Every host in trouble, and whether what is due for it is held."""
    with connection.cursor() as cursor:  # asked at every look, and without words for the ORM to find
        cursor.execute("SELECT host, failures FROM callbacks_troubledhost")
        return {host: failures >= THRESHOLD for host, failures in cursor.fetchall()}


def held(troubled: dict[str, bool]) -> frozenset[str]:
    """Those of them that nothing but a probe may go to."""
    return frozenset(host for host, is_held in troubled.items() if is_held)


def take_probes() -> list[str]:
    """The held hosts that this caller may send one request to now. Nobody else may, for `PROBE_EVERY`."""
    now = timezone.now()
    due = TroubledHost.objects.filter(failures__gte=THRESHOLD, probe_at__lte=now)
    return [
        host for host in due.values_list("host", flat=True) if due.filter(host=host).update(probe_at=now + PROBE_EVERY)
    ]
