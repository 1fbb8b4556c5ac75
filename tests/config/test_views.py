"""What operators see: alive, ready, and errors without secrets."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import redis
from django.db.utils import ConnectionHandler
from django.views.debug import ExceptionReporter

from callbacks.delivery import wakeup
from config import views
from config.stack.valkey import Valkey


@pytest.fixture(autouse=True)
def _new_broker_client():
    wakeup._valkey.cache_clear()
    yield
    wakeup._valkey.cache_clear()


def test_healthz_asks_nobody_else(client, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    answer = client.get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok\n")
    assert client.post("/healthz").status_code == 405


@pytest.mark.django_db
def test_readyz_all_there_is_200(client, broker: Valkey):
    wakeup.record_heartbeat()
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"database": "ok", "broker": "ok", "worker": "ok"}


@pytest.mark.django_db
def test_readyz_without_a_worker_is_503(client, broker: Valkey):
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["worker"] == "No worker has shown itself in the last 15 seconds."
    assert answer.json()["broker"] == "ok"


@pytest.mark.django_db
def test_readyz_with_an_old_heartbeat_is_503(client, broker: Valkey):
    with redis.Redis.from_url(broker.url) as valkey:
        valkey.set(wakeup._HEARTBEAT_KEY, (datetime.now(UTC) - timedelta(seconds=16)).isoformat())
    assert client.get("/readyz").status_code == 503


@pytest.mark.django_db
def test_readyz_without_a_broker_is_503(client, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "database": "ok",
        "broker": "The broker does not answer.",
        "worker": "Not known without the broker.",
    }


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://üs:s3crét@proxy.example:3128", "ok"),
        ("http://us:s3cret@proxy.example", "The URL of the proxy names no port."),
        (
            "http://us:s3cret%00@proxy.example:1",
            "The user name or the password of the proxy holds a character that cannot be sent.",
        ),
    ],
)
def test_readyz_tells_whether_the_proxy_can_be_used(client, settings, broker: Valkey, url: str, said: str):
    wakeup.record_heartbeat()
    settings.CALLBACKS_PROXY_URL = url
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["proxy"]) == (200 if said == "ok" else 503, said)


@pytest.mark.django_db
def test_readyz_without_a_database_is_503(rf, broker: Valkey):
    wakeup.record_heartbeat()
    nowhere = {"ENGINE": "django.db.backends.postgresql", "NAME": "x", "HOST": "127.0.0.1", "PORT": "1"}
    answer = views.readyz(rf.get("/readyz"), database=ConnectionHandler({"default": nowhere})["default"])
    assert answer.status_code == 503
    assert json.loads(answer.content)["database"] == "The database does not answer."


def test_root_leads_to_the_admin(client):
    answer = client.get("/")
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")


@pytest.mark.parametrize(
    "name", ["CALLBACKS_PROXY_URL", "REDIS_URL", "CELERY_BROKER_URL", "DATABASE_URL", "SECRET_KEY"]
)
def test_error_report_does_not_show_a_password(settings, rf, name):
    secret = "http://us:s3cret@host:3128"
    setattr(settings, name, secret)
    reporter = ExceptionReporter(rf.get("/", **{name: secret}), RuntimeError, RuntimeError("something else"), None)
    for page in (reporter.get_traceback_html(), reporter.get_traceback_text()):
        assert name in page
        assert "s3cret" not in page
