"""That an old order has no delivery does not mean that nothing was sent: who asks knows how far back they are."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from affiliates.models import Affiliate
from callbacks.delivery import outbox
from callbacks.jobs.backfill import ALREADY_SENT, NOT_KEPT, TO_BE_SENT, Backfill
from callbacks.log.explain import explain
from callbacks.models import CallbackSetting, Delivery
from callbacks.reports import reconciliation
from callbacks.reports.hourly import count
from callbacks.retention import prune
from config.listing.period import Period
from orders.models import Order
from tests.callbacks.retention.test_prune import URL, age, aged
from tests.factories import AffiliateFactory, OrderFactory, callbacks_for, client_with, in_state

pytestmark = pytest.mark.django_db


@pytest.fixture
def joe() -> Affiliate:
    """One whose callbacks are older than all orders here."""
    affiliate = AffiliateFactory(name="Joe")
    callbacks_for(affiliate, URL)
    CallbackSetting.objects.update(created_at=timezone.now() - timedelta(days=1000))
    return affiliate


def pruned(affiliate: Affiliate) -> Order:
    """An order so old that its delivery was pruned."""
    delivery = aged(500, attempts=0, affiliate=affiliate)
    prune.run()
    assert not Delivery.objects.filter(pk=delivery.pk).exists()
    return Order.objects.get(pk=delivery.order_id)


def reconcile(*arguments: str) -> str:
    out = StringIO()
    call_command("reconcile", "--since", "2020-01-01", *arguments, stdout=out)
    return out.getvalue()


# --- reconcile -------------------------------------------------------------------
def test_reconcile_pruned_deliveries_are_not_missed(joe: Affiliate) -> None:
    Order.objects.bulk_create(Order(number=str(n), affiliate=joe, amount=1) for n in range(1000))
    old = timezone.now() - timedelta(days=500)
    Order.objects.update(created_at=old)
    Delivery.objects.update(**in_state("succeeded", created_at=old))
    prune.run()
    assert not Delivery.objects.exists()
    said = reconcile()
    assert said.splitlines()[-1] == "0 missed, 0 queued."
    assert "have been deleted. Older orders without deliveries are not sent." in said
    assert not Delivery.objects.exists()


def test_reconcile_still_finds_what_is_missing_among_what_is_kept(joe: Affiliate) -> None:
    pruned(joe)
    Delivery.objects.filter(pk=aged(10, affiliate=joe).pk).delete()
    changed = aged(450, affiliate=joe, status="pending", attempts=0)  # its delivery is there, so it can be compared
    Order.objects.filter(pk=changed.order_id).update(status="approved")
    assert reconcile("--dry-run").splitlines()[-1] == "2 missed, 0 queued."


# --- the truth -------------------------------------------------------------------
@pytest.mark.parametrize("status", ["approved", "rejected"])
def test_delete_an_order_whose_deliveries_are_pruned_tells_its_rejection(joe: Affiliate, status: str) -> None:
    Order.objects.filter(pk=pruned(joe).pk).update(status=status)
    order = Order.objects.get()
    heard = outbox.hear_of_deletion(order)
    order.delete()
    told = [(d.event, d.variables["order.status"], d.variables["order.number"]) for d in Delivery.objects.all()]
    if status == "rejected":  # which it was told already
        assert (heard, told) == (set(), [])
    else:
        assert (heard, told) == ({joe.pk}, [("order.updated", "rejected", order.number)])


def test_delete_an_old_order_from_before_the_callback_tells_nobody(joe: Affiliate) -> None:
    order = pruned(joe)
    CallbackSetting.objects.update(created_at=timezone.now() - timedelta(days=450))
    order.delete()
    assert not Delivery.objects.exists()


def test_change_an_order_whose_deliveries_are_pruned_is_told(joe: Affiliate) -> None:
    order = pruned(joe)
    order.status = "approved"
    order.save()
    assert Delivery.objects.get().variables["order.status"] == "approved"


def test_give_an_old_order_away_and_back_is_told_where_no_created_goes(joe: Affiliate) -> None:
    order, other = pruned(joe), AffiliateFactory()
    CallbackSetting.objects.filter(event="order.created").delete()
    Delivery.objects.all().delete()
    order.affiliate = other
    order.save()
    assert Delivery.objects.get().variables["order.status"] == "rejected"
    Delivery.objects.all().delete()  # and that is pruned, too
    order = Order.objects.get(pk=order.pk)
    order.affiliate = joe
    order.save()
    assert Delivery.objects.get().variables["order.status"] == "new"


# --- pages -----------------------------------------------------------------------
def test_explain_an_old_order_does_not_say_that_it_was_not_recorded(joe: Affiliate) -> None:
    order = pruned(joe)
    assert {found.state for found in explain(order)} == {"not_kept"}
    assert "are no longer kept." in explain(order)[0].sentence
    CallbackSetting.objects.update(created_at=timezone.now())
    assert {found.state for found in explain(order)} == {"not_due"}  # so nothing about them was pruned
    CallbackSetting.objects.all().delete()
    assert "Nobody was told" not in explain(order)[0].sentence
    client = client_with("view_order", "view_affiliate", "view_delivery")
    assert "No longer kept" in client.get("/admin/orders/order/").content.decode()
    assert "have been deleted." in client.get(f"/admin/orders/order/{order.pk}/change/").content.decode()


def test_delivery_whose_attempts_are_pruned_says_so(joe: Affiliate) -> None:
    delivery = aged(100, affiliate=joe, attempts=3)
    while count():
        pass
    prune.run()
    client = client_with("view_delivery")
    page = client.get(f"/admin/callbacks/delivery/{delivery.pk}/change/").content.decode()
    assert "3 attempts, no longer kept" in page
    assert "Attempts are kept for 90 days." in page
    delivery.attempts.create(trigger="manual", method="GET", detail="Answered 200.", created_at=timezone.now())
    Delivery.objects.update(attempt_count=4)
    page = client.get(f"/admin/callbacks/delivery/{delivery.pk}/change/").content.decode()
    assert "Attempt 4 · manual" in page
    assert "3 earlier attempts, no longer kept" in page


# --- send past orders ------------------------------------------------------------
def test_backfill_leaves_out_what_may_have_been_sent(joe: Affiliate) -> None:
    setting = CallbackSetting.objects.get(event="order.created")
    pruned(joe)
    kept = aged(10, affiliate=joe)
    Delivery.objects.filter(pk=aged(9, affiliate=joe).pk).delete()
    wanted = Backfill(setting, Period())
    why = dict(wanted.all_orders().annotate(why=wanted.why_left_out()).order_by("pk").values_list("pk", "why"))
    assert list(why.values()) == [NOT_KEPT, ALREADY_SENT, TO_BE_SENT]
    assert wanted.orders().count() == 1
    assert Backfill(setting, Period(), again=True).orders().count() == 3
    new = CallbackSetting.objects.create(affiliate=joe, event="order.created", url="https://new.example/")
    assert Backfill(new, Period()).orders().count() == 3  # it was told of nothing
    assert kept.pk


# --- reconciliation --------------------------------------------------------------
def test_reconciliation_of_a_month_survives_pruning(joe: Affiliate) -> None:
    moment = timezone.now() - timedelta(days=500)
    month = reconciliation.Month.of(moment)
    for number, status in enumerate(["succeeded", "succeeded", "failed", "skipped"]):
        order = OrderFactory(affiliate=joe, number=f"#{number}")
        order.status = "approved"
        order.save()
        order.status = "rejected"
        order.save()
        for delivery in order.deliveries.all():
            age(delivery, 500, status=status, attempts=0)
    missed = aged(500, affiliate=joe, attempts=0)
    Delivery.objects.filter(pk=missed.pk).delete()

    def figures() -> list[tuple[str, dict[str, int]]]:
        lines = reconciliation.reconcile(joe, month).lines
        return [(line.event.value, dict(line.results)) for line in lines]

    before, rows = figures(), list(reconciliation.csv_rows(joe, month))
    assert before[0][1] == {
        "succeeded": 2, "failed": 1, "pending": 0, "skipped": 1, "missing": 1, "no callback": 0,
    }  # fmt: skip
    prune.run()
    assert not Delivery.objects.exists()
    assert figures() == before
    found = reconciliation.reconcile(joe, month)
    assert "have been deleted" in found.note
    after = list(reconciliation.csv_rows(joe, month))
    assert {row[9] for row in rows} > {"succeeded", "missing"}
    assert {row[9] for row in after} == {"no longer kept"}
    recent = reconciliation.Month.of(timezone.now())
    OrderFactory(affiliate=joe)
    assert reconciliation.reconcile(joe, recent).note == ""
    assert reconciliation.reconcile(joe, recent).lines[0].counts["pending"] == 1


def test_reconciliation_counts_an_order_once_whose_deliveries_go_one_after_the_other(joe: Affiliate) -> None:
    order = aged(500, affiliate=joe, attempts=0).order
    assert order is not None
    order.status = "approved"
    order.save()
    newer = age(Delivery.objects.latest("pk"), 500, attempts=0)
    Delivery.objects.filter(pk=newer.pk).update(event="order.created", setting=CallbackSetting.objects.first())
    Delivery.objects.filter(pk=newer.pk).update(created_at=datetime.now(UTC) - timedelta(days=300))
    month = reconciliation.Month.of(Order.objects.get().created_at)
    for _ in range(2):
        prune.run()
        assert reconciliation.reconcile(joe, month).lines[0].counts == {"succeeded": 1}
        Delivery.objects.update(created_at=datetime.now(UTC) - timedelta(days=401))
    assert not Delivery.objects.exists()
