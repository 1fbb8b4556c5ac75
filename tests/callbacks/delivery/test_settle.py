from datetime import timedelta

import pytest
from django.utils import timezone

from affiliates.models import Affiliate
from callbacks.delivery import queue, settle
from callbacks.models import Attempt, CallbackSetting, Delivery
from tests.callbacks.delivery.settlements import settlement
from tests.factories import OrderFactory

pytestmark = pytest.mark.django_db


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
    assert (claimed.due.trigger, claimed.due.retry_step, claimed.due.was_gone) == ("retry", 1, False)


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


@pytest.mark.parametrize(
    ("code", "kind", "body", "expected"),
    [
        (200, "", "OK", False),
        (200, "", "", False),
        (200, "", '{"success": false}', True),
        (200, "", "error: click not found" + " " * 300, True),  # too long to be remembered
        (500, "status", '{"success": false}', False),
    ],
)
def test_settle_notes_whether_the_answer_means_no(
    setting: CallbackSetting, code: int, kind: str, body: str, expected: bool
) -> None:
    OrderFactory(affiliate=setting.affiliate)
    assert Delivery.objects.get().is_soft_failure is None
    [claimed] = queue.claim(10)
    ended = settlement(claimed, "failed" if kind else "succeeded", code=code)
    outcome = ended.outcome._replace(error_kind=kind, response_excerpt=body)
    settle.settle([ended._replace(outcome=outcome)])
    assert Delivery.objects.get().is_soft_failure is expected
