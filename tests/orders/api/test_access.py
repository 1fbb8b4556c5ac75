"""Scopes of tokens, and how often a token may ask."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from config.api import api as the_api
from orders.api import rate_limit, tokens
from orders.models import ApiToken
from tests.orders.api.asking import client, problems, refused, send

pytestmark = pytest.mark.django_db

ROUTES = [
    ("POST", "/orders", "orders:write"),
    ("POST", "/orders/batch", "orders:write"),
    ("GET", "/orders", "orders:read"),
    ("GET", "/orders/1", "orders:read"),
    ("PATCH", "/orders/1", "orders:write"),
    ("DELETE", "/orders/1", "orders:write"),
    ("GET", "/affiliates", "affiliates:read"),
    ("GET", "/affiliates/joe", "affiliates:read"),
    ("PUT", "/affiliates/joe", "affiliates:write"),
    ("GET", "/affiliates/joe/callbacks/order.created", "callbacks:read"),
    ("PUT", "/affiliates/joe/callbacks/order.created", "callbacks:write"),
    ("DELETE", "/affiliates/joe/callbacks/order.created", "callbacks:write"),
    ("GET", "/deliveries", "deliveries:read"),
    ("POST", "/deliveries/0198c0de-0000-7000-8000-000000000000/resend", "deliveries:write"),
]


def test_every_route_is_tried_here() -> None:
    paths = the_api.get_openapi_schema(path_prefix="/api/")["paths"]
    assert sum(len(operations) for operations in paths.values()) == len(ROUTES)
    for operations in paths.values():
        for operation in operations.values():
            assert "Scope: `" in operation["description"]


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_route_needs_its_scope_and_the_problem_names_it(method: str, path: str, scope: str) -> None:
    others = [each for each in ApiToken.Scope.values if each.split(":")[0] != scope.split(":", maxsplit=1)[0]]
    reading = scope.replace("write", "read")
    for scopes in (others, [*others, reading]) if scope.endswith("write") else (others,):
        response = send(client(*scopes), method, path, {})
        assert refused(response) == (403, [("", "missing_scope")])
        assert scope in response.json()["errors"][0]["message"]
        assert f'scope="{scope}"' in response["WWW-Authenticate"]
    for scopes in ([scope], [scope.replace("read", "write")]):
        assert send(client(*scopes), method, path, {}).status_code not in {401, 403}


def test_create_token_takes_scopes_and_keeps_them_when_it_is_replaced() -> None:
    call_command("create_token", "shop", stdout=StringIO())
    assert ApiToken.objects.get().scopes == ["orders:write"]
    scopes = ["--scope", "deliveries:write", "--scope", "affiliates:read"]
    call_command("create_token", "tool", *scopes, stdout=StringIO())
    assert ApiToken.objects.get(name="tool").scopes == ["affiliates:read", "deliveries:write"]
    call_command("create_token", "tool", "--replace", stdout=StringIO())
    assert ApiToken.objects.get(name="tool").scopes == ["affiliates:read", "deliveries:write"]
    with pytest.raises(CommandError, match="orders:all"):
        call_command("create_token", "other", "--scope", "orders:all")


def test_panel_makes_a_token_with_scopes_and_lists_them(admin_client: Client) -> None:
    add, data = "/admin/orders/apitoken/add/", {"name": "tool"}
    assert 'value="orders:write" id="id_allowed_1" checked' in admin_client.get(add).content.decode()
    assert "errorlist" in admin_client.post(add, data | {"allowed": []}).content.decode()
    admin_client.post(add, data | {"allowed": ["callbacks:write", "orders:read"]})
    assert ApiToken.objects.get().scopes == ["callbacks:write", "orders:read"]
    page = admin_client.get("/admin/orders/apitoken/").content.decode()
    assert "Read and write callbacks" in page
    assert "Read and write orders" not in page


# --- how often -------------------------------------------------------------------
def test_more_requests_than_allowed_in_a_minute_are_told_when_to_come_back(settings, broker, monkeypatch) -> None:
    settings.API_RATE_LIMIT = 2
    monkeypatch.setattr(rate_limit, "_quiet_until", 0.0)
    monkeypatch.setattr(rate_limit, "_asked_and_left", {})
    monkeypatch.setattr("orders.api.rate_limit.time.time", lambda: 1_700_000_000 - 1_700_000_000 % 60 + 18)
    one, other = client(), Client(headers={"authorization": f"Bearer {tokens.create('other')}"})
    assert [send(one, "GET", "/orders/1").status_code for _ in range(2)] == [404, 404]
    response = send(one, "GET", "/orders/1")
    assert (refused(response), response["Retry-After"]) == ((429, [("", "too_many_requests")]), "42")
    assert send(other, "GET", "/orders/1").status_code == 404
    settings.API_RATE_LIMIT = 0
    assert send(one, "GET", "/orders/1").status_code == 404


def test_minute_has_as_many_requests_as_allowed_for_all_processes_together(settings, broker, monkeypatch) -> None:
    settings.API_RATE_LIMIT = 250
    monkeypatch.setattr(rate_limit, "_quiet_until", 0.0)
    monkeypatch.setattr(rate_limit, "_asked_and_left", {})
    monkeypatch.setattr("orders.api.rate_limit.time.time", lambda: 1_700_000_000 - 1_700_000_000 % 60 + 18)
    processes = [{}, {}, {}]

    def ask(number: int) -> int:
        monkeypatch.setattr(rate_limit, "_asked_and_left", processes[number % 3])
        return rate_limit.seconds_to_wait("token")

    waits = [ask(number) for number in range(300)]
    assert (waits.count(0), waits.count(42)) == (250, 50)
    assert not any(waits[:240])  # near the end what one process still has left is not another's
    monkeypatch.setattr("orders.api.rate_limit.time.time", lambda: 1_700_000_000 - 1_700_000_000 % 60 + 61)
    assert [ask(0), ask(0)] == [0, 0]
    assert len(processes[0]) == 1


def test_few_requests_are_counted_one_by_one(settings, broker, monkeypatch) -> None:
    """So a limit that is lowered counts what was asked before, and nothing else."""
    monkeypatch.setattr(rate_limit, "_quiet_until", 0.0)
    monkeypatch.setattr(rate_limit, "_asked_and_left", {})
    monkeypatch.setattr("orders.api.rate_limit.time.time", lambda: 1_700_000_000 - 1_700_000_000 % 60 + 18)
    settings.API_RATE_LIMIT = 30_000
    assert [rate_limit.seconds_to_wait("token") for _ in range(2)] == [0, 0]
    settings.API_RATE_LIMIT = 4
    assert [rate_limit.seconds_to_wait("token") for _ in range(3)] == [0, 0, 42]


def test_threads_that_ask_the_broker_first_and_at_once_are_answered(settings, broker, monkeypatch) -> None:
    settings.API_RATE_LIMIT = 1_000_000
    monkeypatch.setattr(rate_limit, "_quiet_until", 0.0)
    monkeypatch.setattr(rate_limit, "_asked_and_left", {})
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(16) as threads:
            for token in range(100):
                rate_limit._valkey.cache_clear()
                rate_limit._quiet_until = 0.0  # one may have had to wait for too long
                assert set(threads.map(rate_limit.seconds_to_wait, map(str, range(16 * token, 16 * token + 16)))) == {0}
    finally:
        sys.setswitchinterval(interval)


def test_request_with_an_idempotency_key_counts_once(settings, broker, monkeypatch) -> None:
    settings.API_RATE_LIMIT = 1
    monkeypatch.setattr(rate_limit, "_quiet_until", 0.0)
    monkeypatch.setattr(rate_limit, "_asked_and_left", {})
    api = client()
    body = {"number": "#1", "amount": "1"}
    assert send(api, "POST", "/orders", body, **{"Idempotency-Key": "a"}).status_code == 201
    assert problems(send(api, "POST", "/orders", body, **{"Idempotency-Key": "a"})) == [("", "too_many_requests")]


def test_broker_that_is_away_limits_nobody_and_is_not_asked_each_time(settings, monkeypatch) -> None:
    settings.REDIS_URL, settings.API_RATE_LIMIT = "redis://127.0.0.1:1/0", 1
    monkeypatch.setattr(rate_limit, "_quiet_until", 0.0)
    monkeypatch.setattr(rate_limit, "_asked_and_left", {})
    rate_limit._valkey.cache_clear()
    try:
        assert [rate_limit.seconds_to_wait("token") for _ in range(3)] == [0, 0, 0]
        assert rate_limit._quiet_until > time.monotonic()
    finally:
        rate_limit._valkey.cache_clear()
        rate_limit._quiet_until = 0.0
