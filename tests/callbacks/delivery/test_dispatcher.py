"""The whole way of a delivery inside one process: a saved order, the real transport, a real receiver."""

import json
import math
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from standardwebhooks import Webhook

from callbacks import tasks
from callbacks.delivery import dispatcher, queue, wakeup
from callbacks.models import Attempt, CallbackSetting, Delivery, TroubledHost
from orders.models import Order
from tests.factories import (
    AffiliateFactory,
    CallbackSettingFactory,
    LinkFactory,
    OrderFactory,
    callbacks_for,
    orders_told_at,
)
from tests.receiver import Answer, Received, Receiver

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("broker", "loopback")]


def order_for(url: str, **setting: Any) -> Order:
    affiliate = AffiliateFactory()
    callbacks_for(affiliate, url, **setting)
    link = LinkFactory(affiliate=affiliate, url=f"https://shop.example/?ref={affiliate.code}&sub_id=a%26b")
    return OrderFactory(affiliate=affiliate, link=link, number="#100001")


def only_delivery() -> Delivery:
    return Delivery.objects.get()


def test_run_get_sends_the_exact_url_and_records_it(receiver: Receiver) -> None:
    order_for(receiver.url("/pb?o={{order.number}}&a={{order.amount}}&s={{link.sub_id}}&l"))
    assert dispatcher.run() == 1
    (request,) = receiver.wait_for(1)
    assert (request.method, request.target) == ("GET", "/pb?o=%23100001&a=58.00&s=a%26b&l")
    attempt = Attempt.objects.get()
    assert (attempt.trigger, attempt.method, attempt.url) == ("initial", "GET", receiver.url(request.target))
    assert (attempt.status_code, attempt.error_kind, attempt.remote_address) == (200, "", "127.0.0.1")
    assert attempt.total_ms is not None
    assert attempt.is_success
    assert dict(attempt.request_headers)["User-Agent"] == request.header("User-Agent") == "AffiliatePostbacks/0.1.0"
    delivery = only_delivery()
    assert (delivery.status, delivery.attempt_count, delivery.last_status_code) == ("succeeded", 1, 200)


