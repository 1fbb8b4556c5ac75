"""The test in a callback's form, as a page and by a script: who may send it, how often, and what the form keeps."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from affiliates.models import Affiliate
from callbacks import models
from callbacks.models import CallbackSetting, Delivery, EndpointHealth, test_quota
from tests.callbacks.panel import BY_SCRIPT, at_once, of, send_test
from tests.factories import AffiliateFactory, CallbackSettingFactory, OrderFactory, client_with
from tests.receiver import Answer, Receiver

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("loopback")]


def nothing_was_sent(receiver: Receiver) -> bool:
    return not receiver.requests and not Delivery.objects.exists()


# --- the form ----------------------------------------------------------------------
def test_test_of_a_bad_form_says_so_beside_its_fields_and_sends_nothing(
    admin_client: Client, joe: Affiliate, receiver: Receiver
) -> None:
    for url, code in (
        (receiver.url("/?c={{clickid}}"), "unknown_variable"),
        (receiver.url("/?c={{order.number"), "unbalanced_braces"),
        ("http://10.0.0.1/x", "blocked_address"),
        ("https://tracker.example:22/x", "blocked_port"),
        ("", "required"),
    ):
        answer = send_test(admin_client, joe, url)
        text = answer.content.decode()
        assert answer.status_code == 422
        assert re.findall('<li data-code="([a-z_]+)">', text) == [code]
        assert "Correct the errors in the form first" in text
    assert nothing_was_sent(receiver)
    assert not models.TestQuota.objects.exists()


def test_test_without_a_script_gives_the_page_back_with_all_that_was_typed(
    admin_client: Client, joe: Affiliate, receiver: Receiver
) -> None:
    receiver.answer("/pb", Answer(404, body=b"no such click"))
    order, _ = OrderFactory(affiliate=joe, number="#OLD"), OrderFactory(affiliate=joe, number="#NEW")
    typed = {
        "method": "POST",
        "body_format": "json",
        "only_statuses": ["approved"],
        "name": "Mine",
        "preview_order": order.pk,
    }
    url = receiver.url("/pb?o={{order.number}}")
    page = admin_client.post(of(joe, "created/test/"), {"url": url} | typed)
    assert page.status_code == 200
    assert [request.target for request in receiver.requests] == ["/pb?o=%23OLD"]
    form = page.context["form"]
    assert {name: form[name].value() for name in ("url", *typed) if name != "preview_order"} | {
        "preview_order": order.pk
    } == typed | {"url": url}
    assert page.context["order"] == order
    text = page.content.decode()
    assert "The tracker answered 404 Not Found." in text
    assert "no such click" in text
    assert f'action="{of(joe, "created/")}"' in text  # Submit still saves
    assert f'formaction="{of(joe, "created/test/")}#setup-test"' in text
    assert not CallbackSetting.objects.exists()


def test_address_of_a_test_leads_back_to_the_form(admin_client: Client, joe: Affiliate) -> None:
    setting = CallbackSettingFactory(affiliate=joe)
    assert admin_client.get(of(joe, "updated/test/"))["Location"] == of(joe, "updated/")
    assert admin_client.get(of(joe, f"created/{setting.pk}/test/"))["Location"] == of(joe, f"created/{setting.pk}/")


# --- what had paused itself ---------------------------------------------------------
@pytest.mark.parametrize(
    ("code", "path", "reason", "resumes"),
    [
        (200, "/pb", "failing", True),
        (200, "/pb", "gone", True),
        (200, "/pb", "person", False),
        (500, "/pb", "failing", False),
        (200, "/typed-and-not-saved", "failing", False),
    ],
)
def test_test_that_passes_resumes_a_saved_callback_that_paused_itself(
    admin_client: Client, joe: Affiliate, receiver: Receiver, code: int, path: str, reason: str, resumes: bool
) -> None:
    setting = CallbackSettingFactory(affiliate=joe, url=receiver.url("/pb"), is_active=False, pause_reason=reason)
    receiver.answer("*", Answer(code))
    send_test(admin_client, joe, receiver.url(path), f"created/{setting.pk}/test/")
    setting.refresh_from_db()
    assert (setting.is_active, setting.pause_reason) == ((True, "") if resumes else (False, reason))
    assert EndpointHealth.objects.filter(state="paused").exists() is False


# --- who may -----------------------------------------------------------------------
def test_test_is_for_those_who_may_set_this_callback_up(joe: Affiliate, receiver: Receiver) -> None:
    saved = f"created/{CallbackSettingFactory(affiliate=joe).pk}/test/"
    for allowed, new, present in (
        ([], 403, 403),
        (["view_callbacksetting", "change_delivery", "delete_callbacksetting"], 403, 403),
        (["add_callbacksetting"], 200, 403),
        (["change_callbacksetting"], 403, 200),
    ):
        client = client_with(*allowed)
        receiver.clear()
        got = [send_test(client, joe, receiver.url("/"), rest).status_code for rest in ("created/test/", saved)]
        assert got == [new, present], allowed
        assert len(receiver.requests) == got.count(200)
    assert Client().post(of(joe, saved)).status_code == 302
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.latest("pk"))
    assert strict.post(of(joe, saved), {"url": receiver.url("/"), "method": "GET"}).status_code == 403


def test_test_of_who_may_not_see_orders_is_with_examples(joe: Affiliate, receiver: Receiver) -> None:
    order = OrderFactory(affiliate=joe, number="#SECRET")
    send_test(client_with("add_callbacksetting"), joe, receiver.url("/?o={{order.number}}"), preview_order=order.pk)
    assert receiver.wait_for(1)[0].target == "/?o=%23100001"


def test_test_is_of_this_affiliates_callbacks_and_orders_only(
    admin_client: Client, joe: Affiliate, receiver: Receiver
) -> None:
    setting, foreign = CallbackSettingFactory(affiliate=joe), OrderFactory(number="#FOREIGN")
    for affiliate, rest in (
        (AffiliateFactory(), f"created/{setting.pk}/test/"),
        (joe, f"updated/{setting.pk}/test/"),
        (joe, "created/999999/test/"),
    ):
        assert send_test(admin_client, affiliate, receiver.url("/"), rest).status_code == 404
    assert receiver.requests == []
    send_test(admin_client, joe, receiver.url("/?o={{order.number}}"), preview_order=foreign.pk)
    assert "FOREIGN" not in receiver.wait_for(1)[0].target


# --- how often ---------------------------------------------------------------------
def test_test_too_often_is_refused_with_a_sentence_until_a_minute_is_over(
    admin_client: Client, joe: Affiliate, receiver: Receiver
) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(test_quota.AT_MOST):
            assert send_test(admin_client, joe, receiver.url("/")).status_code == 200
            clock.shift(2)
        for rest, headers in (("created/test/", BY_SCRIPT), ("updated/test/", {})):
            answer = admin_client.post(of(joe, rest), {"method": "GET", "url": receiver.url("/")}, headers=headers)
            assert answer.status_code == 429
            assert "Try again in 40 s." in answer.content.decode()
        assert len(receiver.requests) == test_quota.AT_MOST == Delivery.objects.count()
        clock.shift(40)
        assert send_test(admin_client, joe, receiver.url("/")).status_code == 200
        assert send_test(admin_client, joe, receiver.url("/")).status_code == 429


@pytest.mark.parametrize(
    ("user", "affiliate", "expected"),
    [("same", "same", 429), ("same", "other", 429), ("other", "same", 429), ("other", "other", 200)],
)
def test_test_is_limited_for_a_person_and_for_an_affiliate(
    admin_client: Client, admin_user: User, joe: Affiliate, receiver: Receiver, user: str, affiliate: str, expected: int
) -> None:
    other = User.objects.create_superuser("other")
    someone = admin_user if user == "same" else other
    somewhere = joe if affiliate == "same" else AffiliateFactory()
    now = timezone.now()
    models.TestQuota.objects.bulk_create(
        models.TestQuota(user=someone, affiliate=somewhere, taken_at=now) for _ in range(test_quota.AT_MOST)
    )
    assert send_test(admin_client, joe, receiver.url("/")).status_code == expected


def test_quota_taken_at_once_is_not_exceeded(admin_user: User, joe: Affiliate) -> None:
    waits = at_once([lambda: test_quota.take(admin_user.pk, joe.pk)] * (2 * test_quota.AT_MOST))
    assert waits.count(timedelta()) == models.TestQuota.objects.count() == test_quota.AT_MOST


def test_quota_rows_older_than_a_minute_are_deleted(admin_user: User, joe: Affiliate) -> None:
    long_ago = timezone.now() - test_quota.WITHIN
    models.TestQuota.objects.bulk_create(
        models.TestQuota(user=admin_user, affiliate=joe, taken_at=long_ago) for _ in range(30)
    )
    assert test_quota.take(admin_user.pk, joe.pk) == timedelta()
    assert models.TestQuota.objects.count() == 1


def test_test_costs_as_many_queries_for_many_orders_and_deliveries(
    admin_client: Client, joe: Affiliate, receiver: Receiver, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    CallbackSettingFactory(affiliate=joe)
    for count in (1, 30):
        OrderFactory.create_batch(count, affiliate=joe)
        for _ in range(3):
            with django_assert_max_num_queries(28):
                send_test(admin_client, joe, receiver.url("/?c={{link.sub_id}}"))
