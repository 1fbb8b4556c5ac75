"""How long a token is valid, and when it was last used."""

import time
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from orders.api import tokens
from orders.models import ApiToken
from tests.queries import count_queries

pytestmark = pytest.mark.django_db
MAY_WRITE = {"allowed": ["orders:write"]}


def ask(token: str) -> tuple[int, dict]:
    answer = Client().get("/api/orders/nothing", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code, answer.json()


def test_expired_token_is_told_so(caplog, monkeypatch):
    monkeypatch.setattr(tokens, "KNOWN_S", 0)
    token = tokens.create("shop", days=1)
    assert ask(token)[0] == 404
    ApiToken.objects.update(expires_at=timezone.now())
    code, body = ask(token)
    assert code == 401
    (problem,) = body["errors"]
    assert problem["code"] == "token_expired"
    answer = Client().post("/api/orders", {}, "application/json", headers={"Authorization": f"Bearer {token}"})
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert "event=token_refused" in caplog.text
    assert "reason=expired token=shop" in caplog.text
    assert token not in caplog.text


def test_unknown_token_is_refused_and_noted(caplog):
    assert ask("apb_unknown")[0] == 401
    assert "event=token_refused user= address=127.0.0.1 path=/api/orders/nothing reason=unknown" in caplog.text.replace(
        'user=""', "user="
    )
    assert "apb_unknown" not in caplog.text


def test_token_without_days_never_expires():
    tokens.create("shop")
    record = ApiToken.objects.get()
    assert (record.expires_at, record.is_expired) == (None, False)


def test_last_use_is_written_once_a_minute(monkeypatch):
    monkeypatch.setattr(tokens, "KNOWN_S", 0)
    token = tokens.create("shop")
    ask(token)
    first = ApiToken.objects.get().last_used_at
    assert first
    without = count_queries(lambda: ask(token))
    assert ApiToken.objects.get().last_used_at == first
    ApiToken.objects.update(last_used_at=timezone.now() - timedelta(seconds=61))
    assert count_queries(lambda: ask(token)) == without + 1
    assert ApiToken.objects.get().last_used_at > first


def test_deleted_token_is_refused_a_second_later_and_not_asked_for_each_time(monkeypatch):
    now = time.monotonic()
    monkeypatch.setattr(tokens.time, "monotonic", lambda: now)
    token = tokens.create("shop")
    assert ask(token)[0] == 404
    assert count_queries(lambda: tokens.find(token)) == 0
    ApiToken.objects.all().delete()
    now += 1
    assert ask(token)[0] == 401


def test_expired_token_is_not_used():
    token = tokens.create("shop", days=1)
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(days=1))
    ask(token)
    assert ApiToken.objects.get().last_used_at is None


def test_create_token_takes_days():
    out = StringIO()
    call_command("create_token", "shop", days=30, stdout=out)
    record = ApiToken.objects.get()
    assert timedelta(days=29) < record.expires_at - timezone.now() < timedelta(days=30, minutes=1)
    call_command("create_token", "shop", replace=True, stdout=out)
    assert ApiToken.objects.get().expires_at is None
    for days in (0, -1, 10**9):
        with pytest.raises(CommandError, match="--days"):
            call_command("create_token", "other", days=days)


def test_panel_makes_and_lists_tokens_with_an_end(admin_client: Client, caplog):
    made = admin_client.post("/admin/orders/apitoken/add/", {"name": "till", "days": "7"} | MAY_WRITE)
    token = ApiToken.objects.get()
    assert timedelta(days=6) < token.expires_at - timezone.now() < timedelta(days=7, minutes=1)
    assert "event=token_made" in caplog.text
    page = admin_client.get("/admin/orders/apitoken/").content.decode()
    assert "Last used" in page
    assert "Expires" in page
    for wrong in ("0", "-1", "x", "9" * 40):
        text = admin_client.post(
            "/admin/orders/apitoken/add/", {"name": "other", "days": wrong} | MAY_WRITE
        ).content.decode()
        assert f"Enter a whole number of days, from 1 to {tokens.MOST_DAYS}." in text, wrong
    assert admin_client.post("/admin/orders/apitoken/add/", {"name": "ever", "days": ""} | MAY_WRITE).status_code == 200
    assert ApiToken.objects.get(name="ever").expires_at is None
    assert made.status_code == 200
    admin_client.post(f"/admin/orders/apitoken/{token.pk}/delete/", {"post": "yes"})
    assert "event=token_revoked" in caplog.text
