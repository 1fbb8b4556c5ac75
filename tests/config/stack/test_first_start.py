"""What a new installation is given: a login, once, and demo data."""

from datetime import timedelta
from io import StringIO
from urllib.parse import urlsplit

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.core.management import call_command
from django.utils import timezone

from affiliates.models import Affiliate
from callbacks.delivery import health, retry
from callbacks.egress import soft_failures
from callbacks.models import Attempt, CallbackSetting, CountedUpTo, Delivery, EndpointHealth
from callbacks.reports import overview
from config.stack import first_start
from orders.models import Order
from tests.factories import AffiliateFactory

pytestmark = pytest.mark.django_db


def test_login_is_made_once_and_works(rf):
    assert first_start.is_first_start()
    login = first_start.add_admin()
    user = authenticate(rf.post("/admin/login/"), username=login.username, password=login.password)
    assert user
    assert user.is_superuser
    assert first_start.add_admin() is None
    assert not first_start.is_first_start()


def test_login_takes_another_name_where_an_affiliate_has_it():
    get_user_model().objects.create_user("admin", password="x")
    assert first_start.add_admin().username == "admin2"


def test_login_is_made_anew_when_nobody_is_staff_any_more():
    first = first_start.add_admin()
    get_user_model().objects.filter(username=first.username).update(is_active=False)
    assert first_start.add_admin().username == "admin2"


def test_login_of_support_is_made_once_and_sees_without_changing(rf):
    login = first_start.add_support()
    user = authenticate(rf.post("/admin/login/"), username=login.username, password=login.password)
    assert (user.is_staff, user.is_superuser) == (True, False)
    assert user.has_perm("callbacks.resend_delivery")
    assert not user.has_perm("callbacks.change_callbacksetting")
    assert first_start.add_support() is None


def test_database_with_affiliates_is_not_new():
    AffiliateFactory()
    assert not first_start.is_first_start()


@pytest.fixture
def demo(settings) -> None:
    settings.DEMO = True
    call_command("demo")


@pytest.mark.usefixtures("demo")
def test_demo_shows_each_thing_that_can_happen_to_a_delivery():
    assert not first_start.is_first_start()
    assert Affiliate.objects.count() == 6
    deliveries = Delivery.objects.all()
    tried = deliveries.filter(attempt_count__gt=0)
    assert {*deliveries.values_list("status", flat=True)} == {"succeeded", "pending", "failed", "skipped"}
    assert {*deliveries.filter(status="skipped").values_list("skip_reason", flat=True)} == {"paused", "filtered"}
    assert deliveries.filter(event="order.updated", status="succeeded").exists()
    assert deliveries.filter(status="succeeded", attempt_count__gt=1).exists()
    assert {*deliveries.filter(status="failed").values_list("attempt_count", flat=True)} == {len(retry.WAITS) + 1}
    assert {delivery.setting.host.partition(":")[0] for delivery in tried.filter(status="pending")} == {"localhost"}
    refused = [each for each in Attempt.objects.filter(error_kind="") if soft_failures.find(each.response_excerpt)]
    assert refused
    assert [each.delivery_id for each in refused] == [
        *deliveries.filter(is_soft_failure=True).values_list("pk", flat=True)
    ]
    assert {*Attempt.objects.values_list("method", flat=True)} == {"GET", "POST"}


@pytest.mark.usefixtures("demo")
def test_demo_is_consistent():
    call_command("reconcile", stdout=(said := StringIO()))
    assert said.getvalue() == "0 missed, 0 queued.\n"
    for delivery in Delivery.objects.filter(attempt_count__gt=0).prefetch_related("attempts"):
        attempts = [*delivery.attempts.all()][::-1]
        last = attempts[-1]
        assert len(attempts) == delivery.attempt_count
        assert (delivery.last_status_code, delivery.last_error_kind) == (last.status_code, last.error_kind)
        assert (delivery.status == "succeeded") == (last.error_kind == "")
        assert [each.trigger for each in attempts] == ["initial", *["retry"] * (len(attempts) - 1)]
        assert [each.created_at for each in attempts] == sorted(each.created_at for each in attempts)
        assert delivery.created_at <= attempts[0].created_at
    for model in (Order, Delivery, Attempt):  # pages find what is new by the keys
        times = [*model.objects.order_by("pk").values_list("created_at", flat=True)]
        assert times == sorted(times)


@pytest.mark.usefixtures("demo")
def test_demo_is_counted_in_the_chart_of_two_weeks():
    bars = overview.overview(overview.range_named("month"))["bars"]
    assert sum(bar.counts.requests for bar in bars) == Attempt.objects.count() > 200
    assert all(bar.counts.delivered for bar in bars[-14:-1])
    assert CountedUpTo.objects.get().attempt_id == Attempt.objects.latest("pk").pk


@pytest.mark.usefixtures("demo")
def test_demo_alarms_nobody():
    health.judge()
    assert {*EndpointHealth.objects.values_list("state", flat=True)} == {""}
    assert {*CallbackSetting.objects.values_list("is_active", flat=True)} == {True}
    retries = Delivery.objects.filter(status="pending", attempt_count__gt=0)
    is_late = timezone.now() - timedelta(minutes=4)  # an alarm is what has waited for five
    assert {each.next_attempt_at > is_late for each in retries} == {True}


@pytest.mark.usefixtures("demo")
def test_demo_sends_to_the_echo_receiver_only(settings):
    calls = {f"{host}:{settings.PORT}" for host in ("127.0.0.1", "localhost")}
    assert {*CallbackSetting.objects.values_list("host", flat=True)} == calls
    urls = [*CallbackSetting.objects.values_list("url", flat=True), *Attempt.objects.values_list("url", flat=True)]
    assert all(urlsplit(url).netloc in calls and urlsplit(url).path.startswith("/echo/") for url in urls)


def test_demo_without_loopback_leaves_the_callbacks_out(capsys):
    call_command("demo")
    assert "No demo callbacks were added: " in capsys.readouterr().err
    assert Order.objects.count() > 100
    assert not CallbackSetting.objects.exists()


def test_demo_on_a_database_with_data_makes_none(capsys):
    AffiliateFactory()
    call_command("demo")
    assert "No demo data was added: " in capsys.readouterr().err
    assert not Order.objects.exists()
