import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from callbacks.models import Delivery
from orders.intake import tokens
from orders.models import ApiToken, Order
from tests.factories import AffiliateFactory, OrderFactory, callbacks_for

pytestmark = pytest.mark.django_db


@pytest.fixture
def api() -> Client:
    return Client(headers={"authorization": f"Bearer {tokens.create('shop')}"})


def post(api: Client, **order: Any) -> Any:
    return api.post("/api/orders", json.dumps(order), content_type="application/json")


def problems(response: Any) -> list[tuple[str, str]]:
    return [(problem["field"], problem["code"]) for problem in response.json()["errors"]]


def test_place_order_new_is_made_and_told(api: Client) -> None:
    affiliate = AffiliateFactory(code="joe")
    callbacks_for(affiliate, "https://tracker.example/?o={{order.number}}")
    link = "https://shop.example/?ref=joe&sub_id=fb"
    response = post(api, number="#1", amount="58.00", currency="USD", link=link)
    assert response.status_code == 201
    assert response.json() == {
        "number": "#1", "amount": "58.00", "commission": "8.70", "currency": "USD", "status": "new",
        "affiliate": "joe", "link": link,
    }  # fmt: skip
    assert Delivery.objects.get().variables["link.sub_id"] == "fb"


def test_place_order_again_is_changed_or_left_alone(api: Client) -> None:
    callbacks_for(AffiliateFactory(code="joe"), "https://tracker.example/")
    assert post(api, number="#1", amount=58.10, affiliate="joe").status_code == 201
    assert post(api, number="#1", amount="58.1").status_code == 200
    assert Delivery.objects.count() == 1
    assert post(api, number="#1", status="approved").json()["status"] == "approved"
    assert Delivery.objects.count() == 2


def test_place_order_commission_null_goes_back_to_the_rate(api: Client) -> None:
    AffiliateFactory(code="joe")
    assert post(api, number="#1", amount="10", commission="9", affiliate="joe").json()["commission"] == "9.00"
    assert post(api, number="#1", commission=None).json()["commission"] == "1.50"


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({"amount": "1"}, [("number", "missing")]),
        ({"number": "#1"}, [("amount", "null")]),
        ({"number": "#1", "amount": "NaN"}, [("amount", "finite_number")]),
        ({"number": "#1", "amount": "1" * 30}, [("amount", "max_digits")]),
        ({"number": "#1", "amount": "1", "currency": "XYZ"}, [("currency", "unknown_currency")]),
        ({"number": "#1", "amount": "1", "status": "paid"}, [("status", "literal_error")]),
        ({"number": "#1", "amount": "1", "link": "nonsense"}, [("link", "bad_link")]),
        ({"number": "#1", "amount": "1", "affiliate": "nobody"}, [("affiliate", "unknown_affiliate")]),
        ({"number": "a\nb", "amount": "1"}, [("number", "control_character")]),
        ({"number": "\ud800", "amount": "1"}, [("number", "control_character")]),
        ({"number": "#1", "amount": "1", "affiliate": "a\0"}, [("affiliate", "control_character")]),
        ({"number": "#1", "amount": "1", "currency": "\ud800"}, [("currency", "unknown_currency")]),
        ({"number": "", "amount": "1"}, [("number", "blank")]),
    ],
)
def test_place_order_bad_field_is_refused_with_code_and_sentence(
    api: Client, order: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    response = post(api, **order)
    assert (response.status_code, problems(response)) == (422, expected)
    assert all(problem["message"] for problem in response.json()["errors"])
    assert not Order.objects.exists()


def test_place_order_body_that_is_no_json_is_a_plain_400(api: Client) -> None:
    assert api.post("/api/orders", "{", content_type="application/json").status_code == 400


@pytest.mark.parametrize("header", [{}, {"authorization": "Bearer wrong"}, {"authorization": "Basic x"}])
def test_place_order_without_token_is_refused(header: dict[str, str]) -> None:
    response = post(Client(headers=header), number="#1", amount="1")
    assert response.status_code == 401
    assert not Order.objects.exists()


def test_read_order_by_number_with_slash_and_hash(api: Client) -> None:
    OrderFactory(number="WC-2025/17")
    assert api.get("/api/orders/WC-2025/17").json()["number"] == "WC-2025/17"
    assert problems(api.get("/api/orders/%23404")) == [("number", "not_found")]


def test_docs_are_there_without_a_token() -> None:
    assert Client().get("/api/docs").status_code == 200
    assert "/api/orders" in Client().get("/api/openapi.json").json()["paths"]


def test_create_token_prints_it_once_and_keeps_a_digest() -> None:
    out = StringIO()
    call_command("create_token", "shop", stdout=out)
    token = out.getvalue().strip()
    assert tokens.find(token) == ApiToken.objects.get(name="shop")
    assert token not in ApiToken.objects.get().digest


def test_create_token_name_taken_is_refused_unless_replaced() -> None:
    old = tokens.create("shop")
    with pytest.raises(CommandError, match="--replace"):
        call_command("create_token", "shop")
    out = StringIO()
    call_command("create_token", "shop", "--replace", stdout=out)
    assert tokens.find(old) is None
    assert tokens.find(out.getvalue().strip()) is not None
