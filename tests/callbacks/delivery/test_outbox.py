import uuid
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core import serializers
from django.db import IntegrityError, transaction
from django.utils import timezone

from affiliates.models import Affiliate
from callbacks.delivery import outbox, queue, resend, settle
from callbacks.egress.outcome import Outcome, Request
from callbacks.models import Attempt, CallbackSetting, Delivery, EventType
from orders.models import Order
from tests.factories import AffiliateFactory, CallbackSettingFactory, LinkFactory, OrderFactory, callbacks_for

pytestmark = pytest.mark.django_db

URL = "https://tracker.example/postback?order={{order.number}}"


@pytest.fixture
def affiliate() -> Affiliate:
    affiliate = AffiliateFactory()
    callbacks_for(affiliate, URL)
    return affiliate


def recorded() -> list[tuple[str, str, str]]:
    """Event, affiliate and status value of every delivery, in the order they were recorded."""
    rows = Delivery.objects.order_by("pk").select_related("affiliate")
    return [(row.event, row.affiliate.code if row.affiliate else "", row.variables["order.status"]) for row in rows]


# --- record ------------------------------------------------------------------
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
        "link.sub_id": "fb", "link.path": "/p", "link.hash": "top",
        "link.query.ref": affiliate.code, "link.query.sub_id": "fb", "link.query.x": "1",
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"number": "#new"},
        {"amount": Decimal(59)},
        {"commission": Decimal(1)},
        {"currency": "EUR"},
        {"status": "approved"},
    ],
)
def test_record_watched_field_changed_is_updated(affiliate: Affiliate, change: dict[str, Any]) -> None:
    order = OrderFactory(affiliate=affiliate)
    for name, value in change.items():
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
    callbacks_for(other, URL)
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


def test_record_paused_callback_is_skipped_with_the_reason(affiliate: Affiliate) -> None:
    CallbackSetting.objects.update(is_active=False)
    OrderFactory(affiliate=affiliate)
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.skip_reason, delivery.next_attempt_at) == ("skipped", "paused", None)


def test_record_blocked_affiliate_is_skipped_with_the_reason(affiliate: Affiliate) -> None:
    affiliate.status = Affiliate.Status.BLOCKED
    affiliate.save()
    OrderFactory(affiliate=affiliate)
    assert Delivery.objects.get().skip_reason == "affiliate_blocked"


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
    assert wakeups == [outbox.wakeup.send]
    with django_capture_on_commit_callbacks() as wakeups:
        OrderFactory()
    assert wakeups == []


# --- claim -------------------------------------------------------------------
def test_claim_due_deliveries_leases_them_with_their_setting_as_it_is_now(affiliate: Affiliate) -> None:
    OrderFactory(affiliate=affiliate)
    CallbackSetting.objects.update(url="https://corrected.example/", method="POST")
    (claimed,) = queue.claim(10)
    assert claimed.endpoint
    assert (claimed.endpoint.template, claimed.endpoint.method) == ("https://corrected.example/", "POST")
    assert claimed.due.trigger == "initial"
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.claim_token, delivery.next_attempt_at) == ("sending", claimed.token, None)
    assert queue.claim(10) == []


def test_claim_takes_the_earliest_due_first_and_no_more_than_asked(affiliate: Affiliate) -> None:
    for _ in range(3):
        OrderFactory(affiliate=affiliate)
    late, early, future = Delivery.objects.order_by("pk")
    now = timezone.now()
    for row, moment in ((late, now), (early, now - timedelta(hours=1)), (future, now + timedelta(hours=1))):
        Delivery.objects.filter(pk=row.pk).update(next_attempt_at=moment)
    assert [c.pk for c in queue.claim(1)] == [early.pk]
    assert [c.pk for c in queue.claim(5)] == [late.pk]


def test_claim_first_attempts_go_before_retries(affiliate: Affiliate) -> None:
    OrderFactory.create_batch(2, affiliate=affiliate)
    again, first = Delivery.objects.order_by("pk")
    Delivery.objects.filter(pk=again.pk).update(attempt_count=1, next_attempt_at=timezone.now() - timedelta(hours=1))
    assert [c.pk for c in queue.claim(1)] == [first.pk]
    assert [c.pk for c in queue.claim(2)] == [again.pk]


