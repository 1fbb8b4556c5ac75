import importlib
import time
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import F

from callbacks.models import Delivery
from orders.models import Order
from tests.factories import AffiliateFactory, CallbackSettingFactory, LinkFactory, OrderFactory
from tests.queries import count_queries

pytestmark = pytest.mark.django_db


def codes(error: ValidationError) -> dict[str, list[str | None]]:
    return {name: [e.code for e in errors] for name, errors in error.error_dict.items()}


def assert_as_in_row(order: Order) -> None:
    """What is in memory is what is in the row, and `after` says the same."""
    row = Order.objects.get(pk=order.pk)
    names = [field.attname for field in Order._meta.concrete_fields]
    assert {name: getattr(order, name) for name in names} == {name: getattr(row, name) for name in names}
    assert order.after == row.current_state()


# --- commission --------------------------------------------------------------
@pytest.mark.parametrize(
    ("amount", "rate", "currency", "commission"),
    [
        ("58.00", "0.15", "USD", "8.70"),
        ("0.30", "0.15", "USD", "0.04"),  # 0.045 rounds to the even cent
        ("0.50", "0.15", "USD", "0.08"),  # 0.075 too
        ("1250", "0.05", "JPY", "62"),  # 62.5
        ("-58.00", "0.15", "EUR", "-8.70"),
        ("1.000", "0.0015", "KWD", "0.002"),  # 0.0015 rounds to the even fils
    ],
)
def test_commission_not_given_is_the_rate_of_the_amount(amount: str, rate: str, currency: str, commission: str) -> None:
    affiliate = AffiliateFactory(commission_rate=Decimal(rate))
    order = OrderFactory(affiliate=affiliate, amount=Decimal(amount), currency=currency)
    order.refresh_from_db()
    assert order.commission == Decimal(commission)


def test_commission_given_stays_when_the_amount_changes() -> None:
    order = OrderFactory(amount=Decimal("58.00"), commission=Decimal(5))
    order.amount = Decimal(100)
    order.save()
    order.refresh_from_db()
    assert order.commission == Decimal(5)


def test_commission_given_later_stays_from_then_on() -> None:
    order = OrderFactory(amount=Decimal("58.00"))
    order.commission = Decimal("1.50")
    order.save(update_fields=["commission"])
    order = Order.objects.get()
    order.amount = Decimal(100)
    order.save()
    assert Order.objects.get().commission == Decimal("1.50")


def test_commission_taken_back_follows_the_rate_again() -> None:
    order = OrderFactory(amount=Decimal("58.00"), commission=Decimal(1))
    order.commission = None
    order.save()
    order.amount = Decimal(10)
    order.save()
    assert Order.objects.get().commission == Decimal("1.50")


@pytest.mark.parametrize("rate", ["0.15", 0.15, Decimal("0.15")])
def test_commission_rate_given_as_another_type_is_the_same_rate(rate: Any) -> None:
    assert OrderFactory(affiliate=AffiliateFactory(commission_rate=rate)).commission == Decimal("8.70")


def test_commission_without_affiliate_is_zero() -> None:
    assert OrderFactory(affiliate=None).commission == 0


# --- the rate that an order was made with --------------------------------------
def with_rate(order: Order, rate: str) -> Order:
    """The order as it is read again after its affiliate has got another rate."""
    order.affiliate.commission_rate = Decimal(rate)
    order.affiliate.save()
    return Order.objects.get(pk=order.pk)


def test_partial_refund_keeps_the_rate_that_the_order_was_made_with() -> None:
    order = OrderFactory(amount=100, affiliate=AffiliateFactory(commission_rate=Decimal("0.10")))
    order = with_rate(order, "0.05")
    order.amount = Decimal(80)
    order.save()
    assert Order.objects.get().commission == Decimal("8.00")


def test_partial_refund_of_an_order_that_was_created_in_bulk_keeps_its_rate() -> None:
    affiliate = AffiliateFactory(commission_rate=Decimal("0.10"))
    [order] = Order.objects.bulk_create([Order(number="#1", affiliate=affiliate, amount=100)])
    order = with_rate(order, "0.05")
    order.amount = Decimal(80)
    order.save(update_fields=["amount"])
    assert Order.objects.get().commission == Decimal("8.00")


