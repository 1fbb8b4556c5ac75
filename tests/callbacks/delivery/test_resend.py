import pytest

from affiliates.models import Affiliate
from callbacks.delivery import queue, resend, settle
from callbacks.models import CallbackSetting, Delivery
from tests.callbacks.delivery.settlements import settlement
from tests.factories import OrderFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("status", ["succeeded", "failed"])
def test_resend_ended_delivery_is_due_now_by_hand(affiliate: Affiliate, status: str) -> None:
    OrderFactory(affiliate=affiliate)
    (claimed,) = queue.claim(10)
    settle.settle([settlement(claimed, status, retry_step=9)])
    assert resend.resend([claimed.pk]) == resend.Resent(1, int(status == "succeeded"))
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
