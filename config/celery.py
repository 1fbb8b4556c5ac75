"""The Celery application. Tasks live in `callbacks.tasks`; what runs when is said here."""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# A name server that does not answer must not keep libcurl's few lookup threads busy for half a minute.
os.environ.setdefault("RES_OPTIONS", "timeout:2 attempts:2")

app = Celery("postbacks")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.conf.beat_schedule = {
    "sweep": {"task": "callbacks.tasks.sweep", "schedule": 2.0, "options": {"expires": 10}},
}


@worker_ready.connect
def _sweep_at_once(**_: Any) -> None:
    """What waits for a worker waits no longer than that; and the worker's heart beats for the first time."""
    app.send_task("callbacks.tasks.sweep", expires=10)
