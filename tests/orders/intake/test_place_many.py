"""Many orders at once are what they would be one by one, and take few queries."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from affiliates.models import Coupon, Link
from callbacks.models import Delivery
from orders.intake import place as intake
from orders.intake.attribution import customer_hash
from orders.intake.incoming import IncomingOrder, IncomingRefund, Placed
from orders.intake.place import Result, place, place_many
from orders.models import Order, Refund, Shop
from tests.factories import AffiliateFactory, callbacks_for

pytestmark = pytest.mark.django_db

AT = datetime(2026, 3, 1, 10, tzinfo=UTC)
OMITTED = {"id", "created_at", "updated_at"}


@pytest.fixture
def shops() -> list[Shop | None]:
    joe, marta = AffiliateFactory(code="joe", email="joe@tracker.example"), AffiliateFactory(code="marta")
    callbacks_for(joe, "https://joe.example/")
    callbacks_for(marta, "https://marta.example/")
    Coupon.objects.create(affiliate=marta, code="M1")
    return [
        None,
        Shop.objects.create(
            kind="shopify", name="First", address="https://shop.example", leaves_out_self_referrals=True
        ),
        Shop.objects.create(kind="woocommerce", name="Second", first="coupon", commission_base="amount"),
    ]


def one_by_one(incoming: list[IncomingOrder]) -> list[Result]:
    return [intake._place_or_refuse(each) for each in incoming]


def what_is_stored() -> list[Any]:
    """All rows of orders, refunds and links, and what affiliates are told, without keys and times of ours."""
    names = [field.attname for field in Order._meta.concrete_fields if field.name not in OMITTED | {"link"}]
    told = Delivery.objects.values_list("order__number", "order__shop", "event", "affiliate__code")
    return [
        list(Order.objects.order_by("shop", "number").values_list("link__url", *names)),
        sorted(Refund.objects.values_list("order__number", "order__shop", "external_id", "amount"), key=str),
        sorted(Link.objects.values_list("affiliate__code", "url")),
        sorted(told, key=str),
    ]


def outcome(result: Result) -> Any:
    if isinstance(result, Placed):
        return result.is_new, result.is_changed, result.is_older, result.warnings, result.order.number
    if isinstance(result, ValidationError):
        return {name: [error.code for error in errors] for name, errors in result.error_dict.items()}
    return type(result)


def assert_same_both_ways(batches: list[list[IncomingOrder]]) -> None:
    found = []
    for way in (one_by_one, place_many):
        with transaction.atomic():
            results = [outcome(result) for batch in batches for result in way(batch)]
            found.append((results, what_is_stored()))
            transaction.set_rollback(True)
    assert found[0] == found[1]


REFUND = IncomingRefund("r1", Decimal(4))
FIELDS = {
    "number": st.sampled_from(["#1", "#2", " #2", "#3", "#4", "#5", ""]),
    "external_id": st.sampled_from(["", "1", "2", "3", "4", "\0"]),
    "amount": st.sampled_from([None, "10", "0", "x", Decimal("5.00")]),
    "subtotal": st.sampled_from([None, Decimal("3.999")]),
    "commission": st.sampled_from([None, "1.00", *[IncomingOrder().commission] * 3]),
    "status": st.sampled_from([None, "approved", "sold"]),
    "currency": st.sampled_from([None, None, "EUR", "XXXX"]),
    "refunds": st.sampled_from([None, (), (REFUND,)]),
    "new_refund": st.sampled_from([None, None, REFUND]),
    "updated_at": st.sampled_from([None, AT, AT + timedelta(seconds=1)]),
    "affiliate_code": st.sampled_from([None, None, None, "joe", "who", ""]),
    "link": st.sampled_from([None, None, "https://shop.example/?ref=joe", "x y", "https://shop.example/"]),
    "landing": st.sampled_from([None, "/?ref=joe&sub_id=1", "/?ref=MARTA", "/p", "/?ref=who"]),
    "coupons": st.sampled_from([None, (), ("m1",), ("X", "M1")]),
    "customer": st.sampled_from(["", "", customer_hash("joe@tracker.example")]),
    "source": st.sampled_from([None, Order.Source.API]),
}
BATCHES = st.lists(
    st.lists(st.tuples(st.sampled_from([0, 1, 1, 1, 2]), st.fixed_dictionaries(FIELDS)), max_size=6), max_size=2
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=BATCHES)
def test_place_many_is_what_each_would_be(shops: list[Shop | None], batches: list[list[Any]]) -> None:
    assert_same_both_ways([[IncomingOrder(shop=shops[shop], **fields) for shop, fields in batch] for batch in batches])


def orders(shop: Shop | None, count: int, **fields: Any) -> list[IncomingOrder]:
    urls = [f"https://shop.example/?ref={code}&sub_id={n}" for n in range(count // 2) for code in ("joe", "marta")]
    return [
        IncomingOrder(shop=shop, external_id=str(n), number=f"#{n}", amount="10", landing=urls[n], **fields)
        for n in range(count)
    ]


def queries(incoming: list[IncomingOrder]) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert all(isinstance(result, Placed) for result in place_many(incoming))
    return len([query for query in captured if not query["sql"].startswith("INSERT")])


def test_place_many_takes_as_many_queries_for_many(shops: list[Shop | None]) -> None:
    few = queries(orders(shops[1], 4))
    Order.objects.all().delete()
    assert queries(orders(shops[1], 40)) == few <= 14
    assert Order.objects.count() == Delivery.objects.filter(event="order.created").count() - 4 == 40
    assert queries(orders(shops[1], 40)) <= 4  # known, and unchanged


def test_place_many_that_the_database_refuses_together_are_placed_one_by_one(
    shops: list[Shop | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when another process makes one of them in between."""
    late = intake._find_many

    def and_then_another_makes_one(incoming: dict[int, IncomingOrder]) -> dict[int, Order]:
        found = late(incoming)
        place(incoming[1])
        return found

    monkeypatch.setattr(intake, "_find_many", and_then_another_makes_one)
    results = place_many(orders(shops[1], 4))
    assert [result.is_new for result in results if isinstance(result, Placed)] == [True, False, True, True]
    assert Order.objects.count() == Delivery.objects.filter(event="order.created").count() == 4
