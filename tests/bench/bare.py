"""What the intake of shops is measured by: a bare Django view that checks a signature and inserts one row.

It is served as ours is: by waitress, with as many threads. `python -m tests.bench.bare LISTENER`, and BARE_DATABASE.
"""

import base64
import hashlib
import hmac
import os
import signal
import socket
import sys

import django
from django.conf import settings

SECRET = "for-the-benchmark-only"
TABLE = "CREATE TABLE bare (id bigserial PRIMARY KEY, key text UNIQUE, body text, at timestamptz DEFAULT now())"
INSERT = "INSERT INTO bare (key, body) VALUES (%s, %s)"


def signature(body: bytes, secret: str = SECRET) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()


def main() -> None:
    name, host = os.environ["BARE_DATABASE"], os.environ["BARE_DATABASE_HOST"]
    database = {"ENGINE": "django.db.backends.postgresql", "NAME": name, "HOST": host, "USER": "postgres"}
    settings.configure(
        DATABASES={"default": database | {"CONN_MAX_AGE": 60}}, ROOT_URLCONF=__name__, ALLOWED_HOSTS=["testserver"]
    )
    django.setup()
    from django.core.wsgi import get_wsgi_application
    from waitress.server import create_server

    from config.stack.web import THREADS

    listener = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    create_server(get_wsgi_application(), sockets=[listener], threads=THREADS, connection_limit=1000).run()


def receive(request):  # type: ignore[no-untyped-def]  # Django is not there yet when this is read
    from django.db import connection
    from django.http import HttpResponse

    if not hmac.compare_digest(signature(request.body), request.headers["X-Shopify-Hmac-Sha256"]):
        return HttpResponse(status=401)
    with connection.cursor() as cursor:
        cursor.execute(INSERT, (request.headers["X-Shopify-Webhook-Id"], request.body.decode()))
    return HttpResponse()


if __name__ == "__main__":
    from django.urls import path

    urlpatterns = [path("receive", receive)]
    main()
