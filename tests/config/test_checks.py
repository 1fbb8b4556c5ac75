"""The system checks: each speaks up for one wrong setting, with a hint."""

import ipaddress
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.checks import run_checks
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from config import checks

ROOT = Path(__file__).parents[2]


def found(*, deploy: bool = False) -> list[str]:
    messages = run_checks(tags=["postbacks"], include_deployment_checks=deploy)
    assert all(message.hint for message in messages)
    return [message.id for message in messages]


def test_checks_settings_of_the_tests_have_no_errors():
    assert found() == []


@pytest.mark.parametrize(
    ("name", "value", "number"),
    [
        ("PORT", 0, "E001"),
        ("PORT", 65536, "E001"),
        ("CALLBACKS_ALLOWED_PORTS", frozenset({80, 70000}), "E002"),
        ("REDIS_URL", "amqp://localhost", "E003"),
        ("REDIS_URL", "localhost:6379", "E003"),
        ("REDIS_URL", "redis://:s3#cret@localhost:6379/0", "E003"),
        ("DATABASES", {"default": {"ENGINE": "django.db.backends.mysql"}}, "E004"),
        ("CALLBACKS_CA_BUNDLE", "/nowhere/ca.pem", "E005"),
        ("CALLBACKS_PROXY_URL", "proxy.example:3128", "E007"),
        ("CALLBACKS_NAT64_PREFIXES", (ipaddress.ip_network("2001:db8::/33"),), "E008"),
        ("REFERRAL_PARAMETERS", (), "E006"),
        ("REFERRAL_PARAMETERS", ("ref", "a=b"), "E006"),
    ],
)
@pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")  # it is read by the check alone
def test_checks_wrong_setting_is_one_numbered_error(settings, name, value, number):
    setattr(settings, name, value)
    assert found() == [f"postbacks.{number}"]


@pytest.fixture(autouse=True)
def answers(monkeypatch):
    """What the name server says of each name: no test asks another machine."""
    known = {}
    monkeypatch.setattr(checks, "look_up", lambda name: known.get(name, ()))
    return known


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("prefix", "answer"),
    [
        ("2001:67c:27e4:64::/96", "2001:67c:27e4:64::c000:aa"),
        ("2001:67c:27e4:64::/64", "2001:67c:27e4:64:c0:0:ab00:0"),
        ("2001:67c:27e4::/48", "2001:67c:27e4:c000:0:aa00::"),
        ("fd00:64::/32", "fd00:64:c000:aa::"),
    ],
)
def test_checks_for_production_warn_of_an_own_nat64_prefix_that_is_not_set(settings, answers, prefix, answer):
    answers["ipv4only.arpa"] = ("192.0.0.170", answer)
    (warning,) = (m for m in run_checks(include_deployment_checks=True) if m.id == "postbacks.W008")
    assert prefix in warning.msg
    assert f"CALLBACKS_NAT64_PREFIXES={prefix}" in warning.hint
    settings.CALLBACKS_NAT64_PREFIXES = (ipaddress.ip_network(prefix),)
    assert "postbacks.W008" not in found(deploy=True)


@pytest.mark.django_db
def test_checks_for_production_say_nothing_of_the_usual_nat64_prefix(answers):
    answers["ipv4only.arpa"] = ("192.0.0.170", "64:ff9b::c000:aa")
    assert "postbacks.W008" not in found(deploy=True)


