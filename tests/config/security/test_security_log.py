"""What is noted, as a line and in the history of what it is about."""

import logging
import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client, RequestFactory

from affiliates.models import Affiliate
from affiliates.portal import access
from callbacks.models import CallbackSetting
from config.security import security_log
from tests.factories import AffiliateFactory, CallbackSettingFactory

pytestmark = pytest.mark.django_db

PASSWORD = "a long enough passphrase"
PASSWORDS = {"new_password1": PASSWORD, "new_password2": PASSWORD}


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Of this logger, from the event on and without the request's id."""
    found = [line.partition(" security ")[2] for line in caplog.text.splitlines() if " security " in line]
    return [re.sub(r" request_id=\w+$", "", line) for line in found]


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line.split()[0].removeprefix("event=") for line in lines(caplog)]


def history_of(about: Any) -> list[str]:
    return list(LogEntry.objects.filter(object_id=about.pk).order_by("pk").values_list("change_message", flat=True))


def test_log_in_and_out_are_noted(caplog):
    user = User.objects.create_superuser("root", password=PASSWORD)
    client = Client()
    client.post("/admin/login/", {"username": "root", "password": "wrong"})
    client.post("/admin/login/", {"username": "root", "password": PASSWORD})
    client.post("/admin/logout/")
    assert events(caplog) == ["log_in_refused", "log_in", "log_out"]
    assert all(f"user={user.pk} address=127.0.0.1 path=/admin/log" in line for line in lines(caplog))
    assert history_of(user) == ["Log-in with a wrong password, from 127.0.0.1.", "Logged in."]


def test_permission_error_is_noted(caplog):
    client = Client()
    sam = User.objects.create_user("sam", is_staff=True)
    client.force_login(sam)
    client.get("/admin/auth/user/")
    assert lines(caplog) == [f"event=forbidden user={sam.pk} address=127.0.0.1 path=/admin/auth/user/ method=GET"]
    caplog.clear()
    strict = Client(enforce_csrf_checks=True)
    strict.post("/portal/login/", {"username": "x"})
    assert events(caplog) == ["forbidden"]


def test_exports_are_noted(admin_client: Client, admin_user: User, caplog):
    affiliate = AffiliateFactory()
    admin_client.get("/admin/callbacks/delivery/export/?status__exact=failed")
    admin_client.get(f"/admin/affiliates/affiliate/{affiliate.pk}/reconciliation/export/?month=2026-11")
    first, second = lines(caplog)
    assert first.startswith(f"event=export user={admin_user.pk} address=127.0.0.1")
    assert first.endswith("what=deliveries filters=status__exact")
    assert f"about=affiliates.affiliate:{affiliate.pk} what=reconciliation" in second
    assert history_of(affiliate) == ["Exported the reconciliation of 2026-11."]


def test_portal_access_given_changed_and_taken_is_noted(admin_client: Client, admin_user: User, caplog):
    affiliate = AffiliateFactory()
    path = f"/admin/affiliates/affiliate/{affiliate.pk}/settings/portal/"
    admin_client.post(path, PASSWORDS)
    admin_client.post(path, PASSWORDS)
    admin_client.post(f"{path}off/")
    assert events(caplog) == ["portal_password_set", "portal_password_set", "portal_access_taken"]
    assert all(f"user={admin_user.pk} address=127.0.0.1 path={path}" in line for line in lines(caplog))
    assert history_of(affiliate) == [
        "Gave portal access.", "Changed the portal password.", "Turned portal access off.",
    ]  # fmt: skip
    page = admin_client.get(f"/admin/affiliates/affiliate/{affiliate.pk}/history/").content.decode()
    assert "Turned portal access off." in page
    assert PASSWORD not in caplog.text


def test_access_of_an_affiliate_that_is_deleted_is_noted(admin_client: Client, caplog):
    for delete in (
        lambda a: admin_client.post(f"/admin/affiliates/affiliate/{a.pk}/delete/", {"post": "yes"}),
        lambda a: admin_client.post(
            "/admin/affiliates/affiliate/", {"action": "delete_selected", "_selected_action": a.pk, "post": "yes"}
        ),
    ):
        affiliate = AffiliateFactory()
        access.grant(affiliate, PASSWORD)
        caplog.clear()
        delete(affiliate)
        assert events(caplog) == ["portal_access_taken"]
        assert not Affiliate.objects.exists()


def test_secrets_shown_and_rotated_are_noted(admin_client: Client, caplog):
    setting = CallbackSettingFactory()
    path = f"/admin/affiliates/affiliate/{setting.affiliate_id}/settings/"
    admin_client.post(f"{path}callbacks/created/{setting.pk}/secret/", follow=True)
    admin_client.get(path)
    assert events(caplog) == ["secret_rotated", "secret_shown"]
    assert "Rotated the signing secret." in history_of(setting)
    secret = CallbackSetting.objects.get().secret
    assert secret not in caplog.text
    assert setting.secret not in caplog.text


def test_accounts_are_noted(admin_client: Client, caplog):
    typed = {"username": "eve", "password1": PASSWORD, "password2": PASSWORD, "role": "none"}
    admin_client.post("/admin/auth/user/add/", typed)
    eve = User.objects.get(username="eve")
    admin_client.post(f"/admin/auth/user/{eve.pk}/change/", {"username": "eve", "role": "support", "is_active": "on"})
    admin_client.post(
        f"/admin/auth/user/{eve.pk}/password/", {"password1": PASSWORD + "2", "password2": PASSWORD + "2"}
    )
    admin_client.post(f"/admin/auth/user/{eve.pk}/delete/", {"post": "yes"})
    assert events(caplog) == ["account_made", "account_changed", "account_changed", "account_deleted"]
    assert "role=support" in lines(caplog)[1]
    assert PASSWORD not in caplog.text


def test_own_password_is_noted(caplog):
    user = User.objects.create_superuser("root", password=PASSWORD)
    client = Client()
    client.force_login(user)
    client.post("/admin/password_change/", {"old_password": PASSWORD, "new_password1": "x", "new_password2": "y"})
    assert events(caplog) == []
    new = "a quite different passphrase"
    client.post("/admin/password_change/", {"old_password": PASSWORD, "new_password1": new, "new_password2": new})
    assert events(caplog) == ["password_changed"]
    assert history_of(user) == ["Changed their own password."]


@pytest.mark.parametrize(
    "hostile",
    ["a\nb", "a\r\nevent=x", "\x00", "\x1b[2J", "\u2028", "\u202e", "\x85", "\ud800", 'a" b="c', "x" * 10_000, ""],
)
def test_value_from_outside_stays_on_its_line(caplog, hostile):
    with caplog.at_level(logging.INFO, "security"):
        security_log.note(RequestFactory().get("/"), "trial", given=hostile, last="one")
    (line,) = lines(caplog)
    assert line.isascii()
    assert line.isprintable()
    assert line.endswith(" last=one")
    assert len(line) < 2000


def test_path_from_outside_stays_on_its_line(admin_client: Client, caplog):
    client = Client()
    client.force_login(User.objects.create_user("sam", is_staff=True))
    client.get("/admin/auth/user/1%0D%1Bevent=log_in%20user=root/change/")
    (line,) = lines(caplog)
    assert line.isprintable()
    assert line.count("event=") == 2
    assert 'path="/admin/auth/user/1\\r\\u001bevent=log_in user=root/change/"' in line
