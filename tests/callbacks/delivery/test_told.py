"""What a tracker that adds up is told: the changes of an order, against what it was told last."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from affiliates.models import Affiliate
from callbacks.delivery import outbox, reconcile, resend
from callbacks.jobs.backfill import Backfill
from callbacks.models import CallbackSetting, Delivery
from callbacks.postback.variables import AMOUNT, CHANGE, COMMISSION, CURRENCY, STATUS, changes
from callbacks.setup import preview
from config.listing.period import Period
from orders.models import Order
from tests.callbacks.delivery.test_histories import History
from tests.factories import AffiliateFactory, CallbackSettingFactory, LinkFactory, OrderFactory, callbacks_for, in_state

pytestmark = pytest.mark.django_db
URL = "https://tracker.example/?c={{order.amount.change}}"


def newest() -> Delivery:
    return Delivery.objects.order_by("pk").last() or pytest.fail("nothing was recorded")


def end(status: str, **fields: object) -> Delivery:
    """Bring the newest delivery to this state."""
    Delivery.objects.filter(pk=newest().pk).update(**in_state(status, **fields))
    return newest()


def change_of(delivery: Delivery) -> tuple[str, str]:
    return delivery.variables["order.amount.change"], delivery.variables["order.commission.change"]


def save(order: Order, **values: object) -> tuple[str, str]:
    """Save the order with these values; returns the changes in its newest delivery."""
    for name, value in values.items():
        setattr(order, name, value)
    order.save()
    return change_of(newest())


@pytest.fixture
def order(affiliate: Affiliate) -> Order:
    """An order of 58.00 with a commission of 8.70, told to its tracker."""
    order = OrderFactory(affiliate=affiliate)
    end("succeeded")
    return order


# --- which delivery was told ---------------------------------------------------------
@pytest.mark.parametrize(
    ("created", "updated", "change"),
    [
        ("succeeded", "succeeded", "-5.00"),
        ("succeeded", "sending", "-5.00"),
        ("succeeded", "pending", "-13.00"),  # which the new one replaces
        ("succeeded", "failed", "-13.00"),
        ("succeeded", "skipped", "-13.00"),
        ("sending", "pending", "-13.00"),
        ("pending", "pending", "-13.00"),  # *updated* waits for *created*
        ("failed", "pending", "45.00"),
        ("skipped", "failed", "45.00"),
        ("failed", "succeeded", "-5.00"),
    ],
)
def test_change_is_the_difference_to_what_was_told_last(
    affiliate: Affiliate, created: str, updated: str, change: str
) -> None:
    order = OrderFactory(affiliate=affiliate)
    assert change_of(end(created)) == ("58.00", "8.70")
    save(order, amount=50)
    end(updated)
    assert save(order, amount=45)[0] == change


def test_change_of_commission_and_of_nothing(order: Order) -> None:
    assert save(order, commission=5) == ("0.00", "-3.70")
    end("succeeded")
    assert save(order, status="approved") == ("0.00", "0.00")
    end("succeeded")
    assert save(order, amount="61.5", commission=9) == ("3.50", "4.00")


@pytest.mark.parametrize(
    "fields", [{"event": "order.updated", "name": "other"}, {"event": "order.created", "url": "https://other.example/"}]
)
def test_what_another_callback_was_told_does_not_count(fields: dict[str, str]) -> None:
    affiliate = AffiliateFactory()
    CallbackSettingFactory(affiliate=affiliate, **{"url": URL} | fields)
    order = OrderFactory(affiliate=affiliate)
    order.amount = Decimal(50)
    order.save()
    end("succeeded")
    own = CallbackSettingFactory(affiliate=affiliate, event="order.updated", url=URL)
    save(order, amount=45)
    assert change_of(Delivery.objects.get(setting=own)) == ("45.00", "6.75")


def test_what_waits_for_a_paused_callback_or_was_a_test_was_not_told(affiliate: Affiliate) -> None:
    order = OrderFactory(affiliate=affiliate)
    CallbackSetting.objects.filter(event="order.created").update(is_active=False)
    assert save(order, amount=50) == ("50.00", "7.50")
    end("succeeded", origin="test")
    assert save(order, amount=45) == ("45.00", "6.75")


def test_what_was_told_to_another_affiliate_or_of_another_order_does_not_count(order: Order) -> None:
    other = AffiliateFactory()
    callbacks_for(other, URL)
    assert save(order, affiliate=other)[0] == "58.00"
    OrderFactory(affiliate=other)
    assert change_of(newest())[0] == "58.00"


# --- rejected, given to another, deleted -----------------------------------------------
def test_rejected_order_counts_as_nothing_until_it_is_approved_again(order: Order) -> None:
    assert save(order, status="rejected") == ("-58.00", "-8.70")
    assert newest().variables["order.amount"] == "58.00"
    end("succeeded")
    assert save(order, amount=50) == ("0.00", "0.00")
    end("succeeded")
    assert save(order, status="approved") == ("50.00", "7.50")


def test_fully_refunded_order_takes_back_what_was_told(order: Order) -> None:
    assert save(order, amount=0, refunded=58, status="rejected") == ("-58.00", "-8.70")
    assert newest().variables["order.refunded"] == "58.00"


def test_order_given_to_another_and_back_adds_up(order: Order, affiliate: Affiliate) -> None:
    order.affiliate = None
    assert save(order, amount=70) == ("-58.00", "-8.70")
    assert newest().variables["order.amount"] == "58.00"  # as it was told
    end("succeeded")
    assert save(order, affiliate=affiliate) == ("70.00", "10.50")
    assert newest().event == "order.created"
    end("succeeded")
    assert save(order, amount=60)[0] == "-10.00"


def test_rejection_that_waits_when_the_order_comes_back_was_not_told(order: Order, affiliate: Affiliate) -> None:
    save(order, affiliate=None)
    assert save(order, affiliate=affiliate, amount=70) == ("12.00", "1.80")
    assert newest().event == "order.created"


def test_deleted_order_takes_back_what_was_told(order: Order) -> None:
    save(order, amount=50)
    end("succeeded")
    order.delete()
    assert change_of(newest()) == ("-50.00", "-7.50")
    assert newest().variables["order.amount"] == "50.00"


def test_currency_changed_is_the_whole_in_the_new_one(order: Order) -> None:
    assert save(order, currency="JPY", amount=1200) == ("1200", "180")
    end("succeeded")
    assert save(order, amount=1100) == ("-100", "-15")


# --- resent, past orders, other doors ---------------------------------------------------
def test_resent_deliveries_keep_their_values(order: Order) -> None:
    created = newest()
    save(order, amount=50)
    end("failed", last_error_kind="status", attempt_count=10)
    save(order, amount=45)
    assert change_of(end("succeeded")) == ("-13.00", "-1.95")
    resend.resend(list(Delivery.objects.values_list("pk", flat=True)), resend.REASONS_ALONE)
    assert [change_of(each)[0] for each in Delivery.objects.order_by("pk")] == ["58.00", "-8.00", "-13.00"]
    assert Delivery.objects.get(pk=created.pk).variables == created.variables


def test_backfill_sends_the_difference_to_what_was_told(order: Order, affiliate: Affiliate) -> None:
    Order.objects.update(amount=50)
    new = CallbackSettingFactory(affiliate=affiliate, name="New", url="https://new.example/")
    Backfill(new, Period(None, None)).record([order.pk])
    assert change_of(newest())[0] == "50.00"
    told = CallbackSetting.objects.get(name="Callback", event="order.created")
    found = preview.preview(told, "https://tracker.example/?c={{order.amount.change}}", Order.objects.get())
    assert found.request
    assert found.request.url.endswith("?c=-8.00")
    rows = {row.name: row.value for row in preview.examples(told, Order.objects.get())}
    assert rows["order.amount.change"] == "-8.00"
    Backfill(told, Period(None, None), again=True).record([order.pk])
    assert change_of(newest())[0] == "-8.00"


def test_reconciled_order_has_its_change_and_no_other_variable_is_missed(order: Order) -> None:
    Order.objects.update(coupon="X", items=2, ordered_at=datetime(2026, 1, 1, tzinfo=UTC), source="link")
    assert list(reconcile.missed(order.created_at)) == []
    Order.objects.update(amount=50)
    outbox.record_events(list(reconcile.missed(order.created_at)))
    assert change_of(newest())[0] == "-8.00"
    assert newest().variables["order.coupon"] == "X"


def test_delivery_of_an_older_release_was_told_too(order: Order) -> None:
    delivery = newest()
    old = {AMOUNT, COMMISSION, CURRENCY, STATUS, "order.number", "event", "event.id"}
    delivery.variables = {name: value for name, value in delivery.variables.items() if name in old}
    delivery.save()
    assert save(order, amount=50)[0] == "-8.00"
    end("succeeded")
    order.delete()
    assert change_of(newest())[0] == "-50.00"


def test_delivery_without_amounts_stops_nothing(order: Order) -> None:
    Delivery.objects.update(variables={"order.number": "#1"})
    assert save(order, amount=50)[0] == "50.00"
    Delivery.objects.update(variables={"order.number": "#1"})
    order.delete()
    assert change_of(newest())[0] == "0.00"


@pytest.mark.parametrize("seed", range(4))
def test_changes_that_arrive_add_up_to_what_the_order_is_worth(seed: int) -> None:
    history = History(seed, pauses=False, fails_for_good=False)

    def deliver() -> None:
        history.claim()
        while history.on_the_wire:
            history.settle(is_last=True)

    doors: list[Callable[[], None]] = [history.save, history.save, deliver]
    for _ in range(60):
        history.chance.choice(doors)()
    history.finish()
    assert history.accepted
    for told in history.accepted.values():
        last = told[-1].variables
        worth = Decimal(0) if last[STATUS] == "rejected" else Decimal(last[AMOUNT])
        assert sum(Decimal(each.variables[AMOUNT + CHANGE]) for each in told) == worth, history.log


# --- what it costs ------------------------------------------------------------------------
def asked(action: Callable[[], object]) -> int:
    """How many queries ask what was told."""
    with CaptureQueriesContext(connection) as captured:
        action()
    return len([query for query in captured if "SELECT MAX(id) FROM callbacks_delivery" in query["sql"]])


def test_new_orders_cost_no_query_and_many_changed_ones_one(affiliate: Affiliate) -> None:
    orders = [Order(number=f"#{n}", affiliate=affiliate, amount=58) for n in range(12)]
    assert asked(lambda: Order.objects.bulk_create(orders)) == 0
    assert asked(lambda: OrderFactory(affiliate=affiliate)) == 0
    assert asked(lambda: save(orders[0], amount=50)) == 1
    assert asked(lambda: save(orders[0], coupon="X")) == 0
    Order.objects.update(amount=40)
    events = list(reconcile.missed(orders[0].created_at))
    assert asked(lambda: outbox.record_events(events)) == 1
    assert asked(lambda: Order.objects.all().delete()) == 1


def test_order_that_changed_often_costs_few_rows(order: Order) -> None:
    for amount in range(20):
        save(order, amount=amount)
        end("succeeded")
    with CaptureQueriesContext(connection) as captured:
        assert save(order, amount=50)[0] == "31.00"
    (select,) = [query["sql"] for query in captured if "SELECT MAX(id) FROM callbacks_delivery" in query["sql"]]
    with connection.cursor() as cursor:
        cursor.execute(select)
        assert len(cursor.fetchall()) <= 3


# --- the other values -----------------------------------------------------------------------
def test_snapshot_has_what_intake_delivers(affiliate: Affiliate) -> None:
    Order.objects.bulk_create([
        Order(
            number="#1", affiliate=affiliate, link=LinkFactory(affiliate=affiliate), amount=5800, currency="JPY",
            coupon="A,B", subtotal="5000", refunded=100, source=Order.Source.COUPON, items=3, customer_is_new=False,
            ordered_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        )
    ])  # fmt: skip
    found = newest().variables
    assert {name: found[name] for name in (
        "order.coupon", "order.subtotal", "order.refunded", "order.source", "order.items", "customer.is_new",
        "order.created_at", "order.amount.change", "order.commission.change",
    )} == {
        "order.coupon": "A,B", "order.subtotal": "5000", "order.refunded": "100", "order.source": "coupon",
        "order.items": "3", "customer.is_new": "false", "order.created_at": "2026-01-02T03:04:05Z",
        "order.amount.change": "5800", "order.commission.change": "870",
    }  # fmt: skip


def test_snapshot_of_a_save_of_some_columns_has_the_others_of_the_row(order: Order) -> None:
    Order.objects.update(coupon="ROW", items=1)
    order.coupon, order.amount = "OURS", Decimal(50)
    order.save(update_fields=["amount"])
    assert (newest().variables["order.coupon"], newest().variables["order.items"]) == ("ROW", "1")
    order.amount = Decimal(40)
    order.save(update_fields=["amount", "coupon"])
    assert newest().variables["order.coupon"] == "OURS"
    loaded = Order.objects.only("status").get()
    loaded.status = "approved"
    loaded.save()
    assert newest().variables["order.coupon"] == "OURS"


@pytest.mark.parametrize(("is_new", "text"), [(True, "true"), (False, "false"), (None, "")])
def test_customer_is_new_is_a_word_or_empty(affiliate: Affiliate, is_new: bool | None, text: str) -> None:
    OrderFactory(affiliate=affiliate, customer_is_new=is_new)
    assert newest().variables["customer.is_new"] == text


def test_changes_of_amounts_that_are_negative_have_their_sign() -> None:
    now = {AMOUNT: "-1.00", COMMISSION: "0.00", CURRENCY: "USD", STATUS: "new"}
    assert changes(now, None) == {AMOUNT + CHANGE: "-1.00", COMMISSION + CHANGE: "0.00"}
    assert changes(now, now | {AMOUNT: "-1.50"}) == {AMOUNT + CHANGE: "0.50", COMMISSION + CHANGE: "0.00"}
