"""Celery tasks, a few lines each. No task carries data: the database is the queue.

Their names stay as they are, because old and new processes run side by side during a deploy.
"""

import os
import time
from collections.abc import Callable
from functools import wraps
from multiprocessing import Event
from threading import Timer
from typing import Any

import structlog
from celery import current_task, shared_task
from celery.signals import worker_shutting_down

from callbacks.delivery import dispatcher, health, queue, wakeup
from callbacks.jobs import runner
from callbacks.reports import hourly
from callbacks.retention import prune as pruning
from config.db_outages import outage
from config.security import encryption
from orders.intake import received

COUNT_FOR_S = 1.0
# What a process does each second or two, however busy it is.
PERIODIC = (runner.run_all, received.run)

log = structlog.get_logger(__name__)

# Made before the worker forks, so that its children see that the parent is shutting down.
_stopping = Event()
# Longer than a process takes to finish what is in flight. One that still waits for something then, such as a database
# that does not answer, is killed with its parent; what it held is sent after its leases.
END_AFTER_S = 14.0


@worker_shutting_down.connect
def _stop(**_: Any) -> None:
    _stopping.set()
    deadline = Timer(END_AFTER_S, _end_at_once)
    deadline.daemon = True
    deadline.start()


def _end_at_once() -> None:
    log.error("worker_not_ended_in_time", seconds=END_AFTER_S)
    os._exit(1)


def is_stopping() -> bool:
    """Whether the worker of this process is shutting down."""
    return _stopping.is_set()


_is_database_away = False


def _unless_database_is_away(task: Callable[[], None]) -> Callable[[], None]:
    """Beat asks for the task again: one line of the log says that the database is away, not one each second."""

    @wraps(task)
    def run() -> None:
        global _is_database_away  # noqa: PLW0603 - one database for the whole process
        try:
            task()
        except Exception as error:
            if not outage(error) or current_task.request.called_directly:  # who calls it so wants to know
                raise
            if not _is_database_away:
                log.warning("task_failed", task=current_task.name, error=type(error).__name__)
            _is_database_away = True
        else:
            _is_database_away = False

    return run


@shared_task(name=wakeup.TASK)
@_unless_database_is_away
def drain() -> None:
    """Send what is due. That may take a busy worker hours, so it does the work of the other tasks meanwhile."""
    wakeup.take()
    if not is_stopping():
        attempts = dispatcher.run(is_stopping, is_woken=True, periodic=PERIODIC)
        if attempts:
            log.info("queue_emptied", attempts=attempts)


@shared_task(name="callbacks.tasks.sweep")
@_unless_database_is_away
def sweep() -> None:
    """Make due what dead workers held; wake a worker for what is due: retries, and orders whose wake-up was lost."""
    dispatcher.sweep()
    if queue.is_anything_due():
        wakeup.take()  # one that is still waiting may have been lost
        wakeup.send()


@shared_task(name="callbacks.tasks.step_errands")
@_unless_database_is_away
def run_jobs() -> None:
    """Go on with resends and backfills; apply what shops sent while the web processes were busy."""
    for function in PERIODIC:
        if not is_stopping():
            function()


@shared_task(name="callbacks.tasks.encrypt_secrets")
@_unless_database_is_away
def encrypt_secrets() -> None:
    """Encrypt the secrets that an older release left plain, an hour after the update, when its processes are gone."""
    if count := encryption.encrypt_plain():
        log.info("secrets_encrypted", count=count)


@shared_task(name="callbacks.tasks.tally")
@_unless_database_is_away
def count_requests() -> None:
    """Count the requests of the last seconds, and tell which callbacks fail for long.

    If they are too many, the next run goes on.
    """
    began = time.monotonic()
    while not is_stopping() and hourly.count() and time.monotonic() - began < COUNT_FOR_S:
        pass
    health.judge()


@shared_task(name="callbacks.tasks.prune")
@_unless_database_is_away
def prune() -> None:
    """Delete what is older than it is kept, for some seconds; the next run goes on there."""
    pruning.run_for_a_while(is_stopping)