def test_claim_updated_waits_for_the_first_attempt_of_created(affiliate: Affiliate) -> None:
    order = OrderFactory(affiliate=affiliate)
    order.status = "approved"
    order.save()
    (created,) = queue.claim(10)
    assert created.due.event == "order.created"
    settle.settle([settlement(created, "pending", timezone.now() + timedelta(seconds=5))])
    (updated,) = queue.claim(10)
    assert updated.due.event == "order.updated"


def test_claim_updated_does_not_wait_for_a_created_that_is_paused_or_skipped(affiliate: Affiliate) -> None:
    order = OrderFactory(affiliate=affiliate)
    order.status = "approved"
    order.save()
    CallbackSetting.objects.filter(event="order.created").update(is_active=False)
    assert [c.due.event for c in queue.claim(10)] == ["order.updated"]


def test_claim_paused_callback_keeps_its_deliveries_until_it_is_resumed(affiliate: Affiliate) -> None:
    OrderFactory(affiliate=affiliate)
    CallbackSetting.objects.update(is_active=False)
    assert queue.claim(10) == []
    assert not queue.is_anything_due()
    CallbackSetting.objects.update(is_active=True)
    assert queue.is_anything_due()
    assert len(queue.claim(10)) == 1


def test_claim_deleted_callback_has_no_template(affiliate: Affiliate) -> None:
    OrderFactory(affiliate=affiliate)
    CallbackSetting.objects.all().delete()
    (claimed,) = queue.claim(10)
    assert claimed.endpoint is None
    queue.skip(claimed, Delivery.SkipReason.SETTING_DELETED)
    assert Delivery.objects.get().skip_reason == "setting_deleted"


# --- settle ------------------------------------------------------------------
def settlement(claimed: queue.Claimed, status: str, again: Any = None, **kw: Any) -> settle.Settlement:
    request = Request(claimed.pk, "GET", "https://tracker.example/", (), None)
    outcome = Outcome(claimed.pk, kw.pop("code", 200), "", "The tracker answered.")
    return settle.Settlement(claimed, timezone.now(), request, outcome, status, again, kw.pop("retry_step", 0), **kw)


def test_settle_success_writes_the_attempt_and_ends_the_delivery(affiliate: Affiliate) -> None:
    OrderFactory(affiliate=affiliate)
    settle.settle([settlement(claimed, "succeeded") for claimed in queue.claim(10)])
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.attempt_count, delivery.last_status_code) == ("succeeded", 1, 200)
    assert delivery.last_attempt_at is not None
    assert delivery.attempts.get().trigger == "initial"


def test_settle_failure_to_be_repeated_is_due_again_as_a_retry(affiliate: Affiliate) -> None:
    OrderFactory(affiliate=affiliate)
    again = timezone.now() - timedelta(seconds=1)
    settle.settle([settlement(c, "pending", again, code=500, retry_step=1) for c in queue.claim(10)])
    (claimed,) = queue.claim(10)
    assert (claimed.due.trigger, claimed.due.retry_step, claimed.due.last_status_code) == ("retry", 1, 500)


def test_settle_lost_lease_keeps_the_attempt_and_not_the_state(affiliate: Affiliate) -> None:
    OrderFactory(affiliate=affiliate)
    (first,) = queue.claim(10)
    Delivery.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    assert queue.recover() == 1
    (second,) = queue.claim(10)
    settle.settle([settlement(first, "succeeded")])
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.claim_token, delivery.attempt_count) == ("sending", second.token, 0)
    assert Attempt.objects.count() == 1


def test_settle_once_more_after_an_unknown_commit_writes_no_attempt_twice(affiliate: Affiliate) -> None:
    OrderFactory.create_batch(2, affiliate=affiliate)
    first, second = [settlement(claimed, "succeeded") for claimed in queue.claim(10)]
    settle.settle([first])
    settle.settle([first, second])
    assert list(Attempt.objects.order_by("delivery").values_list("delivery", flat=True)) == [
        first.claimed.pk,
        second.claimed.pk,
    ]
    assert set(Delivery.objects.values_list("status", "attempt_count")) == {("succeeded", 1)}


def test_settle_deleted_delivery_does_not_spoil_the_batch(affiliate: Affiliate) -> None:
    OrderFactory.create_batch(2, affiliate=affiliate)
    claims = queue.claim(10)
    Delivery.objects.filter(pk=claims[0].pk).delete()
    settle.settle([settlement(claimed, "succeeded") for claimed in claims])
    assert Delivery.objects.get().status == "succeeded"
    assert Attempt.objects.count() == 1


