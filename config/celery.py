"""The Celery application. Tasks live in `callbacks.tasks`; what runs when is said here."""

import gc
import os
from typing import Any

from celery import Celery
from celery.signals import worker_before_create_process, worker_process_init, worker_ready

from config import db_locks

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# A name server that does not answer must not keep the thread that asks it busy for half a minute.
os.environ.setdefault("RES_OPTIONS", "timeout:2 attempts:2")

app = Celery("postbacks")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.worker_consumer = "config.reconnecting:PromptConsumer"
app.conf.beat_scheduler = "config.reconnecting:PromptScheduler"
app.autodiscover_tasks()
app.conf.beat_schedule = {
    "sweep": {"task": "callbacks.tasks.sweep", "schedule": 2.0, "options": {"expires": 10}},
    "errands": {"task": "callbacks.tasks.step_errands", "schedule": 1.0, "options": {"expires": 2}},
    "tally": {"task": "callbacks.tasks.tally", "schedule": 20.0, "options": {"expires": 20}},
}


@worker_ready.connect
def _sweep_at_once(**_: Any) -> None:
    """What waits for a worker waits no longer than that; and the worker's heart beats for the first time."""
    app.send_task("callbacks.tasks.sweep", expires=10)


@worker_before_create_process.connect
def _share_memory(**_: Any) -> None:
    """What the processes of a worker have in common stays in common: the collector does not write into it."""
    gc.collect()
    gc.freeze()


@worker_process_init.connect
def _wait_briefly_for_locks(**_: Any) -> None:
    """What a worker has finished should not wait behind one long lock until its leases end."""
    db_locks.be_brief(3)
