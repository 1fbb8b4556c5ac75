"""A test of a callback from its form: what stands there is sent for real, once, and written down as a test."""

import contextlib
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections, transaction
from django.template.loader import render_to_string
from django.test import Client
from django.utils import timezone
from standardwebhooks import Webhook

from affiliates.models import Affiliate
from callbacks.delivery import dispatcher
from callbacks.egress.addresses import policy_from
from callbacks.egress.transport import Transport
from callbacks.models import Attempt, CallbackSetting, Delivery
from callbacks.postback import signing
from callbacks.setup import test_send
from orders.models import Order
from tests.callbacks.panel import send_test
from tests.factories import CallbackSettingFactory, LinkFactory, OrderFactory
from tests.name_server import NameServer
from tests.receiver import Answer, Receiver

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("broker", "loopback")]


def only_test() -> tuple[Delivery, Attempt]:
    attempt = Attempt.objects.select_related("delivery").get(trigger="test")
    return attempt.delivery, attempt


# --- what is sent, shown and kept --------------------------------------------------
def test_send_test_of_what_is_typed_sends_the_chosen_order_and_saves_no_callback(
    admin_client: Client, joe: Affiliate, receiver: Receiver
) -> None:
    link = LinkFactory(affiliate=joe, url="https://shop.example/?ref=joe&sub_id=a%26b")
    old = OrderFactory(affiliate=joe, link=link, number="#OLD")
    OrderFactory(affiliate=joe, number="#NEW")
    url = receiver.url("/pb?o={{order.number}}&c={{link.sub_id}}&e={{event.id}}")
    answer = send_test(admin_client, joe, url, preview_order=old.pk)
    (request,) = receiver.wait_for(1)
    delivery, attempt = only_test()
    assert answer.status_code == 200
    assert request.target == f"/pb?o=%23OLD&c=a%26b&e={delivery.event_id}"
    assert request.header("User-Agent") == "AffiliatePostbacks/0.1.0"
    assert request.header("webhook-id") == str(delivery.event_id) == delivery.variables["event.id"]
    assert (delivery.origin, delivery.status, delivery.order, delivery.affiliate) == ("test", "succeeded", old, joe)
    assert (delivery.setting, delivery.attempt_count, delivery.next_attempt_at) == (None, 1, None)
    assert (delivery.last_status_code, delivery.last_error_kind, delivery.is_soft_failure) == (200, "", False)
    assert (attempt.url, attempt.status_code, attempt.response_excerpt) == (receiver.url(request.target), 200, "ok")
    text = answer.content.decode()
    assert "The tracker answered 200 OK." in text
    assert delivery.get_absolute_url() in text
    assert not CallbackSetting.objects.exists()
    assert dispatcher.run() == 0


