from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from affiliates.models import Affiliate
from callbacks.delivery.order_events import OrderEvent
from callbacks.delivery.reconcile import missed as find_missed
from callbacks.models import CallbackSetting, Delivery
from orders.models import Order
from tests.factories import AffiliateFactory, LinkFactory, OrderFactory, callbacks_for

pytestmark = pytest.mark.django_db


def reconcile(*arguments: str) -> str:
    out = StringIO()
    call_command("reconcile", *arguments, stdout=out)
    return out.getvalue().splitlines()[-1]


def latest() -> tuple[str, str, str]:
    delivery = Delivery.objects.order_by("-pk")[0]
    assert delivery.affiliate
    return delivery.event, delivery.affiliate.code, delivery.variables["order.status"]


def test_reconcile_nothing_missed_sends_nothing(affiliate: Affiliate) -> None:
    order = OrderFactory(affiliate=affiliate, link=LinkFactory(affiliate=affiliate))
    order.status = "approved"
    order.save()
    OrderFactory()  # of somebody without a callback
    OrderFactory(affiliate=None)
    assert reconcile() == "0 missed, 0 queued."


def test_reconcile_updated_past_the_signal_is_sent_once(affiliate: Affiliate) -> None:
    OrderFactory(affiliate=affiliate)
    Order.objects.update(status="approved", amount=Decimal(60))
    assert reconcile("--dry-run") == "1 missed, 0 queued."
    assert reconcile() == "1 missed, 1 queued."
    assert latest() == ("order.updated", affiliate.code, "approved")
    assert reconcile() == "0 missed, 0 queued."


def test_reconcile_after_a_release_with_another_variable_sends_nothing_again(affiliate: Affiliate) -> None:
    order = OrderFactory(affiliate=affiliate, link=LinkFactory(affiliate=affiliate))
    delivery = Delivery.objects.get()
    del delivery.variables["order.currency"]  # as recorded before that variable was there
    delivery.variables["order.colour"] = "red"  # and by a release that had one more
    delivery.save()
    assert reconcile() == "0 missed, 0 queued."
    Order.objects.update(link=LinkFactory(affiliate=affiliate, url=f"{order.link.url}&clickid=7"))
    assert reconcile() == "1 missed, 1 queued."


def test_reconcile_inserted_past_the_signal_is_sent_once(affiliate: Affiliate) -> None:
    OrderFactory(affiliate=affiliate)
    Delivery.objects.all().delete()
    assert reconcile() == "1 missed, 1 queued."
    assert latest() == ("order.created", affiliate.code, "new")
    assert reconcile() == "0 missed, 0 queued."


def test_reconcile_order_older_than_its_callback_is_left_alone(affiliate: Affiliate) -> None:
    OrderFactory(affiliate=affiliate)
    Delivery.objects.all().delete()
    CallbackSetting.objects.update(created_at=timezone.now())
    assert reconcile() == "0 missed, 0 queued."


def test_reconcile_order_older_than_asked_for_is_left_alone(affiliate: Affiliate) -> None:
    OrderFactory(affiliate=affiliate)
    Order.objects.update(status="approved", created_at=timezone.now() - timedelta(days=10))
    assert reconcile("--days", "9") == "0 missed, 0 queued."


def test_reconcile_given_to_another_past_the_signal_records_both(affiliate: Affiliate) -> None:
    other = AffiliateFactory()
    callbacks_for(other, "https://tracker.example/")
    OrderFactory(affiliate=affiliate)
    Order.objects.update(affiliate=other)
    assert reconcile() == "2 missed, 2 queued."
    recorded = {(d.event, d.affiliate_id, d.variables["order.status"]) for d in Delivery.objects.order_by("-pk")[:2]}
    assert recorded == {("order.updated", affiliate.pk, "rejected"), ("order.created", other.pk, "new")}
    assert reconcile() == "0 missed, 0 queued."


def test_reconcile_many_orders_are_read_in_chunks(affiliate: Affiliate) -> None:
    Order.objects.bulk_create(Order(number=str(n), affiliate=affiliate, amount=1) for n in range(1100))
    Order.objects.filter(number__in=["0", "700", "1099"]).update(status="approved")
    assert reconcile() == "3 missed, 3 queued."


def test_reconcile_bounded_by_days(affiliate: Affiliate) -> None:
    old, new = OrderFactory.create_batch(2, affiliate=affiliate)
    Order.objects.update(status="approved")
    Order.objects.filter(pk=old.pk).update(created_at="2026-03-14T12:00:00Z")
    assert reconcile("--since", "2026-03-15", "--dry-run") == "1 missed, 0 queued."
    assert reconcile("--since", "2026-03-01", "--until", "2026-03-13") == "0 missed, 0 queued."
    assert reconcile("--since", "2026-03-01", "--until", "2026-03-14") == "1 missed, 1 queued."
    assert Delivery.objects.latest("pk").order_id == old.pk
    assert new.pk
    for bad in (["--since", "yesterday"], ["--until", "2026-13-01"]):
        with pytest.raises(CommandError, match="must be a day such as"):
            reconcile(*bad)


def test_reconcile_order_saved_between_its_reads_is_not_told_with_old_values(affiliate: Affiliate) -> None:
    order = OrderFactory(affiliate=affiliate)

    def save(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        result = execute(sql, parameters, many, context)
        if 'FROM "orders_order"' in sql and not saved:
            saved.append(True)
            order.status = "approved"
            order.save()
        return result

    saved: list[bool] = []
    with connection.execute_wrapper(save):
        assert reconcile() == "0 missed, 0 queued."
    assert saved
    assert latest() == ("order.updated", affiliate.code, "approved")


@pytest.mark.django_db(transaction=True)
def test_reconcile_takes_no_long_write_lock(affiliate: Affiliate) -> None:
    """No transaction is open while it reads, and each that locks has few orders."""
    Order.objects.bulk_create(Order(number=str(n), affiliate=affiliate, amount=1) for n in range(300))
    Order.objects.update(status="approved")
    sizes: list[int] = []

    def note(events: Sequence[OrderEvent]) -> None:
        assert connection.in_atomic_block
        sizes.append(len(events))

    for _ in find_missed(timezone.now() - timedelta(days=1), None, note):
        assert not connection.in_atomic_block
    assert sum(sizes) == 300
    assert max(sizes) <= 50


def test_reconcile_rejection_for_a_former_affiliate_repeats_the_click_they_know(affiliate: Affiliate) -> None:
    OrderFactory(affiliate=affiliate, link=LinkFactory(affiliate=affiliate))
    Order.objects.update(affiliate=AffiliateFactory(), link=None, amount=99)
    assert reconcile() == "1 missed, 1 queued."
    told = Delivery.objects.latest("pk").variables
    assert (told["order.status"], told["link.sub_id"], told["order.amount"]) == ("rejected", "fb", "58.00")
