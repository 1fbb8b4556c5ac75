"""The system checks: each speaks up for one wrong setting, with a hint."""

import ipaddress

import pytest
from django.core.checks import run_checks


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
        ("DATABASES", {"default": {"ENGINE": "django.db.backends.mysql"}}, "E004"),
        ("CALLBACKS_CA_BUNDLE", "/nowhere/ca.pem", "E005"),
        ("CALLBACKS_PROXY_URL", "proxy.example:3128", "E007"),
        ("REFERRAL_PARAMETER", "", "E006"),
        ("REFERRAL_PARAMETER", "a=b", "E006"),
    ],
)
@pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")  # it is read by the check alone
def test_checks_wrong_setting_is_one_numbered_error(settings, name, value, number):
    setattr(settings, name, value)
    assert found() == [f"postbacks.{number}"]


@pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")  # it is read by the check alone
def test_checks_for_production_warn_of_what_is_open(settings):
    settings.DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql"}}
    assert found(deploy=True) == []
    settings.DEMO = True
    settings.CALLBACKS_ALLOWED_NETWORKS = (ipaddress.ip_network("10.0.0.0/8"),)
    settings.DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3"}}
    settings.CALLBACKS_PROXY_URL = "http://proxy.example:3128"
    assert found(deploy=True) == ["postbacks.W001", "postbacks.W002", "postbacks.W003", "postbacks.W004"]
    assert found() == []


@pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")  # it is read by the check alone
def test_checks_for_production_warn_of_what_others_can_read(settings, tmp_path):
    settings.DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql"}}
    settings.DATA_DIR = settings.BASE_DIR = tmp_path
    tmp_path.chmod(0o755)
    assert found(deploy=True) == ["postbacks.W005"]
    tmp_path.chmod(0o700)
    (tmp_path / ".env").touch(0o600)
    assert found(deploy=True) == []
    (tmp_path / ".env").chmod(0o640)
    assert found(deploy=True) == ["postbacks.W005"]
