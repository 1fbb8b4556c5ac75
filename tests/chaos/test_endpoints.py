"""Settings that are edited, paused or deleted between two attempts, and while one is on the wire."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

from django.utils import timezone
from standardwebhooks import Webhook

from callbacks.delivery import health
from callbacks.models import Attempt, CallbackSetting, Delivery, EndpointHealth
from orders.models import Order
from tests.chaos.surroundings import QUERY, Surroundings
from tests.receiver import Answer, Receiver
from tests.waiting import wait_until

ORDERS = 20


def test_endpoints_edited_paused_or_deleted_between_attempts(
    around: Surroundings, receiver: Receiver, report: Callable[..., None]
) -> None:
    """The first repairs what waits, the second keeps it waiting, and nobody else, and the third ends it."""
    edited, paused, deleted = codes = around.affiliates(3)
    receiver.answer("*", Answer(status=503))
    around.place(3 * ORDERS, codes, changed_each=0)
    around.beat()
    around.worker()
    wait_until(lambda: Attempt.objects.count() == 3 * ORDERS, 30, around.log)
    Delivery.objects.update(next_attempt_at="2100-01-01T00:00:00Z")  # not before the test has done its part
    receiver.clear()
    receiver.answer("*", Answer())
    settings = CallbackSetting.objects.filter(event="order.created")
    for setting in settings.filter(affiliate__code=edited):
        setting.url = receiver.url("/corrected") + QUERY
        setting.save()
    settings.filter(affiliate__code=paused).update(is_active=False)
    settings.filter(affiliate__code=deleted).delete()
    around.make_due()
    other = around.place(ORDERS, around.affiliates(1), changed_each=0)[0]  # goes after them in the queue
    expected = {"succeeded": 2 * ORDERS, "pending": ORDERS, "skipped": ORDERS}
    wait_until(lambda: around.states() == expected, 30, around.log)
    assert Counter(request.path for request in receiver.requests) == {"/corrected": ORDERS, f"/{other}": ORDERS}
    ended = Delivery.objects.filter(affiliate__code=deleted)
    assert set(ended.values_list("skip_reason", "attempt_count")) == {(Delivery.SkipReason.SETTING_DELETED, 1)}
    settings.filter(affiliate__code=paused).update(is_active=True)
    around.wait_until_sent(30)
    counts = around.count()
    assert (counts.deliveries, counts.duplicates) == (3 * ORDERS, 0)
    assert Attempt.objects.count() == 6 * ORDERS  # what had been sent before stays on record
    report("endpoints edited, paused, deleted between attempts", counts)
    _failing_is_told_to_a_webhook(settings.get(affiliate__code=other), receiver)


def _failing_is_told_to_a_webhook(failing: CallbackSetting, receiver: Receiver) -> None:
    """By the worker that is there, signed."""
    webhook = CallbackSetting.objects.create(
        event="system", method="POST", body_format="json", url=receiver.url("/hooks")
    )
    now = timezone.now()
    times = {"first_failure_at": now - timedelta(hours=25), "last_failure_at": now - timedelta(hours=1)}
    EndpointHealth.objects.create(setting=failing, failures=10, last_error_kind="timeout", **times)
    health.judge()
    wait_until(lambda: receiver.requests[-1].path == "/hooks", 15)
    request = receiver.requests[-1]
    headers = {name: request.header(name) or "" for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
    event = Webhook(webhook.secret).verify(request.body.decode(), headers)
    assert (event["type"], event["data"]["callback"]["id"]) == ("callback.failing", failing.pk)
    wait_until(lambda: Delivery.objects.get(setting=webhook).status == "succeeded", 10)


def test_endpoints_changed_while_requests_are_on_the_wire_record_what_was_answered(
    around: Surroundings, receiver: Receiver, report: Callable[..., None]
) -> None:
    edited, paused, deleted, emptied = codes = around.affiliates(4)
    receiver.answer("*", Answer(delay_s=1.5))
    around.place(8, codes, changed_each=0)
    around.worker()
    requests = receiver.wait_for(8, 30)
    settings = CallbackSetting.objects.filter(event="order.created")
    settings.filter(affiliate__code=edited).update(url=receiver.url("/elsewhere") + QUERY)
    settings.filter(affiliate__code=paused).update(is_active=False)
    settings.filter(affiliate__code=deleted).delete()
    Delivery.objects.filter(affiliate__code=emptied).delete()
    Order.objects.filter(affiliate__code=emptied).delete()
    around.wait_until_sent(30)
    wait_until(lambda: not around.claimed(), 10)
    kept = [request for request in requests if request.path != f"/{emptied}"]
    assert receiver.requests == requests
    receiver.requests[:] = kept  # what is not in the database any more cannot be counted
    counts = around.count()
    assert (counts.deliveries, counts.duplicates) == (6, 0)
    attempts = Attempt.objects.values_list("url", "status_code")
    assert sorted(attempts) == sorted((receiver.url(request.target), 200) for request in kept)
    report("endpoints edited, paused, deleted while requests are on the wire", counts)
