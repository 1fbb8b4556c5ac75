"""The peers' Celery application."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.bench.peershop.settings")

app = Celery("peershop")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
