"""Celery's side of the engine, a few lines each. No task carries data: the database is the queue."""

import logging
import time
from multiprocessing import Event
from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down

from callbacks.delivery import dispatcher as engine
from callbacks.delivery import queue, wakeup
from callbacks.jobs import runner
from callbacks.reports import hourly

TALLY_S = 1.0

log = logging.getLogger(__name__)

# Made before the worker forks, so that its children see what the parent was told.
_stopping = Event()


@worker_shutting_down.connect
def _stop(**_: Any) -> None:
    _stopping.set()


@shared_task
def pump() -> None:
    """Send what is due."""
    wakeup.answer()
    if not _stopping.is_set() and (attempts := engine.run(_stopping.is_set, is_rung=True)):
        log.info("pump_emptied attempts=%d", attempts)


@shared_task
def sweep() -> None:
    """Return what dead workers held, and ring for what is due: retries, and orders whose ring was lost."""
    engine.sweep()
    if queue.is_anything():
        wakeup.answer()  # a ring that is still waiting now may be one that was lost
        wakeup.ring()


@shared_task
def step_errands() -> None:
    """Go on with what people asked to be resent or sent later."""
    if not _stopping.is_set():
        runner.step_all()


@shared_task
def tally() -> None:
    """Count the requests of the last seconds for the overview; after a flood, some of them at each time."""
    began = time.monotonic()
    while not _stopping.is_set() and hourly.count() and time.monotonic() - began < TALLY_S:
        pass
