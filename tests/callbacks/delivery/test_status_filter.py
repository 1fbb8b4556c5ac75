"""The status filter: which events of an order a callback for certain statuses gets."""

import pytest
from django.core.exceptions import ValidationError

from affiliates.models import Affiliate
from callbacks.delivery import outbox, queue, reconcile, resend
from callbacks.models import CallbackSetting, Delivery
from orders.models import Order
from tests.factories import AffiliateFactory, CallbackSettingFactory, OrderFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def affiliate() -> Affiliate:
    return AffiliateFactory()


def for_statuses(affiliate: Affiliate, event: str, *statuses: str, **fields: object) -> CallbackSetting:
    return CallbackSettingFactory(affiliate=affiliate, event=event, only_statuses=list(statuses), **fields)


def reasons() -> list[str]:
    """Of each delivery in the order they were recorded: why it is skipped, or `due`."""
    return [reason or "due" for reason in Delivery.objects.order_by("pk").values_list("skip_reason", flat=True)]


def changed(order: Order, **fields: object) -> None:
    for name, value in fields.items():
        setattr(order, name, value)
    order.save()


def test_updated_filter_sends_only_when_the_status_becomes_one_of_those(affiliate: Affiliate) -> None:
    for_statuses(affiliate, "order.updated", "approved")
    order = OrderFactory(affiliate=affiliate)
    changed(order, status="rejected")
    changed(order, status="approved")
    changed(order, amount=99)
    changed(order, status="new", amount=98)
    changed(order, status="approved", amount=97)
    assert reasons() == ["filtered", "due", "filtered", "filtered", "due"]


def test_updated_filter_of_several_statuses_sends_for_each(affiliate: Affiliate) -> None:
    for_statuses(affiliate, "order.updated", "approved", "rejected")
    order = OrderFactory(affiliate=affiliate)
    changed(order, status="approved")
    changed(order, status="rejected")
    changed(order, status="new")
    assert reasons() == ["due", "due", "filtered"]


def test_created_filter_looks_at_the_status_the_order_came_with(affiliate: Affiliate) -> None:
    for_statuses(affiliate, "order.created", "approved")
    changed(OrderFactory(affiliate=affiliate), status="approved")
    OrderFactory(affiliate=affiliate, status="approved")
    assert reasons() == ["filtered", "due"]


def test_empty_filter_sends_everything(affiliate: Affiliate) -> None:
    for_statuses(affiliate, "order.created")
    for_statuses(affiliate, "order.updated")
    changed(OrderFactory(affiliate=affiliate), amount=99)
    assert reasons() == ["due", "due"]


def test_filter_of_one_callback_leaves_the_others_alone(affiliate: Affiliate) -> None:
    for_statuses(affiliate, "order.updated")
    for_statuses(affiliate, "order.updated", "approved")
    for_statuses(affiliate, "order.updated", "rejected", is_active=False)
    changed(OrderFactory(affiliate=affiliate), amount=99)
    assert reasons() == ["due", "filtered", "paused"]


def test_filter_of_rejected_gets_an_order_given_to_another(affiliate: Affiliate) -> None:
    for_statuses(affiliate, "order.updated", "rejected")
    other = AffiliateFactory()
    for_statuses(other, "order.created", "approved")
    changed(OrderFactory(affiliate=affiliate, status="approved"), affiliate=other)
    assert reasons() == ["due", "due"]
    assert Delivery.objects.values_list("variables__order.status", flat=True).order_by("pk")[0] == "rejected"


def test_filter_of_rejected_is_not_sent_again_when_the_order_is_given_away(affiliate: Affiliate) -> None:
    for_statuses(affiliate, "order.updated", "rejected")
    changed(OrderFactory(affiliate=affiliate, status="rejected"), affiliate=None)
    assert reasons() == ["filtered"]


def test_filtered_delivery_says_why_and_can_be_resent(affiliate: Affiliate) -> None:
    for_statuses(affiliate, "order.created", "approved")
    OrderFactory(affiliate=affiliate)
    delivery = Delivery.objects.get()
    assert delivery.get_skip_reason_display() == (
        "The callback is for certain statuses only, and the order did not come to one of them."
    )
    assert queue.claim(10) == []
    assert resend.resend([delivery.pk]).count == 1
    assert [claimed.pk for claimed in queue.claim(10)] == [delivery.pk]


@pytest.mark.parametrize(("status", "expected"), [("approved", "due"), ("rejected", "filtered"), ("new", "filtered")])
def test_reconciled_change_passes_the_filter_as_a_save_would(affiliate: Affiliate, status: str, expected: str) -> None:
    for_statuses(affiliate, "order.created")
    for_statuses(affiliate, "order.updated", "approved")
    order = OrderFactory(affiliate=affiliate)
    Order.objects.update(status=status, amount=99)
    outbox.record_events(list(reconcile.missed(order.created_at)))
    assert reasons() == ["due", expected]


def test_reconciled_change_of_something_else_is_left_out_by_the_filter(affiliate: Affiliate) -> None:
    for_statuses(affiliate, "order.created")
    for_statuses(affiliate, "order.updated", "approved")
    order = OrderFactory(affiliate=affiliate, status="approved")
    Order.objects.update(amount=99)
    outbox.record_events(list(reconcile.missed(order.created_at)))
    assert reasons() == ["due", "filtered"]


def test_reconciling_looks_from_the_oldest_callback_on(affiliate: Affiliate) -> None:
    for_statuses(affiliate, "order.created")
    order = OrderFactory(affiliate=affiliate)
    for_statuses(affiliate, "order.created")
    Delivery.objects.all().delete()
    assert [event.order for event in reconcile.missed(order.created_at)] == [order]


@pytest.mark.parametrize("statuses", [["shipped"], ["approved", 1], "approved", {"approved": 1}])
def test_filter_of_what_is_no_status_is_refused(affiliate: Affiliate, statuses: object) -> None:
    setting = CallbackSettingFactory.build(affiliate=affiliate, only_statuses=statuses)
    with pytest.raises(ValidationError) as refused:
        setting.full_clean()
    assert refused.value.error_dict["only_statuses"][0].code == "unknown_status"
