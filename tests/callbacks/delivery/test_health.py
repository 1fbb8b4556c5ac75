"""Callbacks that fail for long: failing, paused by itself, recovered; told on changes only, to whom it concerns."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from callbacks import tasks
from callbacks.delivery import health
from callbacks.jobs import runner
from callbacks.models import Attempt, CallbackSetting, Delivery, EndpointHealth, Job, history
from config.models import Email
from config.monitoring import mail
from orders.models import Order
from tests.factories import CallbackSettingFactory, OrderFactory

pytestmark = pytest.mark.django_db
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def setting() -> CallbackSetting:
    with time_machine.travel(START, tick=False):
        User.objects.create(username="ann", email="ann@shop.example", is_staff=True, is_superuser=True)
        setting = CallbackSettingFactory.create(url="https://tracker.example/p?key=secret&order={{order.number}}")
        setting.affiliate.user = User.objects.create(username="joe", email="joe@media.example")
        setting.affiliate.save()
        OrderFactory.create(affiliate=setting.affiliate)
    return setting


def attempt(setting: CallbackSetting, at: datetime, kind: str = "", count: int = 1, **fields: object) -> None:
    delivery = setting.deliveries.exclude(origin="test").earliest("pk")
    for _ in range(count):
        Attempt.objects.create(delivery=delivery, method="GET", error_kind=kind, created_at=at, **fields)


def look(at: datetime) -> None:
    with time_machine.travel(at, tick=False):
        tasks.count_requests()


def told() -> list[tuple[str, str]]:
    return sorted((email.user.username, email.subject.partition(":")[0]) for email in Email.objects.all())


def fail_for(setting: CallbackSetting, hours: int, kind: str = "status", **fields: object) -> datetime:
    for hour in range(hours + 1):
        attempt(setting, START + hour * HOUR, kind, **{"status_code": 500} | fields)
    look(end := START + hours * HOUR + timedelta(minutes=2))
    return end


def test_failing_then_paused_then_recovered_each_told_once_to_staff_and_affiliate(setting) -> None:
    fail_for(setting, 23)
    assert told() == []
    end = fail_for(setting, 24)
    look(end + timedelta(minutes=1))
    assert told() == [("ann", "Postbacks fail"), ("joe", "Postbacks fail")]
    for email in Email.objects.all():
        assert "tracker.example" in email.body
        assert "The last answer was 500 Internal Server Error." in email.body
        assert "1 Mar 2026, 12:00 UTC" in email.body
        assert "Orders not sent yet: 1." in email.body
        assert "secret" not in email.body + email.subject
    Email.objects.all().delete()
    end = fail_for(setting, 72)
    look(end + timedelta(minutes=1))
    assert told() == [("ann", "Callback paused"), ("joe", "Callback paused")]
    setting.refresh_from_db()
    assert (setting.is_active, setting.pause_reason) == (False, "failing")
    assert setting.history.get().action == "failing"
    Email.objects.all().delete()

    setting.is_active, setting.pause_reason = True, ""  # a person resumes it
    setting.save()
    look(end + timedelta(minutes=2))
    assert told() == []
    attempt(setting, end + timedelta(minutes=3))
    look(end + timedelta(minutes=5))
    look(end + timedelta(minutes=6))
    assert told() == [("ann", "Postbacks succeed again"), ("joe", "Postbacks succeed again")]
    assert setting.endpoint_health.state == ""


@pytest.mark.parametrize(
    "kinds",
    [
        pytest.param(dict.fromkeys(range(72), "internal"), id="an error of ours"),
        pytest.param(dict.fromkeys(range(72), "secret"), id="a secret that cannot be read"),
        pytest.param(dict.fromkeys(range(0, 72, 9), "status"), id="fewer than ten"),
        pytest.param(dict.fromkeys(range(72), "status") | {60: ""}, id="a success within the day"),
        pytest.param(dict.fromkeys(range(12), "status"), id="nothing sent lately"),
    ],
)
def test_callback_that_is_not_to_blame_is_not_failing(setting, kinds) -> None:
    for hour, kind in kinds.items():
        attempt(setting, START + hour * HOUR, kind, status_code=500)
    look(START + 73 * HOUR)
    assert told() == []
    assert CallbackSetting.objects.get().is_active


def test_affiliate_is_told_in_the_language_last_used_in_the_portal_and_staff_in_english(setting) -> None:
    mail.note_language(setting.affiliate.user, "es")
    mail.note_language(User.objects.get(username="ann"), "es")
    end = fail_for(setting, 72)
    look(end + timedelta(minutes=1))
    joe, ann = (Email.objects.filter(user__username=name).order_by("-pk").first() for name in ("joe", "ann"))
    assert joe.subject.startswith("Callback pausado: ")
    assert "La última respuesta fue 500 Internal Server Error." in joe.body
    assert "Avisa a la tienda" in joe.body  # who cannot resume it by themselves
    assert ann.subject.startswith("Callback paused: ")
    assert "To resume it, send a test that succeeds or change the URL." in ann.body


def test_tests_count_as_nothing(setting) -> None:
    for hour in range(72):
        attempt(setting, START + hour * HOUR, "status", trigger="test")
    look(START + 72 * HOUR)
    assert not EndpointHealth.objects.exists()


def test_attempts_counted_in_many_batches_are_the_same(setting, monkeypatch) -> None:
    monkeypatch.setattr("callbacks.reports.hourly.count.__defaults__", (3,))
    fail_for(setting, 24)
    row = EndpointHealth.objects.get()
    assert (row.state, row.failures, row.first_failure_at) == ("failing", 25, START)


@pytest.mark.parametrize("hours", [0, 48])
def test_pause_is_a_setting(setting, settings, hours) -> None:
    settings.CALLBACKS_PAUSE_AFTER_HOURS = hours
    fail_for(setting, 72)
    setting.refresh_from_db()
    assert setting.is_active == (hours == 0)


def test_gone_callback_is_told_of_as_paused(setting) -> None:
    CallbackSetting.objects.update(is_active=False, pause_reason="gone")
    look(START + HOUR)
    look(START + 2 * HOUR)
    assert told() == [("ann", "Callback paused"), ("joe", "Callback paused")]


@pytest.mark.parametrize("status", ["blocked", "pending"])
def test_affiliate_who_is_not_approved_gets_no_mail(setting, status) -> None:
    setting.affiliate.status = status
    setting.affiliate.save()
    fail_for(setting, 24)
    assert told() == [("ann", "Postbacks fail")]


@pytest.mark.parametrize("missed", [0, 1, 2])
def test_mail_about_a_recovery_says_how_many_events_were_skipped(setting, missed) -> None:
    end = fail_for(setting, 72)
    with time_machine.travel(end + HOUR, tick=False):
        OrderFactory.create_batch(missed, affiliate=setting.affiliate)
    Email.objects.all().delete()
    health.passed(setting, end + 2 * HOUR)
    skipped = {
        0: [],
        1: ["1 event was skipped while it was paused."],
        2: ["2 events were skipped while it was paused."],
    }
    for email in Email.objects.all():
        assert email.subject.startswith("Postbacks succeed again")
        assert [line for line in email.body.splitlines() if "skipped" in line] == skipped[missed]
    assert Email.objects.count() == 2


@pytest.mark.parametrize("reason", ["failing", "gone"])
def test_passing_test_resumes_what_paused_itself(setting, reason) -> None:
    end = fail_for(setting, 24)
    CallbackSetting.objects.update(is_active=False, pause_reason=reason)
    look(end + HOUR)
    Email.objects.all().delete()
    health.passed(setting, end + 2 * HOUR)
    setting.refresh_from_db()
    assert (setting.is_active, setting.pause_reason) == (True, "")
    assert told() == [("ann", "Postbacks succeed again"), ("joe", "Postbacks succeed again")]


def test_passing_test_leaves_what_a_person_paused(setting) -> None:
    CallbackSetting.objects.update(is_active=False, pause_reason="person")
    health.passed(setting)
    setting.refresh_from_db()
    assert not setting.is_active


def test_changed_url_resumes_and_begins_anew(setting) -> None:
    end = fail_for(setting, 72)
    with time_machine.travel(end + HOUR, tick=False):
        setting.refresh_from_db()
        before, setting.url = setting.url, "https://new.example/"
        assert setting.resume_if_moved(before)
        setting.save()
    look(end + 2 * HOUR)
    row = EndpointHealth.objects.get()
    assert (row.state, row.failures, row.resumed_at) == ("failing", 0, end + 2 * HOUR)
    assert CallbackSetting.objects.get().is_active


def test_what_was_skipped_while_paused_is_sent_with_one_click(setting, admin_client) -> None:
    end = fail_for(setting, 72)
    with time_machine.travel(end + HOUR, tick=False):
        missed = [OrderFactory.create(affiliate=setting.affiliate).pk for _ in range(2)]
    setting.refresh_from_db()
    setting.is_active, setting.pause_reason = True, ""
    setting.save()
    look(end + 2 * HOUR)
    with time_machine.travel(end + 3 * HOUR, tick=False):  # a person pauses it later: that is not meant
        CallbackSetting.objects.update(is_active=False, pause_reason="person")
        OrderFactory.create(affiliate=setting.affiliate)
        CallbackSetting.objects.update(is_active=True, pause_reason="")
    page = admin_client.get(f"/admin/affiliates/affiliate/{setting.affiliate_id}/settings/").content.decode()
    link = f"{reverse('admin:callbacks_delivery_resend_all')}?while_paused={setting.pk}"
    assert "2 events were skipped while paused" in page
    assert link in page
    shown = admin_client.get(link)
    form = shown.context["form"]
    data = {name: form[name].value() or "" for name in form.fields}
    assert admin_client.post(link, data).status_code == 302
    while Job.objects.get().state in {"waiting", "running"}:
        runner.run_all()
    again = Delivery.objects.filter(next_trigger="manual", status="pending")
    assert sorted(again.values_list("order", flat=True)) == sorted(missed)
    assert Order.objects.count() == 4
    page = admin_client.get(f"/admin/affiliates/affiliate/{setting.affiliate_id}/settings/").content.decode()
    assert "skipped while" not in page


# --- paused by a person --------------------------------------------------------------
def settings_page(setting, client) -> str:
    return client.get(f"/admin/affiliates/affiliate/{setting.affiliate_id}/settings/").content.decode()


def page_of(setting, view: str) -> str:
    return reverse(f"callbacks:{view}", args=[setting.affiliate_id, "created", setting.pk])


def skip(setting, client, count: int) -> list[int]:
    client.post(page_of(setting, "pause"))
    return [OrderFactory.create(affiliate=setting.affiliate).pk for _ in range(count)]


def test_what_was_skipped_while_a_person_had_paused_it_is_offered_and_sent(setting, admin_client) -> None:
    missed = skip(setting, admin_client, 2)
    assert "skipped while paused" not in settings_page(setting, admin_client)
    admin_client.post(page_of(setting, "resume"))
    link = f"{reverse('admin:callbacks_delivery_resend_all')}?while_paused={setting.pk}"
    page = settings_page(setting, admin_client)
    assert "2 events were skipped while paused." in page
    assert link in page
    look(datetime.now(UTC))
    missed += skip(setting, admin_client, 1)
    admin_client.post(page_of(setting, "resume"))
    assert "3 events were skipped while paused." in settings_page(setting, admin_client)
    form = admin_client.get(link).context["form"]
    admin_client.post(link, {name: form[name].value() or "" for name in form.fields})
    while Job.objects.get().state in {"waiting", "running"}:
        runner.run_all()
    again = Delivery.objects.filter(next_trigger="manual", status="pending")
    assert sorted(again.values_list("order", flat=True)) == sorted(missed)
    assert "skipped while paused" not in settings_page(setting, admin_client)


def test_what_was_skipped_can_be_left_and_is_offered_no_more_until_the_next_pause(setting, admin_client) -> None:
    skip(setting, admin_client, 1)
    admin_client.post(page_of(setting, "resume"))
    assert "1 event was skipped while paused." in settings_page(setting, admin_client)
    assert admin_client.post(page_of(setting, "leave-skipped")).status_code == 302
    assert "skipped while paused" not in settings_page(setting, admin_client)
    assert Delivery.objects.filter(skip_reason="paused").count() == 1
    skip(setting, admin_client, 2)
    admin_client.post(page_of(setting, "leave-skipped"))  # from a page that was left open
    admin_client.post(page_of(setting, "resume"))
    assert "2 events were skipped while paused." in settings_page(setting, admin_client)


@pytest.mark.parametrize("reason", ["gone", "failing"])
def test_what_was_skipped_is_offered_after_another_url_resumed_it_at_once(setting, admin_client, reason) -> None:
    """Before anything was judged."""
    CallbackSetting.objects.update(is_active=False, pause_reason=reason)
    history.note_gone(CallbackSetting.objects.get())
    OrderFactory.create(affiliate=setting.affiliate)
    admin_client.post(page_of(setting, "set-up"), {"method": "GET", "url": "https://tracker.example/new"})
    assert "1 event was skipped while paused." in settings_page(setting, admin_client)
    look(datetime.now(UTC))
    assert "1 event was skipped while paused." in settings_page(setting, admin_client)


def test_offer_of_what_was_skipped_is_for_who_may_resend(setting, client) -> None:
    health.resumed([setting.pk])
    assert not EndpointHealth.objects.exists()  # it was never paused
    EndpointHealth.objects.create(setting=setting, paused_at=START)
    Delivery.objects.update(status="skipped", skip_reason="paused", next_attempt_at=None)
    client.force_login(user := User.objects.create(username="bob", is_staff=True))
    user.user_permissions.add(*Permission.objects.filter(codename__in=["view_affiliate", "change_callbacksetting"]))
    assert "skipped while paused" not in settings_page(setting, client)
    assert client.post(page_of(setting, "leave-skipped")).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="resend_delivery"))
    assert "1 event was skipped while paused." in settings_page(setting, client)