def test_another_currency_and_a_commission_taken_back_keep_the_rate() -> None:
    order = OrderFactory(amount=100, commission=3, affiliate=AffiliateFactory(commission_rate=Decimal("0.10")))
    order = with_rate(order, "0.05")
    order.currency, order.commission = "JPY", None
    order.save()
    assert Order.objects.get().commission == Decimal(10)


def test_order_given_to_another_affiliate_takes_their_rate() -> None:
    order = OrderFactory(amount=100)
    order.affiliate = AffiliateFactory(commission_rate=Decimal("0.02"))
    order.save()
    assert (order.commission, order.commission_rate) == (Decimal(2), Decimal("0.02"))
    order.affiliate = None
    order.save()
    assert (order.commission, order.commission_rate) == (0, None)
    assert_as_in_row(order)


def test_order_that_gets_its_affiliate_later_takes_their_rate_of_then() -> None:
    order = OrderFactory(amount=100, affiliate=None)
    order.affiliate = AffiliateFactory(commission_rate=Decimal("0.02"))
    order.save()
    order = with_rate(order, "0.05")
    order.amount = 50
    order.save()
    assert order.commission == Decimal(1)


@pytest.mark.parametrize(
    ("amount", "commission", "refunded", "expected"),
    [
        ("100", "10.00", "80", "8.00"),  # made at 10 %, which nothing says but the order itself
        ("100", "5.00", "80", "4.00"),  # made at the rate of today
        ("0", "0", "80", "4.00"),  # nothing is known
        ("100", "150.00", "80", "4.00"),  # no rate makes that
        ("-100", "-10.00", "-80", "-8.00"),
    ],
)
def test_order_from_before_rates_were_kept_takes_its_share(
    amount: str, commission: str, refunded: str, expected: str
) -> None:
    order = OrderFactory(amount=amount, affiliate=AffiliateFactory(commission_rate=Decimal("0.05")))
    Order.objects.update(commission=commission, commission_given=False, commission_rate=None)
    order = Order.objects.get(pk=order.pk)
    order.amount = refunded
    order.save()
    assert Order.objects.get().commission == Decimal(expected)
    assert_as_in_row(order)


def test_migration_fills_in_the_rates_that_are_certain() -> None:
    affiliate = AffiliateFactory(commission_rate=Decimal("0.10"))
    for number, fields in {
        "today": {"commission": 10},
        "other": {"commission": 5},
        "given": {"commission": 10, "commission_given": True},
        "nobody": {"affiliate": None, "commission": 0},
    }.items():
        order = OrderFactory(number=number, amount=100, affiliate=affiliate)
        Order.objects.filter(pk=order.pk).update(commission_rate=None, **({"commission_given": False} | fields))
    importlib.import_module("orders.migrations.0003_commission_rate").fill(apps, SimpleNamespace(connection=connection))
    rates = dict(Order.objects.values_list("number", "commission_rate"))
    assert rates == {"today": Decimal("0.10"), "other": None, "given": None, "nobody": None}


def test_release_before_this_one_can_still_insert_orders() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO orders_order (number, amount, commission, commission_given, currency, status, created_at, "
            "updated_at) VALUES ('#old', 5, 0, %s, 'USD', 'new', '2026-11-01 12:00:00+00', '2026-11-01 12:00:00+00')",
            [False],
        )
    order = Order.objects.get()
    assert (order.commission_rate, order.no_affiliate_reason, order.referral_given) == (None, "", "")


# --- numbers -------------------------------------------------------------------
BLANKS = [
    " ",
    "\t",
    "\n",
    "\u00a0",
    "\u2003",
    "\u3000",
    "\u200b",
    "\u200e",
    "\u2060",
    "\ufeff",
    "\u00ad",
    "\u2800",
    "\u3164",
]


