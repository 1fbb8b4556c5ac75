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


@pytest.mark.parametrize(
    ("statuses", "changes", "expected"),
    [
        (
            ["approved"],
            [{"status": "rejected"}, {"status": "approved"}, {"amount": 99}, {"status": "new"}, {"status": "approved"}],
            ["filtered", "superseded", "filtered", "filtered", "due"],
        ),
        (
            ["approved", "rejected"],
            [{"status": "approved"}, {"status": "rejected"}, {"status": "new"}],
            ["superseded", "superseded", "filtered"],
        ),
        ([], [{"amount": 99}], ["due"]),
    ],
)
def test_updated_filter_sends_only_when_the_status_becomes_one_of_those(
    affiliate: Affiliate, statuses: list[str], changes: list[dict[str, object]], expected: list[str]
) -> None:
    for_statuses(affiliate, "order.updated", *statuses)
    order = OrderFactory(affiliate=affiliate)
    for change in changes:
        changed(order, **change)
    assert reasons() == expected


def test_created_filter_looks_at_the_status_the_order_came_with(affiliate: Affiliate) -> None:
    for_statuses(affiliate, "order.created", "approved")
    changed(OrderFactory(affiliate=affiliate), status="approved")
    OrderFactory(affiliate=affiliate, status="approved")
    assert reasons() == ["filtered", "due"]


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
        "The callback is limited to certain statuses, and the order does not have one of them."
    )
    assert queue.claim(10) == []
    assert resend.resend([delivery.pk]).count == 1
    assert [claimed.pk for claimed in queue.claim(10)] == [delivery.pk]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [("new", "approved", "due"), ("new", "rejected", "filtered"), ("new", "new", "filtered"),
     ("approved", "approved", "filtered")],
)  # fmt: skip
def test_reconciled_change_passes_the_filter_as_a_save_would(
    affiliate: Affiliate, before: str, after: str, expected: str
) -> None:
    for_statuses(affiliate, "order.created")
    for_statuses(affiliate, "order.updated", "approved")
    order = OrderFactory(affiliate=affiliate, status=before)
    Order.objects.update(status=after, amount=99)
    outbox.record_events(list(reconcile.missed(order.created_at)))
    assert reasons() == ["due", expected]


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