@pytest.mark.django_db
@pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")  # it is read by the check alone
def test_checks_for_production_warn_of_what_is_open(settings):
    settings.DATABASES = {"default": {"ENGINE": "config.postgresql"}}
    assert found(deploy=True) == []
    settings.DEMO = True
    settings.CALLBACKS_ALLOWED_NETWORKS = (ipaddress.ip_network("10.0.0.0/8"),)
    settings.DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3"}}
    settings.CALLBACKS_PROXY_URL = "http://proxy.example:3128"
    assert found(deploy=True) == ["postbacks.W001", "postbacks.W002", "postbacks.W003", "postbacks.W004"]
    assert found() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "s3cret"),
        ("WEB_CONCURRENCY", "s3cret"),
        ("HSTS_SECONDS", "s3cret"),
        ("DATABASE_URL", "postgres://us:s3cret#x@localhost/db"),
        ("DATABASE_URL", "postgres://us:x@localhost:s3cret/db"),
        ("DATABASE_URL", "mysql://us:s3cret@localhost/db"),
        ("REDIS_URL", "redis://:s3cret#x@localhost:6379/0"),
        ("CALLBACKS_ALLOWED_NETWORKS", "10.0.0.0/8,s3cret"),
        ("CALLBACKS_ALLOWED_PORTS", "80,s3cret"),
        ("CALLBACKS_NAT64_PREFIXES", "2001:db8::/96,s3cret"),
        ("CALLBACKS_PROXY_URL", "http://us:s3cret@proxy.example"),
        ("CALLBACKS_PROXY_URL", "http://us:s3cret#x@proxy.example:3128"),
        ("CALLBACKS_PROXY_URL", "http://us:s3cret%0A@proxy.example:3128"),
    ],
)
def test_start_with_a_wrong_setting_is_refused_without_repeating_its_value(name, value):
    environment = os.environ | {name: value}
    worker = [["-m", "celery", "-A", "config", "worker"]] if value.endswith("proxy.example") else []
    for command in (["-c", "import config.settings"], *worker):
        ended = subprocess.run(
            [sys.executable, *command],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        said = ended.stdout + ended.stderr
        assert ended.returncode != 0
        assert name in said
        assert "s3cret" not in said


@pytest.mark.django_db
@pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")  # it is read by the check alone
def test_checks_for_production_warn_of_what_others_can_read(settings, tmp_path):
    settings.DATABASES = {"default": {"ENGINE": "config.postgresql"}}
    settings.DATA_DIR = settings.BASE_DIR = tmp_path
    tmp_path.chmod(0o755)
    assert found(deploy=True) == ["postbacks.W009"]
    tmp_path.chmod(0o700)
    (tmp_path / ".env").touch(0o600)
    assert found(deploy=True) == []
    (tmp_path / ".env").chmod(0o640)
    assert found(deploy=True) == ["postbacks.W009"]


@pytest.mark.django_db
@pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")  # it is read by the check alone
def test_checks_for_production_want_a_key_that_several_hosts_share(settings):
    settings.IS_SECRET_KEY_GIVEN = False
    settings.DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3"}}
    assert found(deploy=True) == ["postbacks.W003"]  # one host
    settings.DATABASES = {"default": {"ENGINE": "config.postgresql"}}
    (error,) = run_checks(tags=["postbacks"], include_deployment_checks=True)
    assert error.id == "postbacks.E009"
    assert str(settings.DATA_DIR / "secret_key") in error.hint  # where the key is that was in use so far
    assert found() == []  # `manage.py dev` starts


@pytest.mark.django_db
def test_checks_for_production_want_every_migration():
    (last,) = MigrationExecutor(connection).loader.graph.leaf_nodes("config")
    MigrationRecorder(connection).record_unapplied(*last)
    (error,) = checks.check_start(None)
    assert error.id == "postbacks.E010"
    assert ".".join(last) in error.msg
    assert found() == []


def test_worker_without_a_key_of_the_environment_is_refused_on_postgresql(tmp_path):
    nowhere = "postgres://us:x@127.0.0.1:1/shop"
    key = tmp_path / "secret_key"
    environment = os.environ | {"DATA_DIR": str(tmp_path), "DATABASE_URL": nowhere, "SECRET_KEY": ""}
    code = (
        "from config.stack import production as p; p.wait_for_database = lambda: None; p.refuse_worker()"  # it is away
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("SECRET_KEY is not set")
    assert str(key) in ended.stderr
    assert key.read_text() not in ended.stderr
