"""Secrets in the database: encrypted, moved from key to key, and what becomes of those that no key opens."""

import base64
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from callbacks import tasks
from callbacks.delivery import dispatcher, queue
from callbacks.models import Attempt, CallbackSetting, Delivery
from callbacks.postback import signing
from callbacks.setup import signing_secrets
from config import checks
from config.celery import app
from config.models import Authenticator
from config.security import encryption
from tests.callbacks.conftest import loopback, receiver  # noqa: F401 - fixtures
from tests.callbacks.setup.test_signing_secrets import verifies
from tests.factories import CallbackSettingFactory, OrderFactory
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db

OLD_KEY, NEW_KEY = "the key of last year", "the key of this year"


def stored(column: str = "secret") -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM callbacks_callbacksetting ORDER BY id")
        return [row[0] for row in cursor.fetchall()]


def store_plain(setting: CallbackSetting, secret: str) -> None:
    """As an older release does."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE callbacks_callbacksetting SET secret = %s WHERE id = %s", [secret, setting.pk])


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue().strip()


def test_secret_is_stored_encrypted_and_read_as_it_is() -> None:
    setting = CallbackSettingFactory()
    first = setting.secret
    signing_secrets.rotate(setting)
    kept = [*stored(), *stored("previous_secret")]
    assert all(text.startswith(encryption.MARK) for text in kept)
    assert not any(first in text or setting.secret in text for text in kept)
    found = CallbackSetting.objects.get()
    assert (found.secret, found.previous_secret) == (setting.secret, first)
    assert list(CallbackSetting.objects.values_list("secret", flat=True)) == [setting.secret]
    (endpoint,) = queue.endpoints([setting.pk]).values()
    assert (endpoint.secret, endpoint.previous_secret) == (setting.secret, first)


def test_two_values_that_are_the_same_are_stored_differently() -> None:
    assert encryption.encrypt("whsec_same") != encryption.encrypt("whsec_same")


def test_empty_stays_empty_and_encrypted_stays_as_it_is() -> None:
    assert encryption.encrypt("") == ""
    once = encryption.encrypt("whsec_once")
    assert encryption.encrypt(once) == once


@pytest.mark.parametrize(
    "damaged", [encryption.MARK, encryption.MARK + "x", encryption.MARK + "00000000:", encryption.MARK + "🔒" * 9]
)
def test_damaged_value_is_a_wrong_key_and_no_other_error(damaged: str) -> None:
    with pytest.raises(encryption.WrongKeyError):
        encryption.decrypt(damaged)
    assert encryption.readable(damaged) == damaged
    with pytest.raises(signing.SecretError):
        signing.headers(damaged, "id", 1, b"")


def test_value_cut_short_is_a_wrong_key() -> None:
    whole = encryption.encrypt("whsec_x")
    for cut in (whole[:-1], whole[:40], whole[:20] + "é" + whole[21:]):
        with pytest.raises(encryption.WrongKeyError):
            encryption.decrypt(cut)


# --- beside an older release, and after it ------------------------------------------
def test_older_release_cannot_sign_with_what_this_one_stores() -> None:
    """It decoded base64 as this does, and would have sent a wrong signature for text that happens to be decodable."""
    for text in (encryption.encrypt(signing.new_secret()) for _ in range(200)):
        with pytest.raises(ValueError, match="ASCII"):
            base64.b64decode(text.removeprefix("whsec_") + "==")


def test_secret_that_an_older_release_stores_is_read_and_then_encrypted() -> None:
    setting = CallbackSettingFactory()
    plain = signing.new_secret()
    store_plain(setting, plain)
    assert CallbackSetting.objects.get().secret == plain
    assert queue.endpoints([setting.pk])[setting.pk].secret == plain
    assert encryption.count_plain() == 1
    assert "postbacks.W006" in {message.id for message in checks.check_production(None)}
    assert run("encrypt_secrets") == "1 secret encrypted."
    assert stored()[0].startswith(encryption.MARK)
    assert CallbackSetting.objects.get().secret == plain
    assert encryption.count_plain() == 0
    assert run("encrypt_secrets") == "Nothing to do. All secrets are encrypted."


def test_secrets_of_an_older_release_are_encrypted_an_hour_after_the_update() -> None:
    store_plain(CallbackSettingFactory(), signing.new_secret())
    (entry,) = (entry for entry in app.conf.beat_schedule.values() if entry["task"].endswith("encrypt_secrets"))
    assert entry["schedule"] == 3600
    tasks.encrypt_secrets()
    assert stored()[0].startswith(encryption.MARK)


# --- from key to key --------------------------------------------------------------------
@pytest.fixture
def under_old_key(settings: Any, django_user_model: Any) -> list[str]:
    """The secrets of three callbacks and an authenticator, stored under the old key; the new one is in use."""
    settings.SECRET_KEY = OLD_KEY
    secrets = [CallbackSettingFactory().secret for _ in range(3)]
    rotated = CallbackSetting.objects.first()
    assert rotated
    signing_secrets.rotate(rotated)
    secrets[0] = rotated.secret
    secrets.append(Authenticator.objects.create(user=django_user_model.objects.create_user("sam")).secret)
    settings.SECRET_KEY = NEW_KEY
    return secrets


def secrets_read() -> list[str]:
    return [
        *CallbackSetting.objects.order_by("pk").values_list("secret", flat=True),
        Authenticator.objects.get().secret,
    ]


def test_rotate_secret_key_moves_everything(under_old_key: list[str]) -> None:
    assert not set(secrets_read()) & set(under_old_key)
    assert encryption.count_unreadable() == 5
    assert run("rotate_secret_key", OLD_KEY) == "5 secrets encrypted with the current SECRET_KEY."
    assert secrets_read() == under_old_key
    assert encryption.count_unreadable() == 0
    assert run("rotate_secret_key", OLD_KEY).startswith("Nothing to do")


def test_rotate_secret_key_reads_the_key_from_standard_input(
    under_old_key: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO(OLD_KEY + "\n"))
    assert run("rotate_secret_key", "-").startswith("5 secrets")
    assert secrets_read() == under_old_key


@pytest.mark.parametrize("wrong", ["", "wrong", NEW_KEY, OLD_KEY + " "])
def test_rotate_secret_key_from_a_wrong_key_changes_nothing(under_old_key: list[str], wrong: str) -> None:
    before = stored()
    with pytest.raises(CommandError, match="Nothing was changed"):
        run("rotate_secret_key", wrong)
    assert stored() == before


def test_rotate_secret_key_with_one_that_nothing_opens_changes_nothing(under_old_key: list[str], settings: Any) -> None:
    settings.SECRET_KEY = "a third"
    CallbackSettingFactory()
    settings.SECRET_KEY = NEW_KEY
    before = stored()
    with pytest.raises(CommandError):
        run("rotate_secret_key", OLD_KEY)
    assert stored() == before


def test_rotate_secret_key_goes_on_where_new_ones_were_stored_meanwhile(under_old_key: list[str]) -> None:
    new = CallbackSettingFactory()
    assert run("rotate_secret_key", OLD_KEY).startswith("5 secrets")
    new.refresh_from_db(fields=["secret"])
    assert new.secret.startswith("whsec_")


# --- what cannot be read ----------------------------------------------------------------
def test_what_cannot_be_read_is_told_and_survives_being_saved(under_old_key: list[str], settings: Any) -> None:
    setting = CallbackSetting.objects.order_by("pk").last()
    assert setting
    setting.name = "Renamed"
    setting.save()
    settings.SECRET_KEY = OLD_KEY
    setting.refresh_from_db()
    assert (setting.name, setting.secret) == ("Renamed", under_old_key[2])
    settings.SECRET_KEY = NEW_KEY
    assert "postbacks.W007" in {message.id for message in checks.check_production(None)}
    answer = Client().get("/status").json()
    assert answer["unreadable_secrets"] == 5
    assert any("5 secrets were encrypted with another SECRET_KEY" in trouble for trouble in answer["troubles"])


def test_pages_say_so_and_stay_open(under_old_key: list[str], admin_client: Client) -> None:
    setting = CallbackSetting.objects.order_by("pk").first()
    assert setting
    OrderFactory(affiliate=setting.affiliate)
    base = f"/admin/affiliates/affiliate/{setting.affiliate_id}/settings/"
    form = admin_client.get(f"{base}callbacks/created/{setting.pk}/").content.decode()
    assert "The signing secret cannot be read" in form
    assert "cannot be read</code>" in form
    assert admin_client.get(base).status_code == 200
    assert "stored secrets cannot be read" in admin_client.get("/admin/").content.decode()
    assert admin_client.post(f"{base}callbacks/created/{setting.pk}/secret/").status_code == 302
    setting.refresh_from_db()
    assert setting.secret.startswith("whsec_")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("broker", "loopback")
def test_delivery_that_cannot_be_signed_waits_and_stops_no_other(receiver: Receiver, settings: Any) -> None:  # noqa: F811
    locked, fine = (CallbackSettingFactory(url=receiver.url(f"/{name}")) for name in ("locked", "fine"))
    settings.SECRET_KEY, right = "another", settings.SECRET_KEY
    CallbackSetting.objects.get(pk=locked.pk)
    with_other = encryption.encrypt(locked.secret)
    settings.SECRET_KEY = right
    store_plain(locked, with_other)
    for setting in (locked, fine):
        OrderFactory(affiliate=setting.affiliate)
    dispatcher.run()
    assert [request.target for request in receiver.requests] == ["/fine"]
    waits = Delivery.objects.get(setting=locked)
    assert (waits.status, waits.last_error_kind, waits.attempt_count) == ("pending", "secret", 1)
    assert "rotate_secret_key" in Attempt.objects.get(delivery=waits).detail
    store_plain(locked, encryption.encrypt(locked.secret))
    Delivery.objects.filter(pk=waits.pk).update(next_attempt_at=timezone.now())
    dispatcher.run()
    (signed,) = [request for request in receiver.requests if request.target == "/locked"]
    assert verifies(locked.secret, signed)