@pytest.mark.parametrize("blank", BLANKS)
def test_number_loses_blanks_at_its_ends_at_every_door(blank: str) -> None:
    order = Order(number=f"{blank}#1{blank}", amount=1, commission=0)
    order.full_clean()
    assert order.number == "#1"
    saved = OrderFactory(number=f"{blank}#{blank}2{blank}")
    assert (saved.number, saved.after.number) == (f"#{blank}2", f"#{blank}2")
    assert_as_in_row(saved)
    [made] = Order.objects.bulk_create([Order(number=f"#3{blank}", amount=1)])
    assert Order.objects.get(pk=made.pk).number == "#3"
    made.number = f"{blank}#4"
    made.save(update_fields=["number"])
    assert Order.objects.get(pk=made.pk).number == "#4"


@pytest.mark.parametrize("blank", BLANKS)
def test_number_of_blanks_alone_is_refused_at_every_door(blank: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Order(number=blank * 3, amount=1, commission=0).full_clean()
    assert codes(caught.value) == {"number": ["blank"]}
    with pytest.raises(IntegrityError), transaction.atomic():
        OrderFactory(number=blank)
    with pytest.raises(IntegrityError), transaction.atomic():
        Order.objects.bulk_create([Order(number=blank, amount=1)])


def test_number_of_a_row_from_before_stays() -> None:
    order = OrderFactory(number="#1")
    Order.objects.update(number="#1 ")
    order = Order.objects.get(pk=order.pk)
    order.amount = 5
    order.save()
    assert Order.objects.get().number == "#1 "
    assert_as_in_row(order)


@pytest.mark.parametrize("number", [".", "..", " . "])
def test_number_of_dots_alone_is_refused(number: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Order(number=number, amount=1, commission=0).full_clean()
    assert codes(caught.value) == {"number": ["dots_only"]}


@pytest.mark.parametrize("amount", ["1_000", "\u0661\u0662", "\uff11", "1e3", " 5", "+5", "1" * 2_000_000, ""])
def test_amount_that_is_no_plain_decimal_is_refused_at_every_door(amount: str) -> None:
    began_at = time.thread_time()
    for attempt in (
        Order(number="#1", amount=amount, commission=0).full_clean,
        Order(number="#1", amount=amount).save,
        lambda: Order.objects.bulk_create([Order(number="#1", amount=amount)]),
    ):
        with pytest.raises(ValidationError):
            attempt()
    assert time.thread_time() - began_at < 1


# --- before and after --------------------------------------------------------
def test_save_of_a_new_order_has_no_before() -> None:
    order = OrderFactory()
    assert order.before is None
    assert order.after is not None
    assert order.after.amount == Decimal(58)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("58", Decimal(58)),
        ("58.10", Decimal("58.1")),
        (58, Decimal(58)),
        (0.1, Decimal("0.1")),
        (Decimal("1.00004"), Decimal(1)),
    ],
)
def test_save_numbers_of_other_types_are_the_same_number(given: Any, stored: Decimal) -> None:
    order = OrderFactory(amount=given)
    assert order.amount == stored
    order = Order.objects.get()
    order.amount = given
    order.save()
    assert order.before == order.after


def test_save_named_fields_leaves_the_others_as_they_are_in_the_row() -> None:
    order = OrderFactory()
    order.amount, order.status = Decimal(99), Order.Status.APPROVED
    order.save(update_fields=["status"])
    assert order.after is not None
    assert (order.after.amount, order.after.status) == (Decimal(58), "approved")
    order.save()
    assert order.before is not None
    assert (order.before.amount, order.after.amount) == (Decimal(58), Decimal(99))


def test_save_deferred_fields_keep_their_values() -> None:
    OrderFactory()
    order = Order.objects.only("status").get()
    order.status = Order.Status.APPROVED
    order.save()
    assert order.after is not None
    assert (order.after.amount, order.after.status) == (Decimal(58), "approved")


def test_save_deferred_field_that_was_assigned_is_compared_with_its_row() -> None:
    OrderFactory()
    order = Order.objects.defer("amount").get()
    order.amount = Decimal(58)
    order.save()
    assert order.before == order.after
    order.amount = Decimal(59)
    order.save()
    assert order.before != order.after


def test_save_expression_is_its_value() -> None:
    order = OrderFactory()
    order.amount = F("amount") + 2
    order.save()
    assert order.after is not None
    assert order.after.amount == Decimal(60)
    assert order.after.commission == Decimal("9.00")
    assert Order.objects.get().amount == Decimal(60)


