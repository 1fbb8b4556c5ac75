"""Bodies that no route of the API can use: refused in the one shape, and never an error of ours."""

import json
from typing import Any

import pytest

from affiliates.models import Affiliate
from callbacks.models import CallbackSetting
from orders.models import Order
from tests.factories import AffiliateFactory, OrderFactory
from tests.orders.api.asking import client, problems, send

pytestmark = pytest.mark.django_db

ROUTES = [
    ("POST", "/orders", {"number": "#1", "amount": "1"}),
    ("POST", "/orders/batch", {"orders": []}),
    ("PATCH", "/orders/%237", {"amount": "1"}),
    ("PUT", "/affiliates/joe", {"name": "Joe"}),
    ("PUT", "/affiliates/joe/callbacks/order.created", {"url": "https://tracker.example/"}),
]
UNREADABLE = [
    b"{", b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": 1, "a": 1}', b'{"a": "\xff"}', b"[" * 100_000, b'{"a": 01}',
    b'{"a": "\n"}', "{}".encode("utf-16"),
]  # fmt: skip
UNFIT: list[Any] = [[], "x", 5, None, {}, {"colour": 1}]
NONSENSE: list[Any] = [
    "\0", "\ud800", "x" * 100_000, None, [], {}, [[]], True, 2**53 + 1, 10**400, 1.5, -1, 1e308, ["\ud800"], [None],
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "good"), ROUTES)
def test_body_that_cannot_be_used_is_refused(method: str, path: str, good: dict[str, Any]) -> None:
    AffiliateFactory(code="joe")
    OrderFactory(number="#7")
    api = client()
    for body in UNREADABLE:
        response = send(api, method, path, body)
        assert (response.status_code, problems(response)) == (400, [("", "bad_json")]), body[:50]
    deep = b'{"a":' + b"[" * 200 + b"]" * 200 + b"}"
    assert send(api, method, path, deep).status_code == 422
    response = send(api, method, path, b" " * (10 * 2**20))
    assert (response.status_code, problems(response)) == (413, [("", "too_large")])
    for body in UNFIT:
        response = send(api, method, path, json.dumps(body))
        assert response.status_code in {200, 422}, body
        assert response.status_code == 422 or body == {}, body
        if not isinstance(body, dict | None):
            assert [problem["message"] for problem in response.json()["errors"]] == ["Send a JSON object."]
    assert send(api, method, path, b"\xef\xbb\xbf" + json.dumps(good).encode()).status_code < 300


@pytest.mark.parametrize(("method", "path", "good"), ROUTES)
def test_nonsense_in_a_field_is_no_error(method: str, path: str, good: dict[str, Any]) -> None:
    AffiliateFactory(code="joe")
    OrderFactory(number="#7")
    api = client()
    paths = api.get("/api/openapi.json").json()
    pattern = path.replace("%237", "{number}").replace("joe", "{code}").replace("order.created", "{event}")
    schema = paths["paths"][f"/api{pattern}"][method.lower()]["requestBody"]["content"]["application/json"]["schema"]
    fields = paths["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["properties"]
    for field in fields:
        for value in NONSENSE:
            response = send(api, method, path, good | {field: value})
            assert response.status_code in {200, 201, 422}, (field, str(value)[:20])


def test_nonsense_in_an_order_of_many_is_no_error() -> None:
    good = {"number": "#1", "amount": "1"}
    fields = ("number", "amount", "link", "affiliate", "coupon", "items", "ordered_at", "shop", "customer_is_new")
    orders = [good | {field: value} for field in fields for value in NONSENSE]
    answer = send(client(), "POST", "/orders/batch", {"orders": [*orders, *UNFIT]})
    assert {result["status"] for result in answer.json()["results"]} == {200, 201, 422}
    assert len(answer.json()["results"]) == len(orders) + len(UNFIT)
    assert Order.objects.exists()
    assert not Affiliate.objects.exists()
    assert not CallbackSetting.objects.exists()
