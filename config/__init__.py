"""The project: settings, URLs, the admin site, Celery and the processes that make up a running stack."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
