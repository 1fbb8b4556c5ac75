"""The routes of orders beside `POST /api/orders`: many at once, change, delete, list; orders of several shops."""

from typing import Any

import pytest
from django.test import Client

from callbacks.models import Delivery
from orders.intake import place
from orders.models import Order, Shop
from tests.factories import AffiliateFactory, OrderFactory, callbacks_for
from tests.orders.api.asking import client, problems, refused, send

pytestmark = pytest.mark.django_db


@pytest.fixture
def api() -> Client:
    return client("orders:write")


def shop(name: str) -> Shop:
    return Shop.objects.create(kind=Shop.Kind.SIGNED, name=name)


# --- many at once ----------------------------------------------------------------
def test_batch_answers_each_order_in_its_place_and_a_bad_one_spoils_no_other(api: Client) -> None:
    callbacks_for(AffiliateFactory(code="joe"), "https://tracker.example/")
    OrderFactory(number="#2", amount="1", currency="USD")
    orders = [
        {"number": "#1", "amount": "58.00", "affiliate": "joe"},
        {"number": "#2", "status": "approved"},
        {"number": "#3"},
        {"number": "#4", "amount": "1", "colour": "red"},
        "nonsense",
        {"number": "#5", "amount": "1", "shop": "nowhere"},
        {"number": "#6", "amount": "1", "affiliate": "nobody"},
        {"number": "#1", "amount": "60.00"},
        {"number": "#7", "amount": "1\ud800"},
        None,
    ]
    response = send(api, "POST", "/orders/batch", {"orders": orders})
    assert response.status_code == 200
    results = response.json()["results"]
    assert [result["status"] for result in results] == [201, 200, 422, 422, 422, 422, 201, 200, 422, 422]
    named = [result["errors"] for result in results if "errors" in result]
    assert [[(problem["field"], problem["code"]) for problem in errors] for errors in named] == [
        [("amount", "null")], [("colour", "unknown_field")], [("", "model_type")],
        [("shop", "unknown_shop")], [("amount", "invalid")], [("", "model_type")],
    ]  # fmt: skip
    assert results[0]["order"]["commission"] == "8.70"
    assert results[6]["order"]["warnings"][0]["code"] == "unknown_affiliate"
    assert results[7]["order"]["amount"] == "60.00"
    assert sorted(Order.objects.values_list("number", flat=True)) == ["#1", "#2", "#6"]
    assert [delivery.event for delivery in Delivery.objects.order_by("pk")] == ["order.created", "order.updated"]


def test_batch_of_more_than_a_thousand_is_refused(api: Client) -> None:
    response = send(api, "POST", "/orders/batch", {"orders": [{}] * 1001})
    assert refused(response) == (422, [("orders", "too_long")])
    assert send(api, "POST", "/orders/batch", {"orders": []}).json() == {"results": []}
    assert refused(send(api, "POST", "/orders/batch", {"orders": {}})) == (422, [("orders", "list_type")])
    assert refused(send(api, "POST", "/orders/batch", {"order": []}))[0] == 422


# --- what an order may say ---------------------------------------------------------
def test_order_keeps_what_else_is_said_of_it(api: Client) -> None:
    mine = shop("Tea")
    said = {
        "shop": "Tea", "coupon": ["joe10", "FREE"], "subtotal": "49.00", "refunded": 9.5, "items": 3,
        "customer_is_new": False, "ordered_at": "2026-03-14T10:30:00+01:00",
    }  # fmt: skip
    response = send(api, "POST", "/orders", {"number": "#1", "amount": "58.00"} | said)
    assert response.status_code == 201
    answer = response.json()
    assert {name: answer[name] for name in said} == {
        "shop": str(mine.uuid), "coupon": answer["coupon"], "subtotal": "49.00", "refunded": "9.50", "items": 3,
        "customer_is_new": False, "ordered_at": "2026-03-14T09:30:00Z",
    }  # fmt: skip
    assert send(api, "GET", "/orders/%231").json() == answer
    assert Order.objects.get().source == Order.Source.API


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("items", ["3", 1.5, -1, 10**400, True, [], 9_999_999_999]),
        ("customer_is_new", ["yes", 1, []]),
        ("ordered_at", ["2026-03-14", "2026-03-14T10:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-12:00",
                        1773480000, "x" * 10_000, "2026-13-01T00:00:00Z", "\ud800T"]),
        ("coupon", [5, [5], "x" * 300, ["a"] * 51, {}, "a," * 60]),
        ("subtotal", ["1e3", "NaN", True]),
        ("refunded", ["1_0", [], "-"]),
    ],
)  # fmt: skip
def test_order_field_that_does_not_fit_is_refused(api: Client, field: str, values: list[Any]) -> None:
    for value in values:
        response = send(api, "POST", "/orders", {"number": "#1", "amount": "1", field: value})
        assert (response.status_code, {name for name, _code in problems(response)}) == (422, {field}), value
    assert not Order.objects.exists()


def test_coupon_in_a_text_that_no_database_keeps_is_no_error(api: Client) -> None:
    for number, text in enumerate(("a\0b", "\ud800", " , ,", ["", " "])):
        response = send(api, "POST", "/orders", {"number": f"#{number}", "amount": "1", "coupon": text})
        assert response.status_code == (422 if text in ("a\0b", "\ud800") else 201), text


