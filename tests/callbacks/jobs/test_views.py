"""The pages that count what a resend or a backfill would do, and start it when that is confirmed."""

import re
import uuid
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from affiliates.models import Affiliate
from callbacks.delivery import resend
from callbacks.jobs import views
from callbacks.models import CallbackSetting, Delivery, Job
from config.listing.keys import Limits
from orders.models import Order
from tests.callbacks.jobs.steps import do_all
from tests.callbacks.panel import of, settings_of, text_of
from tests.factories import AffiliateFactory, CallbackSettingFactory, OrderFactory, client_with
from tests.queries import assert_same_queries

pytestmark = pytest.mark.django_db

LOG = "/admin/callbacks/delivery/"
RESEND = f"{LOG}resend/"


def failed(setting: CallbackSetting, count: int = 1, **fields: Any) -> list[int]:
    OrderFactory.create_batch(count, affiliate=setting.affiliate)
    rows = Delivery.objects.filter(setting=setting, status="pending")
    pks = list(rows.order_by("pk").values_list("pk", flat=True))
    rows.update(**{"status": "failed", "next_attempt_at": None} | fields)
    return pks


def confirmed(client: Client, path: str, **changes: Any) -> Any:
    """Ask for the page and send its form."""
    form = client.get(path).context["form"]
    data = {name: form[name].value() for name in form.fields if form[name].value() is not None}
    return client.post(path, data | changes)


def waiting() -> list[int]:
    return list(Delivery.objects.filter(status="pending").order_by("pk").values_list("pk", flat=True))


# --- resend --------------------------------------------------------------------
def test_list_with_a_filter_offers_to_resend_all_that_match(admin_client: Client, setting: CallbackSetting) -> None:
    failed(setting)
    assert f'href="{RESEND}?status__exact=failed"' in text_of(admin_client, f"{LOG}?status__exact=failed")
    assert RESEND not in text_of(admin_client, LOG)


def test_confirmation_says_what_is_resent_and_what_is_not(admin_client: Client, setting: CallbackSetting) -> None:
    failed(setting, 3)
    failed(setting, 2, status="succeeded")
    failed(CallbackSettingFactory(is_active=True), 4)
    (orphan,) = failed(setting)
    Delivery.objects.filter(pk=orphan).update(setting=None)
    text = text_of(admin_client, f"{RESEND}?affiliate__id__exact={setting.affiliate_id}")
    assert "<dt>Affiliate</dt><dd>Joe</dd>" in text
    assert re.findall(r'<td class="number">(\S+)</td><th scope="row">(.*?)</th>', text) == [
        ("3", "to resend"),
        ("2", "already succeeded; not resent unless you tick the box below"),
        ("1", f"cannot be resent. {resend.DELETED}"),
    ]
    assert Job.objects.count() == 0


def test_confirmed_resend_does_what_the_list_showed(admin_client: Client, setting: CallbackSetting) -> None:
    pks = failed(setting, 3)
    failed(CallbackSettingFactory(), 2)
    failed(setting, 2, status="succeeded")
    query = f"?status__exact=failed&affiliate__id__exact={setting.affiliate_id}"
    response = confirmed(admin_client, RESEND + query, rate=100)
    job = Job.objects.get()
    assert response.url == job.get_absolute_url()
    assert (job.total, job.rate, job.user_name) == (3, 100, "admin")
    assert job.words == "State: Failed · Affiliate: Joe"
    assert do_all(job).done == 3
    assert waiting() == pks


@pytest.mark.parametrize("with_delivered", [True, False])
def test_confirmed_resend_takes_what_was_delivered_if_that_was_ticked(
    admin_client: Client, setting: CallbackSetting, with_delivered: bool
) -> None:
    failed(setting, 3)
    failed(setting, 2, status="succeeded")
    ticked = {"with_delivered": "on"} if with_delivered else {}
    confirmed(admin_client, f"{RESEND}?event__exact=order.created", **ticked)
    job = Job.objects.get()
    assert job.total == (5 if with_delivered else 3)
    assert job.left_out == ({} if with_delivered else {views.DELIVERED: 2})
    assert do_all(job).done == job.total


def test_filter_for_what_was_delivered_means_it(admin_client: Client, setting: CallbackSetting) -> None:
    failed(setting, 2, status="succeeded")
    confirmed(admin_client, f"{RESEND}?status__exact=succeeded")
    assert do_all(Job.objects.get()).done == 2


