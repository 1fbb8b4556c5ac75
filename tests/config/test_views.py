"""What operators see: alive, ready, how all is, and errors without secrets."""

import json
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.utils import ConnectionHandler
from django.utils import timezone
from django.views.debug import ExceptionReporter

from callbacks.delivery import wakeup
from callbacks.models import Delivery
from config import views
from config.models import Process
from config.monitoring import background, status, troubles
from config.stack.valkey import Valkey
from tests.factories import AffiliateFactory, OrderFactory, callbacks_for


@pytest.fixture(autouse=True)
def _new_broker_client():
    wakeup._valkey.cache_clear()
    yield
    wakeup._valkey.cache_clear()


@pytest.fixture
def _asked_anew(monkeypatch):
    """Whether migrations are applied is asked, whatever was found before."""
    monkeypatch.setattr(status, "_are_migrations_applied", False)


def test_healthz_asks_nobody_else(client, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    answer = client.get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok\n")
    assert client.post("/healthz").status_code == 405


# --- ready ------------------------------------------------------------------------
@pytest.mark.django_db
def test_readyz_is_200_without_worker_beat_and_broker(client, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"database": "ok", "migrations": "ok"}


@pytest.mark.django_db
@pytest.mark.usefixtures("_asked_anew")
def test_readyz_without_a_database_is_503(rf):
    nowhere = {"ENGINE": "django.db.backends.postgresql", "NAME": "x", "HOST": "127.0.0.1", "PORT": "1"}
    answer = views.readyz(rf.get("/readyz"), database=ConnectionHandler({"default": nowhere})["default"])
    assert answer.status_code == 503
    assert json.loads(answer.content) == {
        "database": "The database does not answer.",
        "migrations": "Unknown, because the database does not answer.",
    }


@pytest.mark.django_db
@pytest.mark.usefixtures("_asked_anew")
def test_readyz_with_a_migration_that_is_not_applied_is_503_until_it_is(client):
    row = MigrationRecorder.Migration.objects.filter(app="callbacks").latest("id")
    row.delete()
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["migrations"] == "Missing migrations of this release: 1. Run `manage.py migrate`."
    row.save(force_insert=True)
    assert client.get("/readyz").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_readyz_with_a_database_that_takes_no_change_is_503(client, postgresql):
    if postgresql:
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        assert client.get("/readyz").json()["database"] == "The database is read-only."
        connection.close()
    assert client.get("/readyz").json()["database"] == "ok"


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    mounted = tmp_path / "small"
    mounted.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "postbacks-test", mounted], check=True)
    yield mounted
    subprocess.run(["umount", "--lazy", mounted], check=True)


