"""Celery tasks, a few lines each. No task carries data: the database is the queue.

Their names stay as they are, because old and new processes run side by side during a deploy.
"""

import logging
import time
from multiprocessing import Event
from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down

from callbacks.delivery import dispatcher, health, queue, wakeup
from callbacks.jobs import runner
from callbacks.reports import hourly
from config.security import encryption

COUNT_FOR_S = 1.0

log = logging.getLogger(__name__)

# Made before the worker forks, so that its children see that the parent is shutting down.
_stopping = Event()


@worker_shutting_down.connect
def _stop(**_: Any) -> None:
    _stopping.set()


@shared_task(name=wakeup.TASK)
def drain() -> None:
    """Send what is due. That may take a busy worker hours, so it does the work of the other tasks meanwhile."""
    wakeup.take()
    if not _stopping.is_set():
        attempts = dispatcher.run(_stopping.is_set, is_woken=True, periodic=[runner.run_all])
        if attempts:
            log.info("queue_emptied attempts=%d", attempts)


@shared_task(name="callbacks.tasks.sweep")
def sweep() -> None:
    """Make due what dead workers held; wake a worker for what is due: retries, and orders whose wake-up was lost."""
    dispatcher.sweep()
    if queue.is_anything_due():
        wakeup.take()  # one that is still waiting may have been lost
        wakeup.send()


@shared_task(name="callbacks.tasks.step_errands")
def run_jobs() -> None:
    """Go on with resends and backfills."""
    if not _stopping.is_set():
        runner.run_all()


@shared_task(name="callbacks.tasks.encrypt_secrets")
def encrypt_secrets() -> None:
    """Encrypt the secrets that an older release left plain, an hour after the update, when its processes are gone."""
    if count := encryption.encrypt_plain():
        log.info("secrets_encrypted count=%d", count)


@shared_task(name="callbacks.tasks.tally")
def count_requests() -> None:
    """Count the requests of the last seconds, and tell which callbacks fail for long.

    If they are too many, the next run goes on.
    """
    began = time.monotonic()
    while not _stopping.is_set() and hourly.count() and time.monotonic() - began < COUNT_FOR_S:
        pass
    health.judge()