def verified(setting: CallbackSetting, request: Any, content: str) -> Any:
    headers = {name: request.header(name) for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
    return Webhook(setting.secret).verify(content, headers)


def test_run_post_json_sends_the_event_and_the_public_library_verifies_it(receiver: Receiver) -> None:
    order = order_for(receiver.url("/post?x={{order.number}}"), method="POST", body_format="json")
    dispatcher.run()
    (request,) = receiver.wait_for(1)
    assert (request.method, request.target) == ("POST", "/post?x=%23100001")
    assert request.header("Content-Type") == "application/json"
    setting, delivery = CallbackSetting.objects.get(event="order.created"), only_delivery()
    event = verified(setting, request, request.body.decode())
    assert event == json.loads(Attempt.objects.get().request_body)
    assert event["type"] == "order.created"
    assert event["data"] == {
        "order": {
            "number": "#100001", "amount": "58.00", "commission": "8.70", "currency": "USD", "status": "new",
            "created_at": order.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "amount_change": "58.00", "commission_change": "8.70", "subtotal": "", "refunded": "0.00", "coupon": "",
            "items": None, "source": "",
        },
        "customer": {"is_new": None},
        "link": {
            "sub_id": "a&b", "path": "/", "hash": "",
            "query": {"ref": order.affiliate.code if order.affiliate else "", "sub_id": "a&b"},
        },
        "affiliate": {"code": order.affiliate.code if order.affiliate else ""},
    }  # fmt: skip
    assert request.header("webhook-id") == str(delivery.event_id) == delivery.variables["event.id"]


def test_run_post_form_sends_the_parameters_again(receiver: Receiver) -> None:
    order_for(receiver.url("/post?o={{order.number}}&s={{link.sub_id}}"), method="POST")
    dispatcher.run()
    (request,) = receiver.wait_for(1)
    assert request.target == "/post?o=%23100001&s=a%26b"
    assert request.header("Content-Type") == "application/x-www-form-urlencoded"
    assert request.body == b"o=%23100001&s=a%26b"
    with pytest.raises(json.JSONDecodeError):  # the signature is right; the library only goes on to read JSON
        verified(CallbackSetting.objects.get(event="order.created"), request, request.body.decode())


def test_run_get_signs_the_request_target(receiver: Receiver) -> None:
    order_for(receiver.url("/pb?o={{order.number}}#{{order.status}}"))
    dispatcher.run()
    (request,) = receiver.wait_for(1)
    with pytest.raises(json.JSONDecodeError):  # as above
        verified(CallbackSetting.objects.get(event="order.created"), request, request.target)


@pytest.mark.parametrize(
    ("answer", "kind", "status"),
    [
        (Answer(status=500), "status", "pending"),
        (Answer(status=404), "status", "pending"),
        (Answer(status=302, headers=(("Location", "https://new.example/"),)), "redirect", "pending"),
        (Answer(status=410), "status", "pending"),
        (Answer(raw=b"", end="close"), "closed", "pending"),
    ],
)
def test_run_anything_but_2xx_is_tried_again(receiver: Receiver, answer: Answer, kind: str, status: str) -> None:
    receiver.answer("*", answer)
    order_for(receiver.url("/pb"))
    began = timezone.now()
    dispatcher.run()
    delivery = only_delivery()
    assert (delivery.status, delivery.last_error_kind) == (status, kind)
    assert delivery.next_attempt_at is not None
    assert delivery.next_attempt_at >= began + timedelta(seconds=5)
    assert Attempt.objects.get().detail


def test_run_failure_then_success_is_a_retry_with_the_same_event_id(receiver: Receiver) -> None:
    receiver.answer("*", Answer(status=503), Answer(status=204))
    order_for(receiver.url("/pb"))
    dispatcher.run()
    Delivery.objects.update(next_attempt_at=timezone.now())
    dispatcher.run()
    first, second = receiver.wait_for(2)
    assert first.header("webhook-id") == second.header("webhook-id")
    assert list(Attempt.objects.order_by("pk").values_list("trigger", "status_code")) == [
        ("initial", 503), ("retry", 204),
    ]  # fmt: skip
    assert only_delivery().status == "succeeded"


def test_run_gone_twice_pauses_the_callback(receiver: Receiver) -> None:
    receiver.answer("*", Answer(status=410))
    order_for(receiver.url("/pb"))
    dispatcher.run()
    delivery = only_delivery()
    assert delivery.next_attempt_at is not None
    assert delivery.next_attempt_at > timezone.now() + timedelta(minutes=59)
    Delivery.objects.update(next_attempt_at=timezone.now())
    dispatcher.run()
    assert only_delivery().status == "failed"
    assert not CallbackSetting.objects.get(event="order.created").is_active


def test_run_corrected_url_repairs_what_is_waiting(receiver: Receiver) -> None:
    receiver.answer("/wrong", Answer(status=404))
    order_for(receiver.url("/wrong"))
    dispatcher.run()
    CallbackSetting.objects.update(url=receiver.url("/right?s={{order.status}}"))
    order = Order.objects.get()
    order.status = "approved"
    order.save()
    Delivery.objects.update(next_attempt_at=timezone.now())
    dispatcher.run()
    targets = sorted(request.target for request in receiver.wait_for(3))
    # the values stay those of the moment of each event
    assert targets == ["/right?s=approved", "/right?s=new", "/wrong"]


def test_run_dots_in_the_path_fail_at_once_with_a_sentence(receiver: Receiver) -> None:
    affiliate = AffiliateFactory()
    CallbackSettingFactory(affiliate=affiliate, url=receiver.url("/a/{{order.number}}/b"))
    OrderFactory(affiliate=affiliate, number="..")
    dispatcher.run()
    attempt, delivery = Attempt.objects.get(), only_delivery()
    assert (delivery.status, attempt.error_kind, attempt.url) == ("failed", "template", "")
    assert "order.number" in attempt.detail
    assert receiver.wait_for(0) == []


def test_run_blocked_address_fails_at_once_without_a_connection(receiver: Receiver, settings: Any) -> None:
    settings.CALLBACKS_ALLOWED_NETWORKS = ()
    dispatcher.of_process.cache_clear()
    order_for(receiver.url("/pb"))
    dispatcher.run()
    assert (only_delivery().status, only_delivery().last_error_kind) == ("failed", "blocked_address")
    assert receiver.wait_for(0) == []


def test_run_deleted_callback_is_skipped(receiver: Receiver) -> None:
    order_for(receiver.url("/pb"))
    CallbackSetting.objects.all().delete()
    assert dispatcher.run() == 0
    assert only_delivery().skip_reason == "setting_deleted"


def test_run_created_goes_before_updated(receiver: Receiver) -> None:
    order = order_for(receiver.url("/pb?e={{event}}"))
    order.status = "approved"
    order.save()
    dispatcher.run()
    assert [r.query[0][1] for r in receiver.wait_for(2)] == ["order.created", "order.updated"]


def test_run_many_are_all_sent_once(receiver: Receiver) -> None:
    affiliate = AffiliateFactory()
    callbacks_for(affiliate, receiver.url("/pb?o={{order.number}}"))
    Order.objects.bulk_create(Order(number=str(n), affiliate=affiliate, amount=1, currency="USD") for n in range(1200))
    assert dispatcher.run() == 1200
    numbers = sorted(int(r.query[0][1]) for r in receiver.wait_for(1200))
    assert numbers == list(range(1200))
    assert set(Delivery.objects.values_list("status", flat=True)) == {"succeeded"}


def test_run_stopping_gives_back_what_was_not_started(receiver: Receiver) -> None:
    order_for(receiver.url("/pb"))
    assert dispatcher.run(lambda: True) == 0
    assert only_delivery().status == "pending"


def test_run_slow_attempt_does_not_hold_back_the_others(receiver: Receiver) -> None:
    receiver.answer("/slow", Answer(delay_s=1.0))
    order_for(receiver.url("/slow"))
    fast = AffiliateFactory()
    callbacks_for(fast, receiver.url("/fast"))
    OrderFactory(affiliate=fast)
    dispatcher.run()
    times = dict(Attempt.objects.values_list("url", "total_ms"))
    assert times[receiver.url("/slow")] > 900
    settled = dict(Delivery.objects.values_list("setting__url", "last_attempt_at"))
    assert settled[receiver.url("/slow")] - settled[receiver.url("/fast")] > timedelta(seconds=0.5)


def test_run_with_something_in_flight_is_woken(
    receiver: Receiver, new_dispatcher: Callable[..., dispatcher.Dispatcher]
) -> None:
    engine = new_dispatcher(claim_interval_s=60.0)
    receiver.answer("/slow", Answer(delay_s=3.0))
    order_for(receiver.url("/slow"))
    fast = AffiliateFactory()
    callbacks_for(fast, receiver.url("/fast"))
    saved = []

    def save() -> Iterator[bool]:
        """Once the slow one is under way and its claim is done."""
        while not receiver.requests or engine.db_thread.is_busy:
            yield False
        OrderFactory(affiliate=fast)
        saved.append(time.time())

    steps = save()
    assert engine.run(lambda: next(steps, False)) == 2
    at = {request.path: request.at for request in receiver.requests}
    assert at["/fast"] - saved[0] < 2.0


def test_sweep_recovers_leases_sends_a_wakeup_and_notes_that_it_ran() -> None:
    OrderFactory(affiliate=CallbackSettingFactory().affiliate)
    (claimed,) = queue.claim(1)
    Delivery.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    wakeup.take()
    tasks.sweep()
    assert only_delivery().status == "pending"
    assert wakeup.was_swept(5)
    assert wakeup.take()
    assert claimed.pk == only_delivery().pk


def test_run_endpoint_that_hangs_does_not_keep_the_others_waiting(receiver: Receiver) -> None:
    receiver.answer("/hangs", Answer(delay_s=2.0))
    orders_told_at([receiver.url("/hangs")], 100)
    orders_told_at([receiver.url(f"/works/{n}") for n in range(10)], 10)
    began = time.time()
    stop_at = began + 1.5
    dispatcher.run(lambda: time.time() > stop_at)
    works = [request for request in receiver.requests if request.path.startswith("/works")]
    assert len(works) == 100
    assert max(request.at for request in works) - began < 1.0
    assert Delivery.objects.filter(status="pending", attempt_count=0).count() > 80  # and none of them was charged


def test_run_host_that_refuses_ten_times_is_held_and_then_probed(receiver: Receiver, settings: Any) -> None:
    with Receiver() as gone:
        url = gone.url("/pb")
        settings.CALLBACKS_ALLOWED_PORTS = frozenset({receiver.port, gone.port})
    dispatcher.of_process.cache_clear()
    orders_told_at([url], 60)
    dispatcher.run()
    attempts = Attempt.objects.count()
    assert 10 <= attempts <= 10 + 32  # those that were in flight together
    assert set(Attempt.objects.values_list("error_kind", flat=True)) == {"connect"}
    waiting = Delivery.objects.filter(attempt_count=0, status="pending")
    assert waiting.count() == 60 - attempts

    assert dispatcher.run() == 0
    TroubledHost.objects.update(probe_at=timezone.now())
    assert dispatcher.run() == 1  # the probe
    assert waiting.count() == 60 - attempts - 1

    with Receiver(port=int(url.split(":")[2].split("/")[0])) as back:
        TroubledHost.objects.update(probe_at=timezone.now())
        dispatcher.run()
        assert len(back.wait_for(59 - attempts)) == 59 - attempts
    assert not TroubledHost.objects.exists()


def limited(count: int, per_s: float, status: int = 429) -> Callable[[Received], Answer]:
    """The answers of a tracker that takes so many requests in so many seconds."""
    taken: list[float] = []

    def answer(request: Received) -> Answer:
        taken[:] = [at for at in taken if at > request.at - per_s]
        if len(taken) >= count:
            return Answer(status=status, headers=(("Retry-After", str(math.ceil(per_s))),))
        taken.append(request.at)
        return Answer()

    return answer


def run_until_sent(limit_s: float) -> float:
    """As a worker and the sweep do; the seconds that it took."""
    began = time.monotonic()
    while Delivery.objects.filter(status__in=["pending", "sending"]).exists():
        dispatcher.run()
        assert time.monotonic() - began < limit_s, list(Delivery.objects.values_list("status", "retry_step"))
        time.sleep(0.5)
    return time.monotonic() - began


@pytest.mark.parametrize(("count", "per_s", "status"), [(2, 1.0, 429), (5, 2.0, 503)])
def test_run_tracker_with_a_limit_gets_all_at_its_own_pace(
    receiver: Receiver, count: int, per_s: float, status: int
) -> None:
    receiver.answer("/limited", limited(count, per_s, status))
    orders_told_at([receiver.url("/limited")], 12)
    assert run_until_sent(12 / count * per_s + 30)
    assert set(Delivery.objects.values_list("status", "retry_step")) == {("succeeded", 0)}
    assert Attempt.objects.count() < 12 * 3


def test_run_callback_that_was_asked_to_wait_holds_what_waits_for_it_and_nobody_else(receiver: Receiver) -> None:
    receiver.answer("/asks", Answer(status=503, headers=(("Retry-After", "3600"),)))
    orders_told_at([receiver.url("/asks"), receiver.url("/other")], 30)
    dispatcher.run()
    assert len(receiver.requests_at("/other")) == 30
    asked = len(receiver.requests_at("/asks"))
    assert asked <= 4  # those that were in flight together
    setting = CallbackSetting.objects.get(url=receiver.url("/asks"))
    assert setting.held_until is not None
    assert timedelta(minutes=59) < setting.held_until - timezone.now() <= timedelta(hours=1)
    assert setting.deliveries.filter(attempt_count=0, status="pending").count() == 30 - asked
    assert not queue.is_anything_due()
    setting.url = receiver.url("/corrected")
    setting.save()
    Delivery.objects.filter(status="pending").update(next_attempt_at=timezone.now())
    dispatcher.run()
    assert len(receiver.requests_at("/corrected")) == 30


def test_run_gone_at_a_corrected_url_is_confirmed_once_more(receiver: Receiver) -> None:
    receiver.answer("*", Answer(status=410))
    order_for(receiver.url("/pb"))
    dispatcher.run()
    setting = CallbackSetting.objects.get(event="order.created")
    setting.url = receiver.url("/corrected")
    setting.save()
    for status in ("pending", "failed"):
        Delivery.objects.update(next_attempt_at=timezone.now())
        dispatcher.run()
        assert only_delivery().status == status
    setting.refresh_from_db()
    assert setting.pause_reason == "gone"


def test_corrected_url_at_a_silent_host_counts_its_silence_from_zero(receiver: Receiver) -> None:
    order_for(receiver.url("/pb"))
    setting = CallbackSetting.objects.get(event="order.created")
    TroubledHost.objects.create(host=setting.host, failures=10, probe_at=timezone.now() + timedelta(seconds=30))
    assert dispatcher.run() == 0
    setting.url = receiver.url("/corrected")
    setting.save()
    assert dispatcher.run() == 1


def test_run_event_times_are_the_same_on_every_attempt(receiver: Receiver) -> None:
    receiver.answer("*", Answer(status=503), Answer())
    order_for(receiver.url("/pb?at={{event.at}}&unix={{event.at.unix}}"))
    delivery = only_delivery()
    at = delivery.created_at.replace(microsecond=0)
    del delivery.variables["event.at"], delivery.variables["event.at.unix"]  # as recorded by an older release
    delivery.save()
    dispatcher.run()
    Delivery.objects.update(next_attempt_at=timezone.now() + timedelta(seconds=-1))
    dispatcher.run()
    expected = [("at", at.strftime("%Y-%m-%dT%H:%M:%SZ")), ("unix", str(int(at.timestamp())))]
    assert [request.query for request in receiver.wait_for(2)] == [expected, expected]


@pytest.mark.parametrize("body_format", ["form", "json"])
def test_run_sends_variables_that_an_older_release_did_not_know_empty(receiver: Receiver, body_format: str) -> None:
    order_for(
        receiver.url("/pb?c={{order.amount.change}}&n={{customer.is_new}}"), method="POST", body_format=body_format
    )
    delivery = only_delivery()
    for name in ("order.amount.change", "order.commission.change", "order.items", "customer.is_new"):
        del delivery.variables[name]
    delivery.save()
    dispatcher.run()
    (request,) = receiver.wait_for(1)
    assert request.target == "/pb?c=&n="
    if body_format == "json":
        data = json.loads(request.body)["data"]
        assert (data["customer"], data["order"].get("items")) == ({}, None)


def test_run_post_json_has_numbers_and_truth_values(receiver: Receiver) -> None:
    affiliate = AffiliateFactory()
    callbacks_for(affiliate, receiver.url("/post"), method="POST", body_format="json")
    OrderFactory(affiliate=affiliate, items=3, customer_is_new=True, coupon="A,B", subtotal=50)
    dispatcher.run()
    data = json.loads(receiver.wait_for(1)[0].body)["data"]
    assert (data["order"]["items"], data["customer"]) == (3, {"is_new": True})
    assert (data["order"]["coupon"], data["order"]["subtotal"]) == ("A,B", "50.00")