@pytest.mark.once
@pytest.mark.django_db
def test_database_on_a_full_disk_takes_no_change(small_disk):
    path = small_disk / "x.sqlite3"
    database = ConnectionHandler({"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path)}})["default"]
    with database.cursor() as cursor:
        cursor.execute("CREATE TABLE x (y)")
    assert status.database_trouble(database) == ""
    filling = small_disk / "filling"
    with pytest.raises(OSError, match="No space left"):
        filling.write_bytes(bytes(2_000_000))
    assert status.database_trouble(database) == "The disk of the database is full or read-only."
    filling.unlink()
    assert status.database_trouble(database) == ""
    database.close()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    assert status.database_trouble(database) != ""
    database.close()


@pytest.mark.once
@pytest.mark.django_db
def test_database_that_somebody_else_writes_is_not_waited_for(tmp_path):
    path = tmp_path / "x.sqlite3"
    database = ConnectionHandler({"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path)}})["default"]
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        assert status.database_trouble(database) == ""
        assert time.monotonic() - began < 1
    database.close()


# --- status -----------------------------------------------------------------------
def process(kind: str, *, seconds_ago: float = 0) -> Process:
    return Process.objects.create(
        name=f"{kind}:{seconds_ago}", kind=kind, seen_at=timezone.now() - timedelta(seconds=seconds_ago)
    )


@pytest.mark.django_db
def test_status_with_everything_there_is_ok(client, broker: Valkey):
    for kind in ("worker", "worker ", "beat", "web"):
        Process.objects.create(name=kind, kind=kind.strip(), seen_at=timezone.now())
    answer = client.get("/status")
    assert answer.status_code == 200
    said = answer.json()
    assert (said["state"], said["troubles"]) == ("ok", [])
    assert (said["workers"], said["beats"], said["webs"], said["is_broker_there"]) == (2, 1, 1, True)
    assert (said["database"], said["migrations"], said["proxy"], said["oldest_due_at"]) == ("ok", "ok", "ok", None)


@pytest.mark.django_db
def test_status_tells_a_dead_beat_from_a_dead_worker(client, broker: Valkey):
    process("worker")
    process("beat", seconds_ago=125)
    assert client.get("/status").json()["troubles"] == ["Beat is not running: last seen 2 minutes ago."]
    Process.objects.all().delete()
    process("beat")
    process("worker", seconds_ago=130)
    said = client.get("/status").json()
    assert (said["state"], said["troubles"]) == ("trouble", ["No worker is running: last seen 2 minutes ago."])


@pytest.mark.django_db
def test_status_without_a_broker_says_so_and_knows_the_rest(client, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    process("worker")
    process("beat")
    answer = client.get("/status")
    assert (answer.status_code, answer.json()["workers"]) == (200, 1)
    (trouble,) = answer.json()["troubles"]
    assert trouble == "The broker does not work: it does not answer or refuses writes."


@pytest.mark.django_db
def test_status_without_a_data_directory_looks_at_the_disk_it_would_be_on(client, broker: Valkey, settings, tmp_path):
    settings.DATA_DIR = tmp_path / "nobody" / "made"  # with PostgreSQL and a SECRET_KEY
    settings.DATABASE_FILES = []
    assert 0 < client.get("/status").json()["disk_free"] < 1
    assert client.get("/metrics").status_code == 200
    assert background.disk_free() is not None


@pytest.mark.django_db
def test_status_says_that_postbacks_wait_for_too_long(client, broker: Valkey):
    process("worker")
    process("beat")
    affiliate = AffiliateFactory()
    callbacks_for(affiliate, "https://tracker.example/")
    OrderFactory(affiliate=affiliate)
    Delivery.objects.update(next_attempt_at=timezone.now() - timedelta(minutes=7, seconds=5))
    assert client.get("/status").json()["troubles"] == ["Postbacks are late: the oldest has been due for 7 minutes."]


@pytest.mark.django_db
def test_status_says_that_a_disk_of_any_machine_is_nearly_full(client, broker: Valkey):
    process("worker")
    process("beat")
    Process.objects.filter(kind="worker").update(disk_free=0.051)
    assert client.get("/status").json()["troubles"] == []
    Process.objects.filter(kind="worker").update(disk_free=0.049)
    assert client.get("/status").json()["troubles"] == ["A disk is nearly full: 4.9 % of it is free."]


@pytest.mark.django_db
@pytest.mark.usefixtures("_asked_anew")
def test_status_with_a_migration_that_is_not_applied_says_so(client, broker: Valkey):
    MigrationRecorder.Migration.objects.filter(app="callbacks").latest("id").delete()
    assert any(
        "Missing migrations of this release: 1." in trouble for trouble in client.get("/status").json()["troubles"]
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("database_away")
def test_status_without_a_database_is_200_and_says_so(client, broker: Valkey):
    answer = client.get("/status")
    assert answer.status_code == 200
    said = answer.json()
    assert (said["state"], said["troubles"]) == ("trouble", ["The database does not answer."])
    assert said["is_broker_there"] is True


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://üs:s3crét@proxy.example:3128", "ok"),
        ("http://us:s3cret@proxy.example", "The URL of the proxy has no port."),
        (
            "http://us:s3cret%00@proxy.example:1",
            "The user name or password of the proxy contains a character that cannot be sent.",
        ),
    ],
)
def test_status_tells_whether_the_proxy_can_be_used(client, settings, broker: Valkey, url: str, said: str):
    settings.CALLBACKS_PROXY_URL = url
    answer = client.get("/status").json()
    assert answer["proxy"] == said
    assert (said in answer["troubles"]) is (said != "ok")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-1, "0 seconds"), (1, "1 second"), (119, "119 seconds"), (120, "2 minutes"), (7_300, "2 hours"), (2e5, "2 days")],
)
def test_duration(seconds: float, said: str):
    assert troubles.duration(timedelta(seconds=seconds)) == said


# --- pages -------------------------------------------------------------------------
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