def test_save_after_a_rollback_compares_with_the_row_that_is_there() -> None:
    order = OrderFactory()
    with transaction.atomic():
        order.status = Order.Status.APPROVED
        order.save()
        transaction.set_rollback(True)
    order.save()
    assert order.before is not None
    assert order.after is not None
    assert (order.before.status, order.after.status) == ("new", "approved")


def test_save_over_another_processes_change_tells_what_really_changed() -> None:
    order = OrderFactory()
    other = Order.objects.get()
    other.status = Order.Status.APPROVED
    other.save()
    order.save()
    assert order.before is not None
    assert order.after is not None
    assert (order.before.status, order.after.status) == ("approved", "new")


def test_save_instance_made_by_hand_for_an_existing_row_is_an_update() -> None:
    order = OrderFactory()
    twin = Order(pk=order.pk, number=order.number, amount="1", currency="USD", created_at=order.created_at)
    twin.save()
    assert twin.before is not None
    assert twin.before.amount == Decimal(58)


def test_save_nothing_named_changes_nothing() -> None:
    order = OrderFactory()
    order.status = Order.Status.APPROVED
    order.save(update_fields=[])
    assert Order.objects.get().status == Order.Status.NEW


@pytest.mark.parametrize("names", [["link"], ["link_id"], ["link", "affiliate_id"], None])
def test_save_link_without_affiliate_takes_the_links_affiliate_and_is_recorded(names: list[str] | None) -> None:
    order = OrderFactory(affiliate=None)
    link = LinkFactory()
    CallbackSettingFactory(affiliate=link.affiliate)
    order.link = link
    order.save(update_fields=names and iter(names))
    assert (order.affiliate, order.commission) == (link.affiliate, Decimal("8.70"))
    assert_as_in_row(order)
    assert Delivery.objects.get().variables["order.commission"] == "8.70"


def test_update_or_create_link_without_affiliate_takes_the_links_affiliate() -> None:
    number, link = OrderFactory(affiliate=None).number, LinkFactory()
    order, _ = Order.objects.update_or_create(number=number, defaults={"link": link})
    assert order.affiliate == link.affiliate
    assert_as_in_row(order)


def test_save_link_of_an_order_that_another_process_gave_an_affiliate_leaves_it() -> None:
    order = OrderFactory(affiliate=None)
    other, affiliate = Order.objects.get(), AffiliateFactory()
    other.affiliate = affiliate
    other.save()
    order.link = LinkFactory()
    order.save(update_fields=["link"])
    assert Order.objects.get().affiliate == affiliate


@pytest.mark.parametrize(
    ("name", "value"),
    [("amount", "100"), ("currency", " jpy "), ("commission", 7), ("commission", None), ("status", "approved"),
     ("affiliate", AffiliateFactory), ("affiliate_id", lambda: str(AffiliateFactory(commission_rate=0).pk)),
     ("link", LinkFactory), ("number", 5)],
)  # fmt: skip
def test_save_one_named_field_leaves_the_order_as_its_row_is(name: str, value: Any) -> None:
    order = OrderFactory(commission=Decimal(5) if name == "commission" else None)
    saved_at = order.updated_at
    setattr(order, name, value() if callable(value) else value)
    order.save(update_fields=[name])
    assert_as_in_row(order)
    assert order.updated_at > saved_at
    assert order.before != order.after
    order.save()
    assert order.before == order.after
    assert_as_in_row(order)


@pytest.mark.parametrize("pending", [{}, {"currency": "JPY"}, {"commission": None}, {"affiliate": None}])
def test_save_amount_alone_computes_the_commission_from_the_row(pending: dict[str, Any]) -> None:
    order = OrderFactory()
    for name, value in ({"amount": Decimal(101)} | pending).items():
        setattr(order, name, value)
    order.save(update_fields=["amount"])
    assert Order.objects.get().commission == Decimal("15.15")


def test_save_amount_alone_keeps_a_commission_that_another_process_gave() -> None:
    order = OrderFactory()
    other = Order.objects.get()
    other.commission = Decimal(5)
    other.save()
    order.amount = Decimal(100)
    order.save(update_fields=["amount"])
    assert Order.objects.get().commission == Decimal(5)