# --- several shops -----------------------------------------------------------------
def test_number_that_several_shops_have_asks_for_the_shop(api: Client) -> None:
    tea, coffee = shop("Tea"), shop("Coffee")
    for amount, where in (("1.00", tea.name), ("2.00", str(coffee.uuid))):
        assert send(api, "POST", "/orders", {"number": "A/1", "amount": amount, "shop": where}).status_code == 201
    for method in ("GET", "PATCH", "DELETE"):
        assert refused(send(api, method, "/orders/A/1", {})) == (409, [("shop", "several_shops")])
        assert refused(send(api, method, "/orders/A/1?shop=No", {})) == (422, [("shop", "unknown_shop")])
    assert send(api, "GET", "/orders/A/1?shop=Tea").json()["amount"] == "1.00"
    assert send(api, "PATCH", f"/orders/A/1?shop={coffee.uuid}", {"amount": "2.50"}).json()["amount"] == "2.50"
    assert refused(send(api, "GET", "/orders/A/1?shop=")) == (404, [("number", "not_found")])
    assert send(api, "POST", "/orders", {"number": "A/1", "amount": "3.00"}).status_code == 201
    assert send(api, "GET", "/orders/A/1").json()["amount"] == "3.00"  # as before there were shops
    assert send(api, "DELETE", "/orders/A/1?shop=").status_code == 204
    assert [order["amount"] for order in send(api, "GET", "/orders?shop=Coffee").json()["orders"]] == ["2.50"]
    assert send(api, "DELETE", "/orders/A/1?shop=Tea").status_code == 204
    assert send(api, "GET", "/orders/A/1").json()["amount"] == "2.50"


# --- change and delete -------------------------------------------------------------
def test_change_order_changes_what_is_named_only(api: Client) -> None:
    callbacks_for(AffiliateFactory(code="joe"), "https://tracker.example/")
    send(api, "POST", "/orders", {"number": "#1/2", "amount": "58.00", "affiliate": "joe"})
    response = send(api, "PATCH", "/orders/%231/2%20", {"status": "approved"})
    assert (response.status_code, response.json()["status"], response.json()["amount"]) == (200, "approved", "58.00")
    assert Delivery.objects.filter(event="order.updated").count() == 1
    assert refused(send(api, "PATCH", "/orders/%231/2", {"number": "#2"})) == (422, [("number", "unknown_field")])
    assert refused(send(api, "PATCH", "/orders/%23404", {"amount": "1"})) == (404, [("number", "not_found")])
    assert Order.objects.count() == 1


def test_delete_order_tells_the_tracker_that_it_is_rejected(api: Client) -> None:
    callbacks_for(AffiliateFactory(code="joe"), "https://tracker.example/")
    send(api, "POST", "/orders", {"number": "#1", "amount": "58.00", "affiliate": "joe"})
    response = send(api, "DELETE", "/orders/%231")
    assert (response.status_code, response.content) == (204, b"")
    assert not Order.objects.exists()
    told = Delivery.objects.get(event="order.updated").variables
    assert (told["order.number"], told["order.status"]) == ("#1", "rejected")
    assert refused(send(api, "DELETE", "/orders/%231")) == (404, [("number", "not_found")])


def test_order_that_is_deleted_meanwhile_is_not_found(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def find_and_lose(number: str) -> list[Order]:
        found = find_all(number)
        Order.objects.all().delete()
        return found

    find_all = place.find_all
    monkeypatch.setattr(place, "find_all", find_and_lose)
    OrderFactory(number="#1", amount="1")
    for method in ("PATCH", "DELETE"):
        assert refused(send(api, method, "/orders/%231", {"amount": "2"})) == (404, [("number", "not_found")])
    assert Order.objects.get().amount == 1  # what deleted it was in the transaction of the request


# --- list ----------------------------------------------------------------------------
def test_list_orders_goes_from_page_to_page_and_filters(api: Client) -> None:
    joe = AffiliateFactory(code="joe")
    for number in range(5):
        OrderFactory(number=f"#{number}", affiliate=joe if number % 2 else None, status="new" if number else "approved")
    seen, after = [], ""
    for _ in range(3):
        page = send(api, "GET", f"/orders?limit=2{after}").json()
        seen += [order["number"] for order in page["orders"]]
        after = f"&after={page['next']}"
    assert (seen, page["next"]) == (["#4", "#3", "#2", "#1", "#0"], None)

    def numbers(query: str) -> list[str]:
        return [order["number"] for order in send(api, "GET", f"/orders?{query}").json()["orders"]]

    assert numbers("affiliate=joe") == ["#3", "#1"]
    assert numbers("affiliate=nobody") == []
    assert numbers("status=approved") == ["#0"]
    assert numbers("since=2999-01-01T00:00:00Z") == []
    assert len(numbers("since=2020-01-01T00:00:00Z")) == 5


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=x", "limit=1e1", f"limit={10**400}", "after=x", f"after={10**30}", "after=-1",
     "status=paid", "since=yesterday", "since=0001-01-01T00:00:00Z", "shop=nowhere", "stauts=new",
     "since=%F0%9F%98%80T"],
)  # fmt: skip
def test_list_orders_condition_that_cannot_be_read_is_refused(api: Client, query: str) -> None:
    response = send(api, "GET", f"/orders?{query}")
    assert response.status_code == 422
    assert problems(response)