def test_settle_gone_for_good_pauses_the_setting(affiliate: Affiliate) -> None:
    OrderFactory(affiliate=affiliate)
    settle.settle([settlement(c, "failed", code=410, pause_setting=True) for c in queue.claim(10)])
    setting = CallbackSetting.objects.get(event="order.created")
    assert (setting.is_active, setting.pause_reason) == (False, "gone")


def test_settle_gone_for_good_leaves_a_corrected_setting_alone(affiliate: Affiliate) -> None:
    OrderFactory(affiliate=affiliate)
    claims = queue.claim(10)
    CallbackSetting.objects.update(url="https://corrected.example/")
    settle.settle([settlement(c, "failed", code=410, pause_setting=True) for c in claims])
    assert CallbackSetting.objects.get(event="order.created").is_active


def test_give_back_returns_the_delivery_unattempted(affiliate: Affiliate) -> None:
    OrderFactory(affiliate=affiliate)
    queue.give_back(queue.claim(10))
    (claimed,) = queue.claim(10)
    assert claimed.due.trigger == "initial"


# --- recover, resend ---------------------------------------------------------
def test_recover_leaves_running_leases_alone(affiliate: Affiliate) -> None:
    OrderFactory(affiliate=affiliate)
    queue.claim(10)
    assert queue.recover() == 0


@pytest.mark.parametrize("status", ["succeeded", "failed"])
def test_resend_ended_delivery_is_due_now_by_hand(affiliate: Affiliate, status: str) -> None:
    OrderFactory(affiliate=affiliate)
    (claimed,) = queue.claim(10)
    settle.settle([settlement(claimed, status, retry_step=9)])
    assert resend.resend([claimed.pk]) == resend.Resent(1, {})
    (again,) = queue.claim(10)
    assert (again.due.variables["event.id"], again.due.trigger, again.due.retry_step) == (
        claimed.due.variables["event.id"],
        "manual",
        0,
    )


def test_resend_skipped_delivery_of_a_resumed_callback_goes_out(affiliate: Affiliate) -> None:
    CallbackSetting.objects.update(is_active=False)
    OrderFactory(affiliate=affiliate)
    delivery = Delivery.objects.get()
    assert "paused" in resend.resend([delivery.pk]).refused[delivery.pk]
    CallbackSetting.objects.update(is_active=True)
    assert resend.resend([delivery.pk]).count == 1
    assert len(queue.claim(10)) == 1


def test_resend_what_cannot_go_out_is_refused_with_the_reason(affiliate: Affiliate) -> None:
    OrderFactory.create_batch(2, affiliate=affiliate)
    sending, orphan = queue.claim(1)[0].pk, Delivery.objects.order_by("-pk")[0]
    orphan.setting = None
    orphan.save()
    resent = resend.resend([sending, orphan.pk])
    assert resent.count == 0
    assert "right now" in resent.refused[sending]
    assert "deleted" in resent.refused[orphan.pk]


# --- the rows themselves -----------------------------------------------------
@pytest.mark.parametrize(
    "fields",
    [
        {"status": "pending", "next_attempt_at": None},
        {"status": "succeeded", "next_attempt_at": timezone.now()},
        {"status": "sending", "next_attempt_at": None},
        {"status": "failed", "next_attempt_at": None, "claim_token": uuid.uuid4()},
        {"status": "skipped", "next_attempt_at": None},
        {"status": "lost", "next_attempt_at": None},
    ],
)
def test_database_state_that_contradicts_itself_is_refused(affiliate: Affiliate, fields: dict[str, Any]) -> None:
    OrderFactory(affiliate=affiliate)
    with pytest.raises(IntegrityError), transaction.atomic():
        Delivery.objects.update(**fields)


def test_delivery_made_by_hand_belongs_to_its_settings_affiliate() -> None:
    setting = CallbackSettingFactory()
    delivery = Delivery.objects.create(setting=setting, event=EventType.CREATED, next_attempt_at=timezone.now())
    assert delivery.affiliate == setting.affiliate


def test_claim_what_another_took_since_it_was_read_stays_theirs(affiliate: Affiliate) -> None:
    OrderFactory.create_batch(3, affiliate=affiliate)
    read = queue.first_attempts(10)
    (theirs,) = queue.claim(1)
    ours = queue._take(read, queue.LEASE)
    assert {claimed.pk for claimed in ours} == {row.pk for row in read} - {theirs.pk}
    assert Delivery.objects.get(pk=theirs.pk).claim_token == theirs.token
