"""An Idempotency-Key: what was done once is answered again, and not done again."""

import re
import threading
from datetime import timedelta

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.utils import timezone

from callbacks.models import Delivery
from orders.api import idempotency, tokens
from orders.intake import place
from orders.models import ApiToken, IdempotentAnswer, Order
from tests.factories import AffiliateFactory, callbacks_for
from tests.orders.api.asking import client, refused, send
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db

KEY = {"Idempotency-Key": "5f8a"}
ORDER = {"number": "#1", "amount": "58.00", "affiliate": "joe"}


def test_same_request_with_the_same_key_gets_the_same_answer() -> None:
    callbacks_for(AffiliateFactory(code="joe"), "https://tracker.example/")
    api = client()
    first = send(api, "POST", "/orders", ORDER, **KEY)
    assert (first.status_code, "Idempotency-Replayed" in first) == (201, False)
    Order.objects.all().delete()
    again = send(api, "POST", "/orders", ORDER, **KEY)
    assert (again.status_code, again.content, again["Idempotency-Replayed"]) == (201, first.content, "true")
    assert again["Content-Type"] == first["Content-Type"]
    assert not Order.objects.exists()


def test_same_key_with_another_request_is_refused() -> None:
    api = client()
    send(api, "POST", "/orders", ORDER, **KEY)
    assert refused(send(api, "POST", "/orders", ORDER | {"amount": "59.00"}, **KEY)) == (
        422,
        [("Idempotency-Key", "idempotency_key_reused")],
    )
    assert refused(send(api, "POST", "/orders/batch", ORDER, **KEY))[0] == 422
    assert str(Order.objects.get().amount) == "58.0000"


def test_key_of_one_token_is_not_that_of_another() -> None:
    send(client(), "POST", "/orders", ORDER, **KEY)
    ApiToken.objects.update(name="first")
    assert send(client(), "POST", "/orders", ORDER, **KEY).status_code == 200


def test_key_is_forgotten_after_a_day() -> None:
    api = client()
    send(api, "POST", "/orders", ORDER, **KEY)
    IdempotentAnswer.objects.update(created_at=timezone.now() - timedelta(hours=24, seconds=1))
    assert send(api, "POST", "/orders", ORDER | {"amount": "59.00"}, **KEY).status_code == 200
    assert IdempotentAnswer.objects.count() == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "\xe4"])
def test_key_that_cannot_be_kept_is_refused(key: str) -> None:
    response = send(client(), "POST", "/orders", ORDER, **{"Idempotency-Key": key})
    assert refused(response) == (422, [("Idempotency-Key", "invalid")])
    assert not Order.objects.exists()
    assert send(client(), "POST", "/orders", ORDER, **{"Idempotency-Key": "x" * 255}).status_code == 201


@pytest.mark.parametrize("key", ["a", "a b", "!~", "x" * 255, "a\x7f", "é", "x" * 256])
def test_key_is_taken_as_it_is_documented(key: str) -> None:
    documented = idempotency.DOCUMENTED["parameters"][0]["schema"]
    fits = len(key) <= documented["maxLength"] and re.search(documented["pattern"], key) is not None
    status = send(client(), "POST", "/orders", {"number": "#1", "amount": "1"}, **{"Idempotency-Key": key}).status_code
    assert status == (201 if fits else 422)


def test_refusal_is_repeated_and_an_error_of_ours_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    api = client()
    api.raise_request_exception = False
    assert send(api, "POST", "/orders", {"number": "#1"}, **KEY).status_code == 422
    assert send(api, "POST", "/orders", {"number": "#1"}, **KEY)["Idempotency-Replayed"] == "true"
    with monkeypatch.context() as broken:
        broken.setattr("orders.intake.place.place", lambda *_, **__: 1 / 0)
        assert send(api, "POST", "/orders", ORDER, **{"Idempotency-Key": "b"}).status_code == 500
    assert send(api, "POST", "/orders", ORDER, **{"Idempotency-Key": "b"}).status_code == 201


def test_stored_answer_is_for_who_may_ask_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "KNOWN_S", 0)
    api = client()
    send(api, "POST", "/orders", ORDER, **KEY)
    ApiToken.objects.update(scopes=["orders:read"])
    assert refused(send(api, "POST", "/orders", ORDER, **KEY)) == (403, [("", "missing_scope")])


def test_order_and_its_answer_are_stored_together_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    api = client()
    api.raise_request_exception = False

    def place_and_fail(incoming):
        real(incoming)
        raise ZeroDivisionError

    real = place.place
    monkeypatch.setattr("orders.intake.place.place", place_and_fail)
    assert send(api, "POST", "/orders", ORDER, **KEY).status_code == 500
    assert not Order.objects.exists()
    assert not IdempotentAnswer.objects.exists()


def test_answer_that_the_database_is_away_is_not_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    def place_and_lose(incoming):
        real(incoming)
        raise OperationalError("database is locked")

    real, api = place.place, client()
    with monkeypatch.context() as broken:
        broken.setattr("orders.intake.place.place", place_and_lose)
        assert send(api, "POST", "/orders", ORDER, **KEY).status_code == 503
    assert not Order.objects.exists()
    assert send(api, "POST", "/orders", ORDER, **KEY).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_token_that_was_deleted_a_moment_ago_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "KNOWN_S", 60)
    api = client()
    api.raise_request_exception = False
    assert send(api, "GET", "/orders/1").status_code == 404
    ApiToken.objects.all().delete()
    response = send(api, "POST", "/orders", ORDER, **KEY)
    assert refused(response) == (401, [("", "unauthorized")])
    assert "invalid_token" in response["WWW-Authenticate"]
    assert not Order.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_requests_at_once_are_done_once(monkeypatch: pytest.MonkeyPatch) -> None:
    callbacks_for(AffiliateFactory(code="joe"), "https://tracker.example/")
    api, real, entered, leave = client(), place.place, [], threading.Event()

    def place_slowly(incoming):
        entered.append(transaction.get_connection().in_atomic_block)
        assert leave.wait(10)
        return real(incoming)

    monkeypatch.setattr("orders.intake.place.place", place_slowly)
    answers = []

    def ask() -> None:
        try:
            answers.append(send(api, "POST", "/orders", ORDER, **KEY))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=ask) for _ in range(2)]
    threads[0].start()
    wait_until(lambda: entered, 10)
    threads[1].start()
    if connection.vendor == "postgresql":
        wait_until(_is_one_waiting, 10)
    leave.set()
    for thread in threads:
        thread.join(20)
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].content == answers[1].content
    assert sorted("Idempotency-Replayed" in answer for answer in answers) == [False, True]
    assert (entered, Order.objects.count(), Delivery.objects.count()) == ([True], 1, 1)


def _is_one_waiting() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        return bool(cursor.fetchone()[0])
