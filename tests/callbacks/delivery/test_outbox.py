"""Which deliveries a saved order records, and with which values."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.core import serializers
from django.db import transaction

from affiliates.models import Affiliate
from callbacks.delivery import outbox
from callbacks.models import CallbackSetting, Delivery
from orders.models import Order
from tests.factories import AffiliateFactory, LinkFactory, OrderFactory, callbacks_for

pytestmark = pytest.mark.django_db


def recorded() -> list[tuple[str, str, str]]:
    """Event, affiliate and status value of every delivery, in the order they were recorded."""
    rows = Delivery.objects.order_by("pk").select_related("affiliate")
    return [(row.event, row.affiliate.code if row.affiliate else "", row.variables["order.status"]) for row in rows]


def test_record_new_order_is_created_with_a_frozen_snapshot(affiliate: Affiliate) -> None:
    link = LinkFactory(affiliate=affiliate, url=f"https://shop.example/p?ref={affiliate.code}&sub_id=fb&x=1#top")
    order = OrderFactory(number="#7", affiliate=affiliate, link=link)
    delivery = Delivery.objects.get()
    assert (delivery.event, delivery.status, delivery.order) == ("order.created", "pending", order)
    assert delivery.next_attempt_at is not None
    assert delivery.variables == {
        "order.number": "#7", "order.amount": "58.00", "order.commission": "8.70", "order.currency": "USD",
        "order.status": "new", "order.created_at": order.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "event": "order.created", "event.id": str(delivery.event_id), "affiliate.code": affiliate.code,
        "order.amount.change": "58.00", "order.commission.change": "8.70", "order.subtotal": "",
        "order.refunded": "0.00", "order.coupon": "", "order.items": "", "order.source": "", "customer.is_new": "",
        "event.at": delivery.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "event.at.unix": str(int(delivery.created_at.timestamp())),
        "link.sub_id": "fb", "link.path": "/p", "link.hash": "top",
        "link.query.ref": affiliate.code, "link.query.sub_id": "fb", "link.query.x": "1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [("number", "#new"), ("amount", 59), ("commission", 1), ("currency", "EUR"), ("status", "approved")],
)
def test_record_watched_field_changed_is_updated(affiliate: Affiliate, name: str, value: object) -> None:
    order = OrderFactory(affiliate=affiliate)
    setattr(order, name, value)
    order.save()
    assert [event for event, _, _ in recorded()] == ["order.created", "order.updated"]


def test_record_link_changed_is_updated_with_the_new_links_values(affiliate: Affiliate) -> None:
    order = OrderFactory(affiliate=affiliate)
    order.link = LinkFactory(affiliate=affiliate)
    order.save()
    assert Delivery.objects.get(event="order.updated").variables["link.sub_id"] == "fb"


def test_record_save_without_change_records_nothing(affiliate: Affiliate) -> None:
    order = OrderFactory(affiliate=affiliate)
    order.amount = "58"
    order.save()
    Order.objects.get().save()
    assert len(recorded()) == 1


def test_record_order_without_affiliate_records_nothing_until_it_has_one(affiliate: Affiliate) -> None:
    order = OrderFactory(affiliate=None)
    order.status = "approved"
    order.save()
    assert recorded() == []
    order.affiliate = affiliate
    order.save()
    assert recorded() == [("order.created", affiliate.code, "approved")]


def test_record_order_given_to_another_records_both(affiliate: Affiliate) -> None:
    other = AffiliateFactory()
    callbacks_for(other, "https://tracker.example/")
    order = OrderFactory(affiliate=affiliate, amount=Decimal(58))
    order.affiliate = other
    order.amount = Decimal(60)
    order.save()
    assert recorded()[1:] == [("order.updated", affiliate.code, "rejected"), ("order.created", other.code, "new")]


def test_record_order_taken_away_records_the_old_one(affiliate: Affiliate) -> None:
    order = OrderFactory(affiliate=affiliate)
    order.affiliate = None
    order.save()
    assert recorded()[1:] == [("order.updated", affiliate.code, "rejected")]


def test_record_affiliate_without_callback_records_nothing() -> None:
    OrderFactory()
    assert recorded() == []


@pytest.mark.parametrize(
    ("model", "fields", "reason"),
    [(CallbackSetting, {"is_active": False}, "paused"), (Affiliate, {"status": "blocked"}, "affiliate_blocked")],
)
def test_record_what_does_not_apply_is_skipped_with_the_reason(
    affiliate: Affiliate, model: Any, fields: dict[str, Any], reason: str
) -> None:
    model.objects.update(**fields)
    OrderFactory(affiliate=affiliate)
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.skip_reason, delivery.next_attempt_at) == ("skipped", reason, None)


def test_record_rolled_back_order_leaves_nothing(affiliate: Affiliate) -> None:
    with transaction.atomic():
        OrderFactory(affiliate=affiliate)
        transaction.set_rollback(True)
    assert recorded() == []


def test_record_fixture_records_nothing(affiliate: Affiliate) -> None:
    order = OrderFactory(affiliate=affiliate)
    text = serializers.serialize("json", [order])
    Delivery.objects.all().delete()
    order.delete()
    for loaded in serializers.deserialize("json", text):
        loaded.save()
    assert Order.objects.count() == 1
    assert recorded() == []


def test_record_bulk_create_records_each(affiliate: Affiliate) -> None:
    link = LinkFactory(affiliate=affiliate)
    Order.objects.bulk_create(
        Order(number=f"#{n}", affiliate=affiliate, link=link, amount=n, currency="USD") for n in range(1, 4)
    )
    values = [row.variables for row in Delivery.objects.order_by("pk")]
    assert [(v["order.number"], v["order.amount"], v["link.sub_id"]) for v in values] == [
        ("#1", "1.00", "fb"), ("#2", "2.00", "fb"), ("#3", "3.00", "fb"),
    ]  # fmt: skip


def test_record_update_or_create_records_the_change(affiliate: Affiliate) -> None:
    OrderFactory(number="#1", affiliate=affiliate)
    Order.objects.update_or_create(number="#1", defaults={"status": "approved"})
    code = affiliate.code
    assert recorded() == [("order.created", code, "new"), ("order.updated", code, "approved")]


def test_record_after_commit_sends_one_wakeup_for_what_is_due(
    affiliate: Affiliate, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    with django_capture_on_commit_callbacks() as wakeups:
        OrderFactory(affiliate=affiliate)
    assert wakeups.count(outbox.wakeup.send) == 1
    with django_capture_on_commit_callbacks() as wakeups:
        OrderFactory()
    assert outbox.wakeup.send not in wakeups
