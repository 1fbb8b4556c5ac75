"""What was told stays told: an order that is deleted or given away is rejected first, with the values last told."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Count
from django.test.utils import CaptureQueriesContext

from affiliates.models import Affiliate
from callbacks.delivery import dispatcher, order_events, outbox
from callbacks.models import CallbackSetting, Delivery
from orders.models import Order
from tests.factories import AffiliateFactory, LinkFactory, OrderFactory, callbacks_for
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db
CLICK = "https://shop.example/?ref=joe&sub_id=click-1"


def told(order: Order) -> list[tuple[str, str, str]]:
    """Event, status and click id of each delivery of the order, which may be gone, the first first."""
    rows = Delivery.objects.filter(order_id=order.pk).order_by("pk")
    return [(row.event, row.variables["order.status"], row.variables["link.sub_id"]) for row in rows]


@pytest.fixture
def order(affiliate: Affiliate) -> Order:
    return OrderFactory(number="#7", affiliate=affiliate, link=LinkFactory(affiliate=affiliate, url=CLICK))


DOORS: list[Callable[[Order], Any]] = [
    lambda order: order.delete(),
    lambda order: Order.objects.filter(pk=order.pk).delete(),
    lambda order: Order.objects.only("number").get(pk=order.pk).delete(),
    lambda order: Order(pk=order.pk).delete(),
    lambda _: Order.objects.all().delete(),
    lambda order: order.affiliate.orders.all().delete(),
    lambda _: Order._base_manager.all().delete(),
    lambda _: Order.objects.annotate(n=Count("deliveries")).filter(n=2).delete(),
]


@pytest.mark.parametrize("delete", DOORS)
def test_deleted_order_is_rejected_with_the_values_last_told(order: Order, delete: Callable[[Order], Any]) -> None:
    kept = Order(pk=order.pk)
    order.amount = 60
    order.save()
    delete(Order.objects.get())
    assert told(kept)[-1] == ("order.updated", "rejected", "click-1")
    *_, before, last = Delivery.objects.order_by("pk")
    changes = ("order.amount.change", "order.commission.change")
    own = ("order.status", "event.id", "event.at", "event.at.unix", *changes)
    assert {k: v for k, v in last.variables.items() if k not in own} == {
        k: v for k, v in before.variables.items() if k not in own
    }
    assert last.variables["event.id"] == str(last.event_id)
    assert (last.status, Order.objects.count()) == ("pending", 0)


def test_many_orders_are_deleted_in_as_many_queries_as_two(
    affiliate: Affiliate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def queries(number: int) -> int:
        Order.objects.bulk_create(Order(number=f"{number}-{n}", affiliate=affiliate, amount=1) for n in range(number))
        with CaptureQueriesContext(connection) as captured:
            Order.objects.all().delete()
        return len(captured)

    assert queries(2) == queries(60)
    monkeypatch.setattr("orders.models.queryset.DELETED_AT_ONCE", 7)
    assert queries(20) < 3 * queries(7)
    assert Delivery.objects.filter(event="order.updated").count() == 89
    assert Order.objects.all().delete() == (0, {})
    assert not hasattr(Order.objects, "delete")


def test_deletion_that_is_rolled_back_tells_nobody(order: Order) -> None:
    with transaction.atomic():
        Order.objects.all().delete()
        transaction.set_rollback(True)
    assert [status for _, status, _ in told(order)] == ["new"]


def test_deleted_order_that_was_rejected_already_is_not_rejected_again(order: Order) -> None:
    order.status = "rejected"
    order.save()
    kept = Order(pk=order.pk)
    order.delete()
    assert [status for _, status, _ in told(kept)] == ["new", "rejected"]


def test_deleted_order_that_nobody_was_told_of_tells_nobody(affiliate: Affiliate) -> None:
    CallbackSetting.objects.filter(event="order.created").delete()
    OrderFactory(affiliate=affiliate).delete()
    OrderFactory(affiliate=None).delete()
    assert Delivery.objects.count() == 0


def test_deleted_order_whose_deliveries_were_all_skipped_tells_nobody(affiliate: Affiliate) -> None:
    CallbackSetting.objects.update(is_active=False)
    order = OrderFactory(affiliate=affiliate)
    CallbackSetting.objects.update(is_active=True)
    order.delete()
    assert [delivery.status for delivery in Delivery.objects.all()] == ["skipped"]


def test_deleted_order_is_rejected_for_its_former_affiliates_only_once(order: Order, affiliate: Affiliate) -> None:
    other = AffiliateFactory(code="ann")
    callbacks_for(other, "https://ann.example/")
    order.affiliate, order.link = other, None
    order.save()
    order.delete()
    rows = [(d.affiliate.code, d.event, d.variables["order.status"]) for d in Delivery.objects.order_by("pk")]
    assert rows == [
        (affiliate.code, "order.created", "new"), (affiliate.code, "order.updated", "rejected"),
        ("ann", "order.created", "new"), ("ann", "order.updated", "rejected"),
    ]  # fmt: skip


def test_order_given_away_is_rejected_with_the_values_last_told(order: Order, affiliate: Affiliate) -> None:
    order.affiliate, order.link, order.amount, order.number = AffiliateFactory(), None, 99, "#8"
    order.save()
    gone = Delivery.objects.get(affiliate=affiliate, event="order.updated")
    names = ("order.number", "order.amount", "order.commission", "order.status", "link.sub_id", "affiliate.code")
    assert [gone.variables[name] for name in names] == ["#7", "58.00", "8.70", "rejected", "click-1", affiliate.code]


def test_link_cleared_and_then_given_away_keeps_what_was_told_last(order: Order, affiliate: Affiliate) -> None:
    order.link = None
    order.save()
    order.affiliate = None
    order.save()
    assert told(order) == [
        ("order.created", "new", "click-1"), ("order.updated", "new", ""), ("order.updated", "rejected", ""),
    ]  # fmt: skip


def test_rejection_for_reconcile_repeats_what_was_told(order: Order, affiliate: Affiliate) -> None:
    last = Delivery.objects.get()
    Order.objects.update(affiliate=None, link=None, amount=1, status="approved")
    outbox.record_events([order_events.rejection(Order.objects.get(), affiliate.pk, last.variables)])
    gone = Delivery.objects.get(event="order.updated")
    own = {"order.status": "rejected", "event": "order.updated", "event.id": str(gone.event_id)}
    own |= {name: f"-{last.variables[name]}" for name in ("order.amount.change", "order.commission.change")}
    of_event = {name: value for name, value in gone.variables.items() if name.startswith("event.at")}
    assert gone.variables == last.variables | own | of_event


@pytest.mark.parametrize("is_paused", [False, True])
def test_rejection_of_a_deleted_order_keeps_to_its_callback(order: Order, is_paused: bool) -> None:
    CallbackSetting.objects.filter(event="order.updated").update(is_active=not is_paused)
    order.delete()
    assert Delivery.objects.get(event="order.updated").status == ("skipped" if is_paused else "pending")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("broker", "loopback")
@pytest.mark.parametrize("is_told_first", [True, False])
def test_rejection_of_a_deleted_order_is_sent_after_what_was_told(receiver: Receiver, *, is_told_first: bool) -> None:
    affiliate = AffiliateFactory()
    callbacks_for(affiliate, receiver.url("/pb?e={{event}}&s={{order.status}}&c={{link.sub_id}}"))
    order = OrderFactory(affiliate=affiliate, link=LinkFactory(affiliate=affiliate, url=CLICK))
    if is_told_first:
        dispatcher.run()
    order.delete()
    while dispatcher.run():
        pass
    assert [request.target for request in receiver.wait_for(2)] == [
        "/pb?e=order.created&s=new&c=click-1", "/pb?e=order.updated&s=rejected&c=click-1",
    ]  # fmt: skip
    assert set(Delivery.objects.values_list("status", flat=True)) == {"succeeded"}
