"""Messages of a shop of one's own, signed by the public library of Standard Webhooks."""

import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from affiliates.models import Coupon
from orders.models import Message, Order, Shop
from tests.factories import AffiliateFactory
from tests.shop_messages import as_bytes, headers_of, make_shop, post, send, signed_by_library

pytestmark = pytest.mark.django_db
Outcome = Message.Outcome


@pytest.fixture
def shop() -> Shop:
    return make_shop("signed")


def outcome_of(shop: Shop, **body: Any) -> str:
    assert send(shop, body).status_code == 200
    return Message.objects.latest("pk").outcome


@pytest.mark.parametrize(("seconds", "status"), [(-299, 200), (299, 200), (-301, 401), (301, 401)])
def test_five_minutes_of_tolerance(shop: Shop, seconds: int, status: int, time_machine: Any) -> None:
    now = int(time.time())
    time_machine.move_to(now, tick=False)
    body = as_bytes({"number": "#1", "amount": "5.00"})
    signature = signed_by_library(shop.secret, "msg_1", now + seconds, body)
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(now + seconds), "webhook-signature": signature}
    assert post(shop.path, body, headers).status_code == status
    assert Order.objects.count() == (status == 200)


def test_one_right_signature_of_several_is_enough(shop: Shop) -> None:
    body = as_bytes({"number": "#1", "amount": "5.00"})
    headers = headers_of(shop, "", body)
    right = headers["webhook-signature"]
    for given, status in ((f"v1,AAAA v1a,{right[3:]} {right}", 200), (f"v2,{right[3:]}", 401), (right[3:], 401)):
        assert post(shop.path, body, headers | {"webhook-signature": given}).status_code == status


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_each_header_is_needed_and_signed(shop: Shop, name: str) -> None:
    body = as_bytes({"number": "#1", "amount": "5.00"})
    headers = headers_of(shop, "", body)
    assert post(shop.path, body, {other: value for other, value in headers.items() if other != name}).status_code == 401
    assert post(shop.path, body, headers | {name: f"{headers[name]}1"}).status_code == 401


def test_repetition_does_nothing(shop: Shop) -> None:
    body = as_bytes({"number": "#1", "amount": "5.00"})
    headers = headers_of(shop, "", body)
    assert [post(shop.path, body, headers).status_code for _again in range(2)] == [200, 200]
    assert Message.objects.count() == 1


def test_all_fields(shop: Shop) -> None:
    joe = AffiliateFactory(code="joe")
    outcome_of(
        shop, id="a-1", number="#1", amount=58.0, commission="8.70", currency="eur", status="approved",
        refunded="2.005",
        link="https://shop.example/?ref=joe&sub_id=fb&phone=1", subtotal="50.00", tax="3", shipping="5", items=3,
        created_at="2026-03-14T09:30:00Z", updated_at="2026-03-14T09:31:00Z", customer_is_new=True,
        customer={"email": joe.email, "name": "Joe"}, coupon=["A", {"code": "B"}], more={"x": "y"},
    )  # fmt: skip
    order = Order.objects.get()
    assert (order.external_id, order.number, order.amount, order.currency) == ("a-1", "#1", Decimal("58.00"), "EUR")
    assert (order.commission, order.status, order.refunded) == (Decimal("8.70"), "approved", Decimal("2.00"))
    assert (order.affiliate, order.link.url) == (joe, "https://shop.example/?ref=joe&sub_id=fb")
    assert (order.subtotal, order.items, order.customer_is_new, order.coupon) == (Decimal("50.00"), 3, True, "A,B")
    assert (order.is_self_referral, order.ordered_at) == (True, datetime(2026, 3, 14, 9, 30, tzinfo=UTC))
    assert outcome_of(shop, id="a-1", number="#1", amount="1.00", updated_at="2026-03-14T09:30:59Z") == Outcome.OLDER


def test_new_order_without_a_number_has_its_id(shop: Shop) -> None:
    assert outcome_of(shop, id="a-1", amount="5.00") == Outcome.CREATED
    assert outcome_of(shop, id="a-1", number="#1", status="paid") == Outcome.UPDATED
    assert list(Order.objects.values_list("number", "external_id")) == [("a-1", "a-1")]
    assert outcome_of(shop, id="a-2", status="paid") == Outcome.REFUSED


def test_names_of_goaffpro(shop: Shop) -> None:
    joe = AffiliateFactory(code="joe")
    Coupon.objects.create(affiliate=joe, code="TEN")
    goaffpro = {
        "id": 5, "number": "#5", "total": 58, "subtotal": 50, "discount": 5, "tax": 3, "shipping": 5, "currency": "USD",
        "date": "2026-03-14T09:30:00+01:00", "customer": {"first_name": "Bob", "email": "bob@x.example"},
        "status": "approved", "coupons": [{"code": "ten"}],
    }  # fmt: skip
    assert outcome_of(shop, **goaffpro) == Outcome.CREATED
    order = Order.objects.get()
    assert (order.external_id, order.amount, order.subtotal) == ("5", Decimal(58), Decimal(50))
    assert (order.affiliate, order.source, order.ordered_at.hour) == (joe, "coupon", 8)


def test_subtotal_is_what_is_left_without_tax_and_shipping(shop: Shop) -> None:
    outcome_of(shop, number="#1", amount="58.00", tax="3.00", shipping="5.00")
    assert Order.objects.get().subtotal == Decimal("50.00")
    outcome_of(shop, number="#2", amount="58.00")
    assert Order.objects.get(number="#2").subtotal is None


def test_what_is_left_out_stays(shop: Shop) -> None:
    joe = AffiliateFactory(code="joe")
    outcome_of(shop, number="#1", amount="58.005", currency="JPY", landing_url="/?ref=joe", coupon="A, B")
    assert outcome_of(shop, number="#1", status="paid", amount="60.4") == Outcome.UPDATED
    order = Order.objects.get()
    assert (order.affiliate, order.amount, order.currency, order.status) == (joe, Decimal(60), "JPY", "approved")
    assert (order.coupon, order.commission_given, order.source) == ("A,B", False, "link")
    assert outcome_of(shop, number="#1", affiliate="") == Outcome.UPDATED
    assert Order.objects.get().affiliate is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "names no order"), ({"amount": "5"}, "names no order"), ({"number": "#1"}, "needs an amount"),
        ({"number": "#1", "amount": "1e3"}, "amount must be a number"),
        ({"number": "#1", "amount": [5]}, "amount must be"),
        ({"number": "#1", "amount": "5", "refunded": "x"}, "refunded must be"),
        ({"number": "#1", "amount": "9" * 16}, "amount must be"),
        ({"number": "a@b.example", "amount": "5"}, "names no order"),
        ({"number": "..", "amount": "5"}, "dots"),
        ({"number": "#1", "amount": "5", "currency": "XXX1"}, "is not a currency"),
        ({"number": "#1", "amount": "5", "currency": 5}, "is not a currency"), ({"number": "#1", "amount": "5"}, None),
    ],
)  # fmt: skip
def test_what_is_refused_says_why(shop: Shop, body: Any, reason: str | None) -> None:
    assert (outcome_of(shop, **body) == Outcome.REFUSED) == (reason is not None)
    assert (reason or "") in Message.objects.get().reason


def test_status_in_any_letter_case(shop: Shop) -> None:
    outcome_of(shop, number="#1", amount="5.00", status="Approved")
    assert (Order.objects.get().status, Message.objects.get().reason) == ("approved", "")


def test_test_message_makes_no_order(shop: Shop) -> None:
    assert outcome_of(shop, number="#1", amount="5.00", test=True) == Outcome.TEST
