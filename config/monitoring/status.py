"""How the installation is, as `/status`, `/metrics`, the overview and the alarms tell it."""

import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta

import redis
from django.conf import settings
from django.db.models import Max
from django.utils import timezone

from callbacks.delivery import circuit_breaker, queue, wakeup
from config.models import Process

ALIVE_FOR = timedelta(seconds=20)  # each process says every five seconds that it is alive


@dataclass(frozen=True, slots=True)
class Status:
    """The installation at one moment. Raises what the database raises; the broker is asked for a fifth of a second."""

    at: datetime
    workers: int
    beats: int
    webs: int
    worker_seen_at: datetime | None  # the last of them, also if it is gone
    beat_seen_at: datetime | None
    is_broker_there: bool
    oldest_due_at: datetime | None  # of what could be sent now; None if nothing is due
    disk_free: float  # share of the disk that DATA_DIR is on


def status() -> Status:
    now = timezone.now()
    alive = list(Process.objects.filter(seen_at__gte=now - ALIVE_FOR).values_list("kind", flat=True))
    last = dict(Process.objects.values_list("kind").annotate(Max("seen_at")))
    usage = shutil.disk_usage(settings.DATA_DIR)
    return Status(
        at=now,
        workers=alive.count(Process.Kind.WORKER),
        beats=alive.count(Process.Kind.BEAT),
        webs=alive.count(Process.Kind.WEB),
        worker_seen_at=last.get(Process.Kind.WORKER),
        beat_seen_at=last.get(Process.Kind.BEAT),
        is_broker_there=is_broker_there(),
        oldest_due_at=queue.oldest_due_at(circuit_breaker.held(circuit_breaker.troubled())),
        disk_free=usage.free / usage.total,
    )


def is_broker_there() -> bool:
    """Whether the broker takes what is written, which one that is read-only or full does not."""
    try:
        return wakeup.can_write()
    except (redis.RedisError, OSError):
        return False