def test_what_comes_in_while_the_page_is_read_is_not_resent(admin_client: Client, setting: CallbackSetting) -> None:
    pks = failed(setting, 2)
    form = admin_client.get(RESEND).context["form"]
    failed(setting, 3)
    admin_client.post(RESEND, {name: form[name].value() for name in ("token", "last", "rate")})
    job = Job.objects.get()
    assert job.total == 2
    do_all(job)
    assert waiting() == pks


def test_pressing_twice_starts_it_once(admin_client: Client, setting: CallbackSetting) -> None:
    failed(setting)
    form = admin_client.get(RESEND).context["form"]
    data = {name: form[name].value() for name in ("token", "last", "rate")}
    first, second = (admin_client.post(RESEND, data) for _ in range(2))
    assert first.url == second.url == Job.objects.get().get_absolute_url()


@pytest.mark.parametrize("change", [{"token": "x"}, {"last": "-1"}, {"last": "x"}, {"rate": "1000000"}, {"rate": ""}])
def test_form_that_was_tampered_with_starts_nothing(
    admin_client: Client, setting: CallbackSetting, change: dict[str, str]
) -> None:
    failed(setting)
    response = confirmed(admin_client, RESEND, **change)
    assert response.status_code == 422
    assert "confirm again" in response.content.decode()
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    "query",
    ["?affiliate__code=joe", "?status__exact=failed&status__exact=pending", "?affiliate__id__exact=x", "?e=1"],
)
def test_filter_that_is_not_known_is_refused_and_not_overlooked(
    admin_client: Client, setting: CallbackSetting, query: str
) -> None:
    failed(setting)
    response = admin_client.get(RESEND + query)
    assert response.status_code == 302
    assert "Not all of these filters" in text_of(admin_client, LOG)


def test_nothing_to_resend_offers_no_button(admin_client: Client, setting: CallbackSetting) -> None:
    failed(setting, event="order.updated")
    text = text_of(admin_client, f"{RESEND}?event__exact=order.created")
    assert "Nothing to resend." in text
    assert "Start resending" not in text


def test_count_that_takes_too_long_says_more_than(
    admin_client: Client, setting: CallbackSetting, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed(setting, 5)
    monkeypatch.setattr(views, "estimate", partial(views.estimate, limits=Limits(time_s=0.0, size=2)))
    text = text_of(admin_client, RESEND)
    assert "more than 2</td>" in text
    confirmed(admin_client, RESEND)
    job = Job.objects.get()
    assert not job.is_counted
    assert do_all(job).done == 5


def test_confirmation_asks_as_often_for_thirty_as_for_one(admin_client: Client, setting: CallbackSetting) -> None:
    assert_same_queries(lambda: admin_client.get(f"{RESEND}?status__exact=failed"), lambda: failed(setting))


# --- backfill ------------------------------------------------------------------
def backfill_of(setting: CallbackSetting, query: str = "") -> str:
    return of(setting.affiliate, f"created/{setting.pk}/backfill/{query}")


def test_settings_tab_leads_to_past_orders(admin_client: Client, setting: CallbackSetting) -> None:
    assert backfill_of(setting) in text_of(admin_client, settings_of(setting.affiliate))


def test_backfill_counts_and_shows_the_first_three_requests(admin_client: Client, joe: Affiliate) -> None:
    for number in range(1, 6):
        OrderFactory(number=f"#{number}", affiliate=joe)
    setting = CallbackSettingFactory(affiliate=joe, only_statuses=["new"])
    OrderFactory(number="#6", affiliate=joe)
    OrderFactory(number="#7", affiliate=joe, status="approved")
    text = text_of(admin_client, backfill_of(setting))
    assert re.findall(r'<td class="number">(\S+)</td><th scope="row">(.*?)</th>', text) == [
        ("5", "to send"),
        ("2", "left out. Already sent to this callback."),
    ]
    assert [f"order=%23{number}<" in text for number in range(1, 6)] == [True, True, True, False, False]
    assert "Send 5 orders" in text


def test_confirmed_backfill_sends_the_orders_of_its_days(admin_client: Client, joe: Affiliate) -> None:
    now = timezone.now()
    for number, days in (("#1", 10), ("#2", 2), ("#3", 0)):
        OrderFactory(number=number, affiliate=joe)
        Order.objects.filter(number=number).update(created_at=now - timedelta(days=days))
    setting = CallbackSettingFactory(affiliate=joe)
    first, last = (now - timedelta(days=5)).date(), (now - timedelta(days=1)).date()
    confirmed(admin_client, backfill_of(setting, f"?first={first}&last_day={last}"))
    job = Job.objects.get()
    assert (job.kind, job.setting, job.affiliate, job.total) == ("backfill", setting, joe, 1)
    do_all(job)
    assert [delivery.order_number for delivery in Delivery.objects.filter(origin="backfill")] == ["#2"]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("?first=&last_day=", "Choose the first day, the last day or both."),
        ("?first=2026-03-02&last_day=2026-03-01", "The last day is before the first day."),
        ("?first=yesterday", "Enter a valid date."),
        ("?first=&last_day=0999-01-01", "greater than or equal to"),
    ],
)
def test_days_that_make_no_sense_are_refused_beside_the_field(
    admin_client: Client, setting: CallbackSetting, query: str, sentence: str
) -> None:
    page = admin_client.get(backfill_of(setting, query))
    assert sentence in page.content.decode()
    assert "estimate" not in page.context
    token = {"token": uuid.uuid4(), "last": 9, "rate": 50}
    assert admin_client.post(backfill_of(setting, query), token).status_code == 422
    assert not Job.objects.exists()


