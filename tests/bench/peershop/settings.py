"""As Django and Celery come, and connections to the database that are kept."""

import os

PEER, PEER_TOKEN = os.environ["PEER"], os.environ["PEER_TOKEN"]
SECRET_KEY = "for-the-benchmark-only"
USE_TZ = True
ALLOWED_HOSTS = ["testserver"]
ROOT_URLCONF = "tests.bench.peershop.views"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "tests.bench.peershop",
    *(["django_webhook"] if PEER == "django-webhook" else []),
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["PEER_DATABASE"],
        "HOST": os.environ["PEER_DATABASE_HOST"],
        "USER": "postgres",
        "CONN_MAX_AGE": 60,
    }
}
DJANGO_WEBHOOK = {"MODELS": ["peershop.Order"]}
CELERY_BROKER_URL = os.environ["PEER_BROKER"]
CELERY_TASK_IGNORE_RESULT = True
