"""The Celery application. Tasks live in `callbacks.tasks`; what runs when is said here."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("postbacks")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.conf.beat_schedule = {
    "sweep": {"task": "callbacks.tasks.sweep", "schedule": 2.0, "options": {"expires": 10}},
}
