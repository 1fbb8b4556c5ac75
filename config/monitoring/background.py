"""The threads that every process has: one says that the process is alive, and writes down what it has counted; the
other sends e-mails.

They ask nothing of the broker, so an installation whose broker is away still knows what lives.
"""

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import structlog
from django.conf import settings
from django.db import connections
from django.utils import timezone

from config.db_outages import outage
from config.models import Process
from config.monitoring import logs, mail, metrics

log = structlog.get_logger(__name__)

INTERVAL_S = 5.0
FORGOTTEN_AFTER = timedelta(days=1)


class Background:
    """Calls `heartbeat`, `metrics.flush` and the `others` at once and then every few seconds, until `stop`."""

    def __init__(
        self, kind: str, others: tuple[Callable[[], object], ...] = (), interval_s: float = INTERVAL_S
    ) -> None:
        self.kind, self.interval_s = kind, interval_s
        # The children of a Celery worker are one worker.
        number = os.getppid() if kind == Process.Kind.WORKER else os.getpid()
        self.name = f"{socket.gethostname()}:{number}"
        self.jobs: tuple[Callable[[], object], ...] = (self.heartbeat, metrics.flush, *others)
        self._stopping = threading.Event()
        last: tuple[Callable[[], object], ...] = (metrics.flush, self._leave)
        self._threads = [
            threading.Thread(target=self._run, args=(self.jobs, last), name="background", daemon=True),
            # By itself: while a mail server is slow the process must not look dead.
            threading.Thread(target=self._run, args=((mail.send_due,), ()), name="mail", daemon=True),
        ]

    def start(self) -> None:
        """To be called after a process has forked for the last time."""
        logs.keep_errors_in_log()
        log.info("process_started", kind=self.kind, name=self.name, version=settings.VERSION)
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 1.0) -> None:
        """End it after a last round: the process is no longer counted, and nothing that it counted is lost."""
        log.info("process_ends", kind=self.kind, name=self.name)
        self._stopping.set()
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def heartbeat(self) -> None:
        """Say that this process is alive."""
        Process.objects.update_or_create(
            name=self.name,
            defaults={
                "kind": self.kind,
                "version": settings.VERSION,
                "seen_at": timezone.now(),
                "disk_free": disk_free(),
            },
        )

    def _run(self, jobs: tuple[Callable[[], object], ...], last: tuple[Callable[[], object], ...]) -> None:
        is_database_there = self._round(jobs, was_database_there=True)
        while not self._stopping.wait(self.interval_s):
            is_database_there = self._round(jobs, was_database_there=is_database_there)
        self._round(last, was_database_there=is_database_there)

    def _round(self, jobs: tuple[Callable[[], object], ...], *, was_database_there: bool) -> bool:
        """Whether the database is there. That it is not is one line of the log, however long it takes."""
        try:
            for job in jobs:
                try:
                    job()
                except Exception as error:  # an error of ours must not make the process look dead
                    if not outage(error):
                        log.exception("background_failed")
                        continue
                    if was_database_there:
                        log.warning("background_failed", error=type(error).__name__)
                    return False
            return True
        finally:
            connections.close_all()

    def _leave(self) -> None:
        Process.objects.filter(name=self.name).delete()
        Process.objects.filter(seen_at__lt=timezone.now() - FORGOTTEN_AFTER).delete()


def disk_free() -> float | None:
    """The free share of the fullest disk that this machine's processes write to; None if that cannot be said."""
    places = {settings.DATA_DIR, *(file.parent for file in settings.DATABASE_FILES)}
    try:
        usages = [disk_usage(place) for place in places]
    except OSError:
        return None
    return min(free / total for total, _, free in usages)


def disk_usage(place: Path) -> tuple[int, int, int]:
    """Bytes in all, used and free of the disk that `place` is on, or would be: with PostgreSQL and a SECRET_KEY nobody
    makes DATA_DIR.
    """
    while not os.path.exists(place) and place != place.parent:  # noqa: PTH110 - `Path.exists` raises where it may not look
        place = place.parent
    return shutil.disk_usage(place)