def test_send_test_of_a_saved_callback_is_signed_with_its_secrets_and_changes_nothing_of_it(
    admin_client: Client, joe: Affiliate, receiver: Receiver
) -> None:
    until = timezone.now() + timedelta(hours=1)
    setting = CallbackSettingFactory(
        affiliate=joe, url="https://old.example/", previous_secret=signing.new_secret(), previous_secret_until=until
    )
    before = CallbackSetting.objects.values().get()
    typed = {"method": "POST", "body_format": "json"}
    answer = send_test(
        admin_client, joe, f" {receiver.url('/new?o={{order.number}}')}\n", f"created/{setting.pk}/test/", **typed
    )
    (request,) = receiver.wait_for(1)
    assert (request.method, request.target) == ("POST", "/new?o=%23100001")
    assert json.loads(request.body)["data"]["order"]["number"] == "#100001"
    headers = {name: request.header(name) or "" for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
    for secret in (setting.secret, setting.previous_secret):
        Webhook(secret).verify(request.body, headers)
    assert "This test was signed with a temporary secret" not in answer.content.decode()
    assert CallbackSetting.objects.values().get() == before
    delivery, _ = only_test()
    assert (delivery.setting, delivery.order) == (setting, None)
    assert delivery.variables["order.number"] == "#100001"


def test_send_test_of_a_new_callback_is_signed_with_a_secret_of_its_own(
    admin_client: Client, joe: Affiliate, receiver: Receiver
) -> None:
    text = send_test(admin_client, joe, receiver.url("/")).content.decode()
    assert receiver.wait_for(1)[0].header("webhook-signature")
    assert "This test was signed with a temporary secret" in text


def test_send_test_shows_a_hostile_answer_as_text(admin_client: Client, joe: Affiliate, receiver: Receiver) -> None:
    body = b"\0<script>alert(1)</script>\xff" + "é".encode() * 4000
    receiver.answer("/", Answer(500, headers=(("X-A", "<b>x</b>"),), body=body))
    text = send_test(admin_client, joe, receiver.url("/")).content.decode()
    delivery, attempt = only_test()
    assert (delivery.status, attempt.status_code, attempt.error_kind) == ("failed", 500, "status")
    assert "The tracker answered 500 Internal Server Error." in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<script>" not in text
    assert "<b>" not in text
    assert len(attempt.response_excerpt.encode()) < 4200


def test_send_test_to_where_nobody_answers_says_so(admin_client: Client, joe: Affiliate, settings: Any) -> None:
    with Receiver(on_connect="close") as silent:
        settings.CALLBACKS_ALLOWED_PORTS = frozenset({silent.port})
        text = send_test(admin_client, joe, silent.url("/")).content.decode()
    delivery, attempt = only_test()
    assert (delivery.status, attempt.error_kind, attempt.status_code) == ("failed", "closed", None)
    assert attempt.detail in text


def test_send_test_of_a_name_that_leads_to_a_blocked_address_tells_nothing_else(
    admin_user: User, joe: Affiliate, receiver: Receiver, settings: Any
) -> None:
    settings.CALLBACKS_ALLOWED_NETWORKS = ()
    # Saved in another way than by the form, which knows this name: what other names lead to is known only here.
    setting = CallbackSettingFactory(affiliate=joe, url=receiver.url("/", host="localhost"))
    result = test_send.send(setting, None, admin_user.pk)
    assert result.attempt
    assert (result.attempt.error_kind, result.attempt.status_code) == ("blocked_address", None)
    assert (
        result.attempt.detail == "localhost was not found, or resolves to an address that postbacks may not be sent to."
    )
    kept = Attempt.objects.values().get()
    assert [name for name in kept if name.endswith("_ms") and kept[name] is not None] == []
    assert (kept["remote_address"], kept["response_headers"], kept["response_excerpt"]) == ("", [], "")
    text = render_to_string("admin/callbacks/setup/test.html", {"result": result, "setting": setting})
    assert "127.0.0.1" not in text + json.dumps(kept, default=str)
    assert 'class="number"' not in text
    assert receiver.wait_for(0) == []


def test_send_test_does_not_tell_whether_a_name_exists_in_a_private_network(
    admin_user: User, joe: Affiliate, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    with NameServer({"tracker.internal": ["10.0.0.7"], "db.shop.example": ["10.0.0.8", "fd00::8"]}) as server:
        monkeypatch.setattr(test_send, "transport_from", partial(transport_asking, server))
        for name in ("tracker.internal", "gone.internal", "db.shop.example", "gone.shop.example"):
            setting = CallbackSettingFactory(affiliate=joe, url=f"https://{name}/?a={{{{link.sub_id}}}}")
            attempt = test_send.send(setting, None, admin_user.pk).attempt
            assert attempt
            values = Attempt.objects.values().get(pk=attempt.pk)
            private = {"id", "delivery_id", "created_at", "url", "request_headers"}
            told.append({key: str(value).replace(name, "NAME") for key, value in values.items() if key not in private})
            assert attempt.delivery.last_error_kind == attempt.error_kind
        assert set(server.asked) >= {"tracker.internal", "gone.internal"}
    assert told[0]["detail"] == "NAME was not found, or resolves to an address that postbacks may not be sent to."
    assert told == [told[0]] * 4


def transport_asking(server: NameServer, settings: Any, *, max_in_flight: int) -> Transport:
    return Transport(policy_from(settings), look_up=server.look_up, max_in_flight=max_in_flight)


def test_send_test_of_what_cannot_be_filled_in_sends_and_keeps_nothing(
    admin_client: Client, joe: Affiliate, receiver: Receiver
) -> None:
    OrderFactory(affiliate=joe, number="..")
    text = send_test(admin_client, joe, receiver.url("/{{order.number}}/x")).content.decode()
    assert "Nothing was sent." in text
    assert "changes the path of the URL" in text
    assert not Attempt.objects.exists()
    assert receiver.wait_for(0) == []


# --- while it is on the wire -------------------------------------------------------
@contextlib.contextmanager
def on_the_wire(client: Client, joe: Affiliate, receiver: Receiver, rest: str = "created/test/") -> Iterator[list[Any]]:
    """While a test waits for its answer; what came of it is in the list when that is over."""
    answers: list[Any] = []

    def run() -> None:
        answers.append(send_test(client, joe, receiver.url("/slow"), rest))
        connections.close_all()

    receiver.answer("/slow", Answer(delay_s=2.0))
    before = len(receiver.requests)
    thread = threading.Thread(target=run)
    thread.start()
    receiver.wait_for(before + 1)
    try:
        yield answers
    finally:
        thread.join(timeout=20)


def test_send_test_holds_no_lock_while_it_waits(admin_client: Client, joe: Affiliate, receiver: Receiver) -> None:
    setting = CallbackSettingFactory(affiliate=joe)
    with on_the_wire(admin_client, joe, receiver, f"created/{setting.pk}/test/") as answers:
        with transaction.atomic():
            locked = Affiliate.objects.select_for_update(nowait=connection.features.has_select_for_update_nowait)
            Affiliate.objects.filter(pk__in=[one.pk for one in locked]).update(name="Jo")
            CallbackSetting.objects.update(name="Mine")
            User.objects.update(first_name="Ada")
        assert answers == []  # all of that while the tracker had not answered
    assert [answer.status_code for answer in answers] == [200]


def test_send_test_of_what_is_deleted_meanwhile_is_kept_without_it(
    admin_client: Client, joe: Affiliate, receiver: Receiver
) -> None:
    setting = CallbackSettingFactory(affiliate=joe)
    order = OrderFactory(affiliate=joe)
    with on_the_wire(admin_client, joe, receiver, f"created/{setting.pk}/test/") as answers:
        setting.delete()
        Order.objects.filter(pk=order.pk).delete()
    assert answers[0].status_code == 200
    delivery, _ = only_test()
    assert (delivery.setting, delivery.order, delivery.affiliate) == (None, None, joe)


def test_send_test_beyond_those_at_once_is_refused_to_leave_threads_for_others(
    admin_client: Client, joe: Affiliate, receiver: Receiver
) -> None:
    with contextlib.ExitStack() as waiting:
        for _ in range(test_send.AT_ONCE):
            waiting.enter_context(on_the_wire(admin_client, joe, receiver))
        answer = send_test(admin_client, joe, receiver.url("/quick"))
        assert answer.status_code == 429
        assert "too many tests are running" in answer.content.decode()
    assert send_test(admin_client, joe, receiver.url("/quick")).status_code == 200
    assert [request.path for request in receiver.requests] == ["/slow"] * test_send.AT_ONCE + ["/quick"]
