"""Looks for what is due without being woken, in each process of a worker.

There is nothing to do as long as some worker runs the sweep that beat sends, and notes it at the broker. Otherwise
broker or beat is away, and each process does by itself what beat would ask for, and sends what is due.

It is a thread, because Celery gives its processes nothing to do while it looks for its broker. It is not the thread of
`config.monitoring.background`, which every process has and which is never busy for long: this one may send for hours.
"""

import threading
import time

import structlog
from celery import current_app
from django.db import connections

from callbacks import tasks
from callbacks.delivery import dispatcher, queue, wakeup
from config.db_outages import outage

log = structlog.get_logger(__name__)

INTERVAL_S = 2.0
SWEPT_WITHIN_S = 5.0  # beat sends a sweep every two seconds
# What beat starts less often can wait for the broker.
LONGEST_INTERVAL_S = 60.0


class Poller:
    """One for each process, started after the fork."""

    def __init__(self, interval_s: float = INTERVAL_S) -> None:
        self.interval_s = interval_s
        self._ran_at: dict[str, float] = {}
        self._is_failing = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="poller", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = dispatcher.SHUTDOWN_S + 0.5) -> None:
        """End it once what it has sent is recorded."""
        self._stopping.set()
        self._thread.join(timeout_s)

    def is_stopping(self) -> bool:
        return self._stopping.is_set() or tasks.is_stopping()

    def _run(self) -> None:
        while not self._stopping.wait(self.interval_s):
            if not (self.is_stopping() or dispatcher.is_running() or wakeup.was_swept(SWEPT_WITHIN_S)):
                self._look()

    def _look(self) -> None:
        try:
            self._run_periodic_tasks()
            if queue.is_anything_due():
                dispatcher.run(self.is_stopping, is_woken=True, periodic=tasks.PERIODIC)
        except Exception as error:  # an error of ours must not be the end of it
            if not outage(error):
                log.exception("poll_failed")
                return
            if not self._is_failing:
                log.warning("poll_failed", error=type(error).__name__)
            self._is_failing = True
        else:
            self._is_failing = False
        finally:
            connections.close_all()

    def _run_periodic_tasks(self) -> None:
        """What beat would have sent by now."""
        for entry in current_app.conf.beat_schedule.values():
            name, interval, now = entry["task"], entry["schedule"], time.monotonic()
            if not isinstance(interval, float) or interval > LONGEST_INTERVAL_S or self.is_stopping():
                continue
            if now - self._ran_at.get(name, 0.0) >= interval:
                self._ran_at[name] = now
                current_app.tasks[name]()
