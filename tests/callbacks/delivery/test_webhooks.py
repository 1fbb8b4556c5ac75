"""Webhooks to the merchant's own systems: recorded with the change, sent by the engine, signed, never of themselves."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.urls import reverse
from django.utils import timezone
from standardwebhooks import Webhook

from callbacks.delivery import dispatcher, health, webhooks
from callbacks.models import CallbackSetting, Delivery, EndpointHealth
from config.models import Email
from tests.factories import CallbackSettingFactory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("broker", "loopback")]


@pytest.fixture
def webhook(receiver) -> CallbackSetting:
    return CallbackSetting.objects.create(event="system", method="POST", body_format="json", url=receiver.url("/hooks"))


def failing(setting: CallbackSetting) -> None:
    now = timezone.now()
    EndpointHealth.objects.create(
        setting=setting,
        failures=10,
        first_failure_at=now - timedelta(hours=25),
        last_failure_at=now - timedelta(hours=1),
        last_status_code=500,
        last_error_kind="status",
    )


def received(webhook: CallbackSetting, receiver) -> dict:
    dispatcher.run()
    (request,) = receiver.wait_for(1)
    headers = {name: request.header(name) for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
    event = Webhook(webhook.secret).verify(request.body.decode(), headers)
    assert headers["webhook-id"] == str(Delivery.objects.get(setting=webhook).event_id)
    return event


def test_failing_callback_is_told_to_the_webhook_signed_and_sent_by_the_engine(webhook, receiver) -> None:
    setting = CallbackSettingFactory.create(url="https://tracker.example/?key=secret")
    failing(setting)
    health.judge()
    event = received(webhook, receiver)
    assert event["type"] == "callback.failing"
    assert event["data"]["callback"] == {
        "id": setting.pk, "event": "order.created", "name": setting.name, "host": "tracker.example"
    }  # fmt: skip
    assert event["data"]["affiliate"] == {"code": setting.affiliate.code, "name": setting.affiliate.name}
    assert event["data"]["last_answer"] == {"status_code": 500, "error_kind": "status"}
    assert "key" not in str(event["data"]).replace("keys", "")
    assert Delivery.objects.get(setting=webhook).status == "succeeded"


@pytest.mark.parametrize("kind", ["worker", "waiting"])
def test_stuck_queue_is_told_to_the_webhook(webhook, receiver, kind) -> None:
    alarm = SimpleNamespace(kind=kind, title="No worker is running", since=timezone.now())
    webhooks.queue_stuck(alarm, is_open=True)
    event = received(webhook, receiver)
    assert event["type"] == "queue.stuck"
    assert event["data"] == {
        "is_over": False, "reason": "No worker is running", "since": alarm.since.isoformat()
    }  # fmt: skip


def test_other_alarms_are_not_told_to_the_webhook(webhook) -> None:
    alarm = SimpleNamespace(kind="disk", title="A disk is nearly full", since=timezone.now())
    webhooks.queue_stuck(alarm, is_open=True)
    assert not Delivery.objects.exists()


def test_failing_webhook_is_told_by_mail_alone(webhook, admin_user) -> None:
    failing(webhook)
    health.judge()
    assert Email.objects.get().subject == f"Postbacks fail: Webhook to {webhook.host}"
    assert not Delivery.objects.exists()


def test_paused_webhook_gets_nothing(webhook) -> None:
    CallbackSetting.objects.update(is_active=False)
    assert webhooks.record("webhook.test", {}) == 0
    assert not Delivery.objects.exists()


def test_pages_show_a_webhook_and_its_deliveries(webhook, admin_client) -> None:
    webhooks.record("webhook.test", {})
    delivery = Delivery.objects.get()
    Delivery.objects.update(
        status="failed",
        next_attempt_at=None,
        last_error_kind="status",
        last_status_code=500,
        last_attempt_at=timezone.now(),
    )
    for path in (
        "/admin/",
        "/admin/callbacks/callbacksetting/",
        "/admin/callbacks/delivery/",
        "/admin/callbacks/delivery/export/",
        delivery.get_absolute_url(),
        reverse("many:replace-host"),
    ):
        assert admin_client.get(path).status_code == 200, path


def test_webhook_is_made_tested_and_given_a_new_secret_on_its_page(admin_client, receiver) -> None:
    path = "/admin/callbacks/callbacksetting/"
    assert admin_client.post(f"{path}add/", {"url": "https://10.0.0.1/"}).status_code in {200, 422}
    assert not CallbackSetting.objects.exists()
    made = admin_client.post(f"{path}add/", {"url": receiver.url("/hooks")})
    webhook = CallbackSetting.objects.get()
    assert (webhook.event, webhook.method, webhook.body_format, webhook.affiliate_id) == (
        "system",
        "POST",
        "json",
        None,
    )
    assert webhook.secret in made.content.decode()
    assert webhook.secret not in admin_client.get(path).content.decode()
    admin_client.post(path, {"action": "send_test", "_selected_action": [webhook.pk]})
    assert received(webhook, receiver)["type"] == "webhook.test"
    again = admin_client.post(path, {"action": "rotate", "_selected_action": [webhook.pk]})
    secret, webhook = webhook.secret, CallbackSetting.objects.get()
    assert (webhook.previous_secret, webhook.secret in again.content.decode()) == (secret, True)