def test_save_with_deferred_fields_writes_what_it_computed() -> None:
    saved_at = OrderFactory(affiliate=None).updated_at
    order = Order.objects.only("number").get()
    order.link = LinkFactory()
    order.save()
    assert {"amount", "currency", "status", "created_at"} <= order.get_deferred_fields()
    assert (order.after and order.after.affiliate_id) == order.link.affiliate_id
    assert order.updated_at > saved_at
    assert_as_in_row(order)


def test_bulk_create_fills_in_what_save_would() -> None:
    link = LinkFactory()
    CallbackSettingFactory(affiliate=link.affiliate)
    orders = Order.objects.bulk_create(Order(number=n, link=link, amount="10", currency="usd") for n in range(3))
    assert Delivery.objects.count() == 3
    for order in orders:
        assert (order.affiliate, order.commission, order.currency) == (link.affiliate, Decimal("1.5"), "USD")
        assert_as_in_row(order)


def test_bulk_create_takes_as_many_queries_for_many_affiliates() -> None:
    affiliates = [AffiliateFactory().pk for _ in range(20)]
    counts = set()
    for many in (affiliates[:1], affiliates):
        orders = [Order(number=f"{len(many)}-{pk}", affiliate_id=pk, amount=1, commission=1) for pk in many]
        counts.add(count_queries(lambda: Order.objects.bulk_create(orders)))  # noqa: B023
    assert len(counts) == 1


@pytest.mark.parametrize("option", ["ignore_conflicts", "update_conflicts"])
def test_bulk_create_that_hides_what_it_inserted_is_refused(option: str) -> None:
    with pytest.raises(ValueError, match="ignore_conflicts or update_conflicts"):
        Order.objects.bulk_create([], **{option: True})


# --- refusing ----------------------------------------------------------------
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"currency": "ABC"}, {"currency": ["unknown_currency"]}),
        ({"currency": ""}, {"currency": ["blank"]}),
        ({"amount": "NaN"}, {"amount": ["invalid"]}),
        ({"amount": "1" * 30}, {"amount": ["max_digits"]}),
        ({"amount": "Infinity"}, {"amount": ["invalid"]}),
        ({"amount": "58.005"}, {"amount": ["too_many_decimals"]}),
        ({"amount": "1200.5", "currency": "JPY"}, {"amount": ["too_many_decimals"]}),
        ({"number": ""}, {"number": ["blank"]}),
        ({"number": "a\nb"}, {"number": ["control_character"]}),
        ({"number": "x" * 101}, {"number": ["max_length"]}),
        ({"status": "paid"}, {"status": ["invalid_choice"]}),
    ],
)
def test_full_clean_bad_field_is_refused_with_its_code(fields: dict[str, str], expected: dict[str, list[str]]) -> None:
    order = Order(**({"number": "#1", "amount": "58", "currency": "USD"} | fields))
    with pytest.raises(ValidationError) as caught:
        order.full_clean()
    assert codes(caught.value) == expected


def test_full_clean_number_taken_is_refused() -> None:
    OrderFactory(number="#1")
    with pytest.raises(ValidationError) as caught:
        Order(number="#1", amount="58").full_clean()
    assert codes(caught.value) == {"number": ["unique"]}


def test_full_clean_link_of_another_affiliate_is_refused() -> None:
    with pytest.raises(ValidationError) as caught:
        Order(number="#1", amount="58", affiliate=AffiliateFactory(), link=LinkFactory()).full_clean()
    assert codes(caught.value) == {"link": ["link_of_another_affiliate"]}


@pytest.mark.parametrize("fields", [{"status": "paid"}, {"number": ""}, {"currency": "12A"}])
def test_database_row_that_contradicts_the_model_is_refused(fields: dict[str, str]) -> None:
    order = OrderFactory()
    with pytest.raises(Exception) as caught, transaction.atomic():
        Order.objects.filter(pk=order.pk).update(**fields)
    assert isinstance(caught.value, IntegrityError) or "too long" in str(caught.value)


def test_database_same_number_twice_is_refused() -> None:
    OrderFactory(number="#1")
    with pytest.raises(IntegrityError), transaction.atomic():
        OrderFactory(number="#1")
