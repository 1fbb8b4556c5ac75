"""Orders of shops at `place`: which row a message is about, which message is older, and what refunds do."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from affiliates.models import Affiliate
from callbacks.models import Delivery
from orders.intake import place as intake
from orders.intake.incoming import IncomingOrder, IncomingRefund, Placed
from orders.intake.place import UnknownOrderError, find_all, place
from orders.models import Order, Refund, Shop
from tests.factories import AffiliateFactory, callbacks_for
from tests.queries import count_queries

pytestmark = pytest.mark.django_db

AT = datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.fixture
def shop() -> Shop:
    return Shop.objects.create(kind=Shop.Kind.SHOPIFY, name="First", address="https://shop.example")


@pytest.fixture
def joe() -> Affiliate:
    affiliate = AffiliateFactory(code="joe", commission_rate=Decimal("0.10"))
    callbacks_for(affiliate, "https://tracker.example/")
    return affiliate


def placed(shop: Shop | None, external_id: str = "11", number: str = "#1", **fields: Any) -> Placed:
    return place(IncomingOrder(shop=shop, external_id=external_id, number=number, **fields))


def refund(key: str, amount: str) -> IncomingRefund:
    return IncomingRefund(key, Decimal(amount))


def events() -> list[tuple[str, str, str]]:
    """What the affiliate is told, in order."""
    return [
        (row.event.removeprefix("order."), row.variables["order.status"], row.variables["order.amount"])
        for row in Delivery.objects.order_by("pk")
    ]


# --- which row -----------------------------------------------------------------
def test_place_message_is_about_the_order_with_its_external_id_whose_number_stays(shop: Shop) -> None:
    placed(shop, amount="5")
    again = placed(shop, number="#renamed", status="approved")
    order = Order.objects.get()
    assert (again.is_new, order.number, order.status, order.external_id) == (False, "#1", "approved", "11")


def test_place_row_without_external_id_is_adopted_by_its_number(shop: Shop) -> None:
    placed(shop, external_id="", amount="5")
    assert not placed(shop, status="approved").is_new
    assert Order.objects.get().external_id == "11"


def test_place_number_of_an_order_with_another_external_id_is_refused(shop: Shop) -> None:
    placed(shop, amount="5")
    with pytest.raises(ValidationError) as caught:
        placed(shop, external_id="12", amount="6")
    assert {name: [e.code for e in errors] for name, errors in caught.value.error_dict.items()} == {
        "number": ["number_taken"]
    }
    assert Order.objects.get().amount == 5


def test_place_same_number_and_id_in_another_shop_or_in_none_is_another_order(shop: Shop) -> None:
    other = Shop.objects.create(kind=Shop.Kind.SHOPIFY, name="Second")
    assert all(placed(at, amount="5").is_new for at in (shop, other, None))
    assert find_all("#1") == [Order.objects.get(shop=None)]
    Order.objects.get(shop=None).delete()
    assert {order.shop for order in find_all(" #1")} == {shop, other}
    Order.objects.get(shop=other).delete()
    assert [order.shop for order in find_all("#1")] == [shop]
    assert find_all("#2") == find_all("\0") == []


@pytest.mark.parametrize("key", ["404", "\0", "\ud800", "9" * 65])
def test_place_unknown_order_by_its_external_id_alone_is_no_order(shop: Shop, key: str) -> None:
    with pytest.raises(UnknownOrderError):
        placed(shop, external_id=key, number="", status="rejected")
    assert not Order.objects.exists()


def test_place_known_order_by_its_external_id_alone_is_changed(shop: Shop) -> None:
    placed(shop, amount="5")
    assert placed(shop, number="", status="rejected").order.status == "rejected"


def test_place_external_id_that_no_column_can_hold_is_refused(shop: Shop) -> None:
    with pytest.raises(ValidationError) as caught:
        placed(shop, external_id="9" * 65, amount="5")
    assert list(caught.value.error_dict) == ["external_id"]


def test_place_keeps_what_is_not_said(shop: Shop) -> None:
    said = {
        "ordered_at": AT,
        "items": 3,
        "customer_is_new": True,
        "coupons": ("A", "b"),
        "subtotal": "4",
        "currency": "EUR",
    }
    placed(shop, amount="5", **said)
    order = placed(shop, status="approved").order
    order.refresh_from_db()
    assert (order.ordered_at, order.items, order.customer_is_new, order.coupon) == (AT, 3, True, "A,b")
    assert (order.subtotal, order.currency, order.amount) == (4, "EUR", 5)


def test_order_of_a_shop_with_a_number_that_is_taken_is_refused_beside_the_number(shop: Shop) -> None:
    placed(shop, amount="5")
    with pytest.raises(ValidationError) as caught:
        Order(shop=shop, number="#1", external_id="11", amount=1).full_clean()
    assert {name: [e.code for e in errors] for name, errors in caught.value.error_dict.items()} == {
        "number": ["unique"],
        "external_id": ["unique"],
    }
    Order(number="#1", amount=1).full_clean()


def test_place_order_that_another_process_makes_in_between_is_changed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed(shop, amount="5")
    found = [None, Order.objects.get()]  # not committed yet when it is looked for first
    monkeypatch.setattr(intake, "find", lambda *_, **__: found.pop(0))
    result = placed(shop, amount="6")
    assert (result.is_new, Order.objects.get().amount) == (False, 6)


def test_place_takes_few_queries(shop: Shop, joe: Affiliate) -> None:
    from_shop = {"shop": shop, "landing": "/?ref=joe", "coupons": (), "refunds": (), "updated_at": AT}
    by_api = {"link": "https://shop.example/?ref=joe", "commission": None}
    for said, most in ((from_shop, 9), (by_api, 8)):  # with 2 for a savepoint, 2 for the delivery
        keys = [{"number": f"#{n}", "external_id": str(n) if said is from_shop else ""} for n in range(2)]
        first, second = (IncomingOrder(amount="58.00", **key, **said) for key in keys)
        place(first)
        assert count_queries(lambda incoming=second: place(incoming)) <= most
        assert count_queries(lambda incoming=second: place(incoming)) <= 4  # its savepoint, and the order by its key
    assert Order.objects.count() == 4


# --- which message is older ------------------------------------------------------
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("updated", "triggered", "is_older"),
    [
        (AT - SECOND, None, True),
        (AT - SECOND, AT + SECOND, True),
        (AT + SECOND, AT - SECOND, False),
        (AT, AT, False),  # the same again
        (AT, AT - timedelta(microseconds=1), True),
        (AT, AT + timedelta(microseconds=1), False),
        (AT, None, False),
        (None, AT - SECOND, False),
    ],
)
def test_place_older_message_changes_nothing(
    shop: Shop, updated: datetime | None, triggered: datetime | None, is_older: bool
) -> None:
    placed(shop, amount="5", updated_at=AT, triggered_at=AT)
    result = placed(shop, amount="6", updated_at=updated, triggered_at=triggered)
    assert (result.is_older, result.is_changed) == (is_older, not is_older)
    assert Order.objects.get().amount == (5 if is_older else 6)


def test_place_trigger_in_the_future_decides_nothing_and_is_not_stored(shop: Shop) -> None:
    future = timezone.now() + timedelta(minutes=6)
    placed(shop, amount="5", updated_at=AT, triggered_at=future)
    assert Order.objects.get().source_triggered_at is None
    placed(shop, amount="6", updated_at=AT, triggered_at=AT)
    assert placed(shop, amount="7", updated_at=AT, triggered_at=future).order.amount == 7
    order = Order.objects.get()
    assert (order.amount, order.source_updated_at, order.source_triggered_at) == (7, AT, AT)


def test_place_change_in_the_future_hinders_no_later_one(shop: Shop) -> None:
    """A shop whose clock is ahead, and then is set right."""
    placed(shop, amount="5", updated_at=timezone.now() + timedelta(days=3))
    assert Order.objects.get().source_updated_at <= timezone.now()
    assert placed(shop, amount="6", updated_at=timezone.now() + timedelta(days=2)).is_changed
    assert placed(shop, amount="7", updated_at=timezone.now()).is_changed
    assert placed(shop, amount="8", updated_at=AT).is_older
    ahead = timezone.now() + timedelta(minutes=4)
    placed(shop, amount="9", updated_at=ahead)
    order = Order.objects.get()
    assert (order.amount, order.source_updated_at) == (9, ahead)


def test_place_trigger_of_an_earlier_change_does_not_outlive_it(shop: Shop) -> None:
    placed(shop, amount="5", updated_at=AT, triggered_at=AT + 9 * SECOND)
    placed(shop, amount="6", updated_at=AT + SECOND)
    placed(shop, amount="7", updated_at=AT + SECOND, triggered_at=AT + 2 * SECOND)
    assert Order.objects.get().amount == 7


def test_place_updated_before_created_makes_the_order_once(shop: Shop, joe: Affiliate) -> None:
    placed(shop, amount="6", status="approved", landing="/?ref=joe", updated_at=AT + SECOND)
    assert placed(shop, amount="5", status="new", landing="/?ref=joe", updated_at=AT).is_older
    assert events() == [("created", "approved", "6.00")]


# --- refunds ---------------------------------------------------------------------
def test_place_partial_refund_lowers_amount_and_commission_in_one_updated(shop: Shop, joe: Affiliate) -> None:
    said = {"landing": "/?ref=joe", "subtotal": "597.00", "amount": "598.94"}
    placed(shop, status="approved", **said)
    said |= {"amount": "199.65", "subtotal": "195.67", "refunds": (refund("1", "209.00"), refund("2", "190.29"))}
    order = placed(shop, status="approved", **said).order
    order.refresh_from_db()
    assert (order.amount, order.commission, order.refunded) == (Decimal("199.65"), Decimal("19.57"), Decimal("399.29"))
    assert events() == [("created", "approved", "598.94"), ("updated", "approved", "199.65")]
    assert not placed(shop, status="approved", **said).is_changed
    assert (Refund.objects.count(), len(events())) == (2, 2)


def test_place_new_refund_lowers_once_and_the_next_full_order_overwrites(shop: Shop, joe: Affiliate) -> None:
    placed(shop, amount="100", subtotal="90", landing="/?ref=joe")
    for _again in range(2):
        order = placed(shop, number="", new_refund=refund("1", "30")).order
        order.refresh_from_db()
        assert (order.amount, order.subtotal, order.commission_on, order.refunded) == (70, 60, 60, 30)
        assert order.commission == 6
    assert events() == [("created", "new", "100.00"), ("updated", "new", "70.00")]
    placed(shop, amount="75", subtotal="66", refunds=(refund("1", "25"),))
    order.refresh_from_db()
    assert (order.amount, order.refunded, Refund.objects.get().amount) == (75, 25, 25)
    assert len(events()) == 3


@pytest.mark.parametrize("amount", ["100", "130"])
def test_place_full_refund_is_rejected_and_never_below_zero(shop: Shop, joe: Affiliate, amount: str) -> None:
    placed(shop, amount="100", subtotal="90", status="approved", landing="/?ref=joe")
    placed(shop, number="", new_refund=refund("1", amount))
    order = Order.objects.get()
    assert (order.amount, order.subtotal, order.commission, order.status) == (0, 0, 0, "rejected")
    assert events()[1:] == [("updated", "rejected", "0.00")]


def test_place_full_order_of_nothing_with_refunds_is_rejected(shop: Shop) -> None:
    placed(shop, amount="0", status="approved")
    assert Order.objects.get().status == "approved"  # nothing to pay is no refund
    placed(shop, amount="0", status="approved", refunds=(refund("1", "100"),))
    assert Order.objects.get().status == "rejected"


def test_place_refunds_that_are_no_longer_listed_are_deleted(shop: Shop) -> None:
    placed(shop, amount="70", status="approved", refunds=(refund("1", "20"), refund("2", "10")))
    placed(shop, amount="90", status="approved", refunds=(refund("2", "10"),))
    order = Order.objects.get()
    assert (order.refunded, [row.external_id for row in order.refunds.all()]) == (10, ["2"])
    placed(shop, amount="100", status="approved", refunds=())
    order.refresh_from_db()
    assert (order.refunded, order.refunds.count()) == (0, 0)


def test_place_refunds_that_are_no_longer_listed_are_deleted_though_the_sum_is_given(shop: Shop) -> None:
    placed(shop, amount="70", refunds=(refund("1", "30"),))
    placed(shop, amount="100", refunded="0", refunds=())
    order = Order.objects.get()
    assert (order.refunded, order.refunds.count()) == (0, 0)


def test_place_refunded_that_is_given_is_kept(shop: Shop) -> None:
    placed(shop, amount="70", refunded="35", refunds=(refund("1", "30"),))
    assert Order.objects.get().refunded == 35


def test_place_negative_order_is_not_raised_by_a_refund(shop: Shop) -> None:
    placed(shop, amount="-5")
    placed(shop, number="", new_refund=refund("1", "30"))
    assert Order.objects.get().amount == -5


@pytest.mark.parametrize(
    "bad", [refund("1" * 65, "1"), refund("\0", "1"), refund("1", "NaN"), refund("1", "-1"), refund("1", "1e40")]
)
def test_place_refund_that_no_row_can_hold_is_refused(shop: Shop, bad: IncomingRefund) -> None:
    with pytest.raises(ValidationError) as caught:
        placed(shop, amount="5", refunds=(bad,))
    assert list(caught.value.error_dict) == ["refunds"]
    assert not Order.objects.exists()


# --- what the commission is computed from ------------------------------------------
@pytest.mark.parametrize(("base", "commission"), [("subtotal", "5.00"), ("amount", "5.80")])
def test_place_commission_is_of_the_shops_base(shop: Shop, joe: Affiliate, base: str, commission: str) -> None:
    shop.commission_base = base
    order = placed(shop, amount="58.00", subtotal=Decimal("50.00001"), landing="/?ref=joe").order
    order.refresh_from_db()
    assert (order.commission, order.subtotal) == (Decimal(commission), 50)


def test_place_amount_without_subtotal_is_what_the_commission_is_of(shop: Shop, joe: Affiliate) -> None:
    placed(shop, amount="58", subtotal="50", landing="/?ref=joe")
    order = placed(shop, amount="40").order
    assert (order.commission, order.subtotal, order.commission_on) == (4, None, None)


@pytest.mark.parametrize(
    ("currency", "amount", "refused"),
    [
        ("JPY", "1200", None),
        ("JPY", "1200.5", "too_many_decimals"),
        ("KWD", "1.005", None),
        ("KWD", "1.0005", "too_many_decimals"),
        ("BTC", "1", "unknown_currency"),
    ],
)
def test_place_amount_is_in_the_digits_of_its_currency(
    shop: Shop, currency: str, amount: str, refused: str | None
) -> None:
    totals = {"amount": amount, "subtotal": Decimal("0.33335"), "refunds": (refund("1", "0.33335"),)}
    try:
        order = placed(shop, currency=currency, **totals).order
    except ValidationError as error:
        codes = [each.code for errors in error.error_dict.values() for each in errors]
        assert codes[0] == refused
    else:
        order.refresh_from_db()
        digits = {"JPY": Decimal(0), "KWD": Decimal("0.333")}[currency]
        assert (refused, order.amount, order.subtotal, order.refunded) == (None, Decimal(amount), digits, digits)
