"""Webhooks to the merchant's own systems: recorded with the change, sent by the engine, signed, never of themselves."""

import gzip
from datetime import timedelta
from types import SimpleNamespace

import pytest
import time_machine
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone
from standardwebhooks import Webhook

from affiliates.models import Affiliate
from callbacks import tasks
from callbacks.delivery import dispatcher, health, webhooks
from callbacks.models import CallbackSetting, Delivery, EndpointHealth
from callbacks.reports import callback_health, reconciliation
from callbacks.setup.bulk import choice
from config.models import Email
from tests.factories import AffiliateFactory, CallbackSettingFactory
from tests.receiver import Answer

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
    assert headers["webhook-id"] == str(Delivery.objects.filter(setting=webhook).latest("pk").event_id)
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


@pytest.mark.parametrize("is_over", [False, True])
@pytest.mark.parametrize("kind", ["worker", "waiting"])
def test_stuck_queue_is_told_to_the_webhook(webhook, receiver, kind, is_over) -> None:
    alarm = SimpleNamespace(kind=kind, title="No worker is running", since=timezone.now())
    webhooks.queue_stuck(alarm, is_open=not is_over)
    event = received(webhook, receiver)
    assert event["type"] == "queue.stuck"
    assert event["data"] == {
        "is_over": is_over, "reason": "No worker is running", "since": alarm.since.isoformat()
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


@pytest.mark.parametrize(("code", "resumes"), [(200, True), (500, False)])
@pytest.mark.parametrize("reason", ["failing", "gone"])
def test_test_resumes_a_webhook_that_paused_itself_if_it_passes(
    webhook, receiver, admin_client, reason, code, resumes
) -> None:
    with time_machine.travel(timezone.now() - timedelta(hours=1), tick=False):
        failing(webhook)
        webhooks.record("callback.failing", {})  # waits until it is resumed
        CallbackSetting.objects.update(is_active=False, pause_reason=reason)
        tasks.count_requests()
    failures = EndpointHealth.objects.get().failures
    receiver.answer("/hooks", Answer(code))
    admin_client.post("/admin/callbacks/callbacksetting/", {"action": "send_test", "_selected_action": [webhook.pk]})
    assert received(webhook, receiver)["type"] == "webhook.test"
    with time_machine.travel(timezone.now() + timedelta(minutes=10)):
        tasks.count_requests()
        webhook.refresh_from_db()
        assert (webhook.is_active, webhook.pause_reason) == ((True, "") if resumes else (False, reason))
        receiver.answer("/hooks", Answer(200))
        dispatcher.run()
        told = Email.objects.order_by("pk").last().subject
    assert len(receiver.requests) == (2 if resumes else 1)  # a test that failed is not repeated before that
    assert told.startswith("Postbacks succeed again" if resumes else "Callback paused")
    assert EndpointHealth.objects.get().failures == (0 if resumes else failures)


def test_test_leaves_what_a_person_paused(webhook) -> None:
    CallbackSetting.objects.update(is_active=False, pause_reason="person")
    assert webhooks.record_test(CallbackSetting.objects.all()) == 0


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
        f"/admin/callbacks/callbacksetting/{webhook.pk}/change/",
        f"/admin/callbacks/callbacksetting/{webhook.pk}/delete/",
        delivery.get_absolute_url(),
        reverse("many:replace-host"),
    ):
        assert admin_client.get(path).status_code == 200, path


def test_deleting_a_webhook_names_it_alone(webhook, admin_client) -> None:
    EndpointHealth.objects.create(setting=webhook)
    page = admin_client.get(f"/admin/callbacks/callbacksetting/{webhook.pk}/delete/").content.decode()
    assert f"<strong>{webhook}</strong> will be deleted permanently." in page
    admin_client.post(f"/admin/callbacks/callbacksetting/{webhook.pk}/delete/", {"post": "yes"})
    assert not CallbackSetting.objects.exists()


def test_webhook_is_no_callback_of_an_affiliate(webhook, admin_client) -> None:
    affiliate = AffiliateFactory()
    assert '<li class="is-done"><div><h3>Set up their S2S callback' not in admin_client.get("/admin/").content.decode()
    (listed,) = callback_health.with_health(Affiliate.objects.all())
    assert listed.callback_count == 0
    assert {status.health for status in callback_health.callbacks_of(affiliate)} == {"not_set"}
    lines = reconciliation.reconcile(affiliate, reconciliation.Month.of(timezone.now())).lines
    assert [line.setting for line in lines] == [None, None]
    assert {group.key: group.count for group in choice.groups()}["no-created"] == 1
    for path in ("many:replace-host", "admin:affiliates_affiliate_changelist"):
        assert webhook.host not in admin_client.get(reverse(path)).content.decode()


def test_csv_has_the_deliveries_of_a_webhook(webhook, admin_client, tmp_path) -> None:
    webhooks.record("callback.failing", {})
    delivery = Delivery.objects.get()
    Delivery.objects.update(status="succeeded", next_attempt_at=None)
    page = b"".join(admin_client.get("/admin/callbacks/delivery/export/").streaming_content).decode()
    file = tmp_path / "deliveries.csv.gz"
    call_command("export_deliveries", before="2100-01-01", output=file)
    for text in (page, gzip.decompress(file.read_bytes()).decode()):
        (row,) = [line for line in text.splitlines() if str(delivery.event_id) in line]
        assert webhook.host in row


def test_page_of_a_webhooks_delivery_speaks_of_no_order(webhook, admin_client) -> None:
    webhooks.record("queue.stuck", {"reason": "No worker is running"})
    Delivery.objects.update(request_id="id-of-the-request")
    page = admin_client.get(Delivery.objects.get().get_absolute_url()).content.decode()
    assert "No worker is running" in page
    assert "<code>id-of-the-request</code>" in page
    for words in ("order.", "the order has no link", "order was deleted", "Order saved", "<p> ·"):
        assert words not in page, words


def test_webhook_is_called_a_webhook_on_its_pages(webhook, admin_client) -> None:
    path = "/admin/callbacks/callbacksetting/"
    asked = {"action": "delete_selected", "_selected_action": [webhook.pk]}
    pages = [admin_client.get(path), admin_client.get(f"{path}add/"), admin_client.post(path, asked)]
    for page in pages:
        assert "callback setting" not in page.content.decode().lower()
    assert "1 webhook<" in pages[0].content.decode()
    assert webhook.url in pages[2].content.decode()
    admin_client.post(path, asked | {"post": "yes"})
    assert not CallbackSetting.objects.exists()


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
