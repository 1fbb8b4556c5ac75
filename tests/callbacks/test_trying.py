"""A test of a callback from its form: what stands there is sent for real, once, and nothing else is changed by it."""

import threading
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connections
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from affiliates.models import Affiliate
from callbacks import pump, signing, trying
from callbacks.models import Attempt, CallbackSetting, Delivery, TroubledHost, Turn
from tests.callbacks.panel import of, text_of
from tests.factories import AffiliateFactory, CallbackSettingFactory, LinkFactory, OrderFactory
from tests.receiver import Answer, Receiver

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("broker", "loopback")]

BY_SCRIPT = {"X-Requested-With": "fetch"}


def send_test(client: Client, joe: Affiliate, url: str, rest: str = "created/test/", **fields: Any) -> Any:
    return client.post(of(joe, rest), {"method": "GET", "url": url} | fields, headers=BY_SCRIPT)


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
    assert (delivery.last_status_code, delivery.last_error_kind) == (200, "")
    assert (attempt.url, attempt.status_code, attempt.response_excerpt) == (receiver.url(request.target), 200, "ok")
    text = answer.content.decode()
    assert "The tracker answered 200 OK." in text
    assert delivery.get_absolute_url() in text
    assert not CallbackSetting.objects.exists()
    assert pump.run() == 0