@pytest.mark.parametrize("trouble", ["paused", "blocked"])
def test_backfill_to_who_cannot_be_told_is_refused_with_a_sentence(
    admin_client: Client, setting: CallbackSetting, trouble: str
) -> None:
    OrderFactory(affiliate=setting.affiliate)
    if trouble == "paused":
        CallbackSetting.objects.update(is_active=False)
    else:
        Affiliate.objects.update(status="blocked")
    assert trouble in text_of(admin_client, backfill_of(setting))
    response = admin_client.post(backfill_of(setting), {"token": uuid.uuid4(), "last": 9, "rate": 50})
    assert response.status_code == 422
    assert not Job.objects.exists()


def test_backfill_of_another_affiliates_callback_is_not_found(admin_client: Client, setting: CallbackSetting) -> None:
    other = AffiliateFactory()
    assert admin_client.get(of(other, f"created/{setting.pk}/backfill/")).status_code == 404


# --- who may -------------------------------------------------------------------
def test_who_may_only_see_deliveries_can_neither_resend_nor_backfill(setting: CallbackSetting) -> None:
    failed(setting)
    client = client_with("view_delivery", "view_affiliate", "view_callbacksetting")
    assert client.get(RESEND).status_code == 403
    assert client.post(RESEND, {}).status_code == 403
    assert client.get(backfill_of(setting)).status_code == 403
    assert RESEND not in text_of(client, f"{LOG}?status__exact=failed")


def test_who_may_not_see_orders_sees_no_request_made_of_one(joe: Affiliate) -> None:
    OrderFactory(number="#4711", affiliate=joe)
    setting = CallbackSettingFactory(affiliate=joe)
    text = text_of(client_with("change_callbacksetting"), backfill_of(setting))
    assert "Send 1 order" in text
    assert "4711" not in text


# --- what was delivered before ---------------------------------------------------
def test_resend_of_what_was_delivered_says_that_it_may_be_counted_twice(
    admin_client: Client, setting: CallbackSetting
) -> None:
    failed(setting)
    assert "count it twice" not in text_of(admin_client, RESEND)
    failed(setting, 1, status="succeeded")
    assert "1 delivery had already succeeded. The tracker may count it twice." in text_of(admin_client, RESEND)
    (pk, _) = failed(setting, 2, status="succeeded")
    for query in ("", "?status__exact=succeeded"):
        text = text_of(admin_client, RESEND + query)
        assert "3 deliveries had already succeeded. The trackers may count them twice." in text
    delivery = Delivery.objects.get(pk=pk)
    assert "If you resend it, the tracker may count it twice." in text_of(admin_client, delivery.get_absolute_url())
    Delivery.objects.filter(pk=pk).update(status="failed")
    assert "count it twice" not in text_of(admin_client, delivery.get_absolute_url())


def test_resend_of_nothing_is_not_started(admin_client: Client, setting: CallbackSetting) -> None:
    failed(setting, 2, status="succeeded")
    box = '<input type="checkbox" name="with_delivered" id="id_with_delivered" required>'
    assert box in text_of(admin_client, RESEND)  # so a browser does not send the form without it
    response = confirmed(admin_client, RESEND)
    assert (response.status_code, Job.objects.count()) == (422, 0)
    assert "no delivery is selected" in response.content.decode()
    assert confirmed(admin_client, RESEND, with_delivered="on").status_code == 302
    failed(setting)
    assert box.replace(" required", "") in text_of(admin_client, RESEND)
