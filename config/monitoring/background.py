"""The thread that every process has: it says that the process is alive, and writes down what it has counted.

It asks nothing of the broker, so an installation whose broker is away still knows what lives.
"""

import os
import socket
import threading
from collections.abc import Callable
from datetime import timedelta

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections
from django.utils import timezone

from config.models import Process
from config.monitoring import logs, metrics

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
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)

    def start(self) -> None:
        """To be called after a process has forked for the last time."""
        logs.keep_errors_in_log()
        log.info("process_started", kind=self.kind, name=self.name, version=settings.VERSION)
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """End it after a last round: the process is no longer counted, and nothing that it counted is lost."""
        log.info("process_ends", kind=self.kind, name=self.name)
        self._stopping.set()
        self._thread.join(timeout_s)

    def heartbeat(self) -> None:
        """Say that this process is alive."""
        Process.objects.update_or_create(
            name=self.name,
            defaults={"kind": self.kind, "version": settings.VERSION, "seen_at": timezone.now()},
        )

    def _run(self) -> None:
        self._round(self.jobs)
        while not self._stopping.wait(self.interval_s):
            self._round(self.jobs)
        self._round((metrics.flush, self._leave))

    def _round(self, jobs: tuple[Callable[[], object], ...]) -> None:
        for job in jobs:
            try:
                job()
            except (DatabaseError, InterfaceError) as error:  # it is tried again
                log.warning("background_failed", error=type(error).__name__)
                connections.close_all()
                return
            except Exception:  # an error of ours must not make the process look dead
                log.exception("background_failed")
        connections.close_all()

    def _leave(self) -> None:
        Process.objects.filter(name=self.name).delete()
        Process.objects.filter(seen_at__lt=timezone.now() - FORGOTTEN_AFTER).delete()
