"""What the intake of shops is measured by: a bare Django view that checks a signature and inserts one row.

It is settings, URLs and view in one: `tests.bench.plain_server` serves it, with BARE_DATABASE in the environment.
"""

import base64
import hashlib
import hmac
import os

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import path

SECRET = "for-the-benchmark-only"
TABLE = "CREATE TABLE bare (id bigserial PRIMARY KEY, key text UNIQUE, body text, at timestamptz DEFAULT now())"
INSERT = "INSERT INTO bare (key, body) VALUES (%s, %s)"

SECRET_KEY = SECRET
ALLOWED_HOSTS = ["testserver"]
ROOT_URLCONF = __name__
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ.get("BARE_DATABASE"),
        "HOST": os.environ.get("BARE_DATABASE_HOST"),
        "USER": "postgres",
        "CONN_MAX_AGE": 60,
    }
}


def signature(body: bytes, secret: str = SECRET) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()


def receive(request: HttpRequest) -> HttpResponse:
    if not hmac.compare_digest(signature(request.body), request.headers["X-Shopify-Hmac-Sha256"]):
        return HttpResponse(status=401)
    with connection.cursor() as cursor:
        cursor.execute(INSERT, (request.headers["X-Shopify-Webhook-Id"], request.body.decode()))
    return HttpResponse()


urlpatterns = [path("receive", receive)]
