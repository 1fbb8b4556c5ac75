"""Claims of due deliveries, and how they come back."""

from datetime import timedelta

import pytest
from django.utils import timezone

from affiliates.models import Affiliate
from callbacks.delivery import db_thread, queue, resend, settle
from callbacks.models import CallbackSetting, Delivery
from tests.callbacks.delivery.settlements import settlement
from tests.factories import OrderFactory

pytestmark = pytest.mark.django_db


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


@pytest.mark.parametrize("end", ["succeeded", "failed"])
def test_claim_updated_waits_until_created_at_the_same_host_has_ended(affiliate: Affiliate, end: str) -> None:
    order = OrderFactory(affiliate=affiliate)
    order.status = "approved"
    order.save()
    (created,) = queue.claim(10)
    assert created.due.event == "order.created"
    assert queue.claim(10) == []  # it is on the wire
    settle.settle([settlement(created, "pending", timezone.now() + timedelta(seconds=5), code=503)])
    assert queue.claim(10) == []  # and waits for its next attempt
    assert not queue.is_anything_due()
    Delivery.objects.filter(event="order.created").update(next_attempt_at=timezone.now())
    (created,) = queue.claim(10)
    settle.settle([settlement(created, end)])
    assert [claimed.due.event for claimed in queue.claim(10)] == ["order.updated"]


def test_claim_updated_does_not_wait_for_a_created_at_another_host(affiliate: Affiliate) -> None:
    elsewhere = CallbackSetting.objects.get(event="order.created")
    elsewhere.url = "https://dead.example/"
    elsewhere.save()
    order = OrderFactory(affiliate=affiliate)
    order.status = "approved"
    order.save()
    assert {claimed.due.event for claimed in queue.claim(10)} == {"order.created", "order.updated"}


@pytest.mark.parametrize("status", ["blocked", "pending"])
def test_claim_of_an_affiliate_who_gets_nothing_is_skipped_with_the_reason(affiliate: Affiliate, status: str) -> None:
    OrderFactory(affiliate=affiliate)
    Affiliate.objects.update(status=status)
    found = db_thread.claim_due(10, queue.EVERYTHING, queue.LEASE)
    assert found.claims == []
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.skip_reason) == ("skipped", f"affiliate_{status}")
    assert resend.resend([delivery.pk]).count == 0
    assert resend.resend([delivery.pk], resend.REASONS_ALONE).count == 0


def test_claim_held_callback_keeps_its_deliveries_until_the_time_the_tracker_named(affiliate: Affiliate) -> None:
    OrderFactory(affiliate=affiliate)
    CallbackSetting.objects.update(held_until=timezone.now() + timedelta(minutes=1))
    assert not queue.is_anything_due()
    assert queue.claim(10) == []
    CallbackSetting.objects.update(held_until=timezone.now())
    assert len(queue.claim(10)) == 1


def test_claim_gone_counts_only_for_the_request_that_was_answered_so(affiliate: Affiliate) -> None:
    OrderFactory(affiliate=affiliate)
    (claimed,) = queue.claim(10)
    settle.settle([settlement(claimed, "pending", timezone.now(), code=410)])
    (claimed,) = queue.claim(10)
    assert claimed.due.was_gone
    queue.give_back([claimed])
    setting = CallbackSetting.objects.get(event="order.created")
    setting.url = "https://tracker.example/corrected"
    setting.save()
    (claimed,) = queue.claim(10)
    assert not claimed.due.was_gone


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
    queue.skip([claimed])
    assert Delivery.objects.get().skip_reason == "setting_deleted"


def test_claim_what_another_took_since_it_was_read_stays_theirs(affiliate: Affiliate) -> None:
    OrderFactory.create_batch(3, affiliate=affiliate)
    read = queue.due(10)
    (theirs,) = queue.claim(1)
    ours = queue._take(read, queue.LEASE)
    assert {claimed.pk for claimed in ours} == {row.pk for row in read} - {theirs.pk}
    assert Delivery.objects.get(pk=theirs.pk).claim_token == theirs.token


def test_give_back_returns_the_delivery_unattempted(affiliate: Affiliate) -> None:
    OrderFactory(affiliate=affiliate)
    queue.give_back(queue.claim(10))
    (claimed,) = queue.claim(10)
    assert claimed.due.trigger == "initial"


def test_recover_leaves_running_leases_alone(affiliate: Affiliate) -> None:
    OrderFactory(affiliate=affiliate)
    queue.claim(10)
    assert queue.recover() == 0


def test_recover_makes_first_attempts_due_that_a_wrong_clock_planned_for_later(affiliate: Affiliate) -> None:
    first, retried, soon = (OrderFactory(affiliate=affiliate).deliveries.get() for _ in range(3))
    later = timezone.now() + timedelta(hours=1)
    Delivery.objects.filter(pk__in=[first.pk, retried.pk]).update(next_attempt_at=later)
    Delivery.objects.filter(pk=retried.pk).update(attempt_count=1)
    Delivery.objects.filter(pk=soon.pk).update(next_attempt_at=timezone.now() + queue.CLOCKS_DIFFER / 2)
    assert queue.claim(10) == []
    queue.recover()
    assert [claimed.pk for claimed in queue.claim(10)] == [first.pk]
    retried.refresh_from_db()
    assert retried.next_attempt_at == later
