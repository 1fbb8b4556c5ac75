import itertools
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from affiliates.models import Affiliate, Link
from callbacks.delivery import queue, settle
from callbacks.egress.outcome import Outcome, Request
from callbacks.models import Attempt, CallbackSetting, Delivery, EndpointHealth
from config.monitoring import mail
from tests.factories import AffiliateFactory, OrderFactory, callbacks_for
from tests.queries import assert_same_queries

pytestmark = pytest.mark.django_db

PASSWORD = "a long enough passphrase"
URL = "https://tracker.example/postback?order={{order.number}}&s={{link.sub_id}}"


def with_login(**fields: Any) -> Affiliate:
    affiliate = AffiliateFactory(**fields)
    affiliate.user = get_user_model().objects.create_user(affiliate.email, affiliate.email, PASSWORD)
    affiliate.save()
    callbacks_for(affiliate, URL)
    return affiliate


@pytest.fixture
def joe() -> Affiliate:
    return with_login(name="Joe")


def sign_in(client: Client, affiliate: Affiliate, password: str = PASSWORD) -> Any:
    return client.post("/portal/login/", {"username": affiliate.email, "password": password}, follow=True)


def delivered(affiliate: Affiliate, number: str, code: int = 200, kind: str = "") -> Delivery:
    link = Link.objects.find_or_make(affiliate, "https://shop.example/?sub_id=fb")
    OrderFactory(affiliate=affiliate, link=link, number=number)
    (claimed,) = queue.claim(10)
    outcome = Outcome(claimed.pk, code, kind, f"The tracker answered {code}.", response_excerpt="thanks for telling")
    request = Request(claimed.pk, "GET", f"https://tracker.example/postback?order={number}", (("X-A", "b"),), None)
    status = "failed" if kind else "succeeded"
    settle.settle([settle.Settlement(claimed, timezone.now(), request, outcome, status, None, 0)])
    return Delivery.objects.get(pk=claimed.pk)


def test_portal_without_sign_in_leads_to_the_form(client: Client) -> None:
    for path in ("/portal/", "/portal/deliveries/1/"):
        assert client.get(path).headers["Location"] == "/portal/login/"


def test_portal_shows_both_callbacks_and_own_deliveries(client: Client, joe: Affiliate) -> None:
    delivered(joe, "A-1")
    page = sign_in(client, joe)
    assert page.redirect_chain == [("/portal/", 302)]
    text = page.content.decode()
    for expected in ("Order created callback", "Order updated callback", "{{order.number}}", "A-1", "GET", "Working"):
        assert expected in text


def test_portal_failing_callback_says_what_happened(client: Client, joe: Affiliate) -> None:
    delivered(joe, "A-1", 502, "status")
    text = sign_in(client, joe).content.decode()
    assert "Failing" in text
    assert "The tracker answered 502." in text


def test_portal_callback_that_fails_for_long_says_since_when(client: Client, joe: Affiliate) -> None:
    delivered(joe, "A-1", 502, "status")
    setting = joe.callback_settings.get(event="order.created")
    EndpointHealth.objects.create(setting=setting, state="failing", since=datetime(2026, 11, 3, 4, 5, tzinfo=UTC))
    text = sign_in(client, joe).content.decode()
    assert re.search(r"no postback has succeeded since <time[^>]*>3 Nov 2026, [^<]*</time>", text)


@pytest.mark.parametrize(
    ("reason", "words"), [("gone", "answered 410 Gone"), ("failing", "no postback succeeded for days")]
)
def test_portal_callback_that_is_paused_by_itself_says_why(
    client: Client, joe: Affiliate, reason: str, words: str
) -> None:
    setting = joe.callback_settings.get(event="order.created")
    CallbackSetting.objects.filter(pk=setting.pk).update(is_active=False, pause_reason=reason)
    EndpointHealth.objects.create(setting=setting, state="paused", paused_at=timezone.now())
    text = sign_in(client, joe).content.decode()
    assert "Paused automatically" in text
    assert words in text
    assert "Tell the shop" in text
    assert "Correct the URL" not in text  # that is for the staff


def test_portal_without_callbacks_says_so(client: Client, joe: Affiliate) -> None:
    joe.callback_settings.all().delete()
    text = sign_in(client, joe).content.decode()
    assert text.count("Not set") == 2
    assert "Ask the shop to set one up" in text
    assert "No deliveries yet" in text


def test_portal_delivery_shows_what_was_sent_and_answered(client: Client, joe: Affiliate) -> None:
    delivery = delivered(joe, "A-1")
    sign_in(client, joe)
    text = client.get(f"/portal/deliveries/{delivery.pk}/").content.decode()
    assert "https://tracker.example/postback?order=A-1" in text
    assert "thanks for telling" in text
    assert "X-A: b" in text
    assert "link.sub_id" in text.replace("<wbr>", "")


def test_portal_of_another_is_not_found(client: Client, joe: Affiliate) -> None:
    other = with_login(name="Other")
    theirs = delivered(other, "SECRET-1")
    assert "SECRET-1" not in sign_in(client, joe).content.decode()
    assert client.get(f"/portal/deliveries/{theirs.pk}/").status_code == 404
    assert client.get("/portal/deliveries/999999/").status_code == 404


def test_portal_changes_nothing_and_leads_nowhere_into_the_admin(client: Client, joe: Affiliate) -> None:
    delivery = delivered(joe, "A-1")
    home = sign_in(client, joe).content.decode()
    page = client.get(f"/portal/deliveries/{delivery.pk}/").content.decode()
    assert "/admin/" not in home + page
    for path in ("/portal/", f"/portal/deliveries/{delivery.pk}/"):
        assert client.post(path).status_code == 405
    assert client.get("/admin/", follow=True).redirect_chain[-1][0].startswith("/admin/login/")
    assert Attempt.objects.count() == 1


def test_portal_wrong_password_is_refused_with_a_sentence(client: Client, joe: Affiliate) -> None:
    text = sign_in(client, joe, "wrong").content.decode()
    assert "Enter the e-mail address and password of your portal account." in text
    assert "username" not in text.replace('name="username"', "").replace("id_username", "").replace(
        'autocomplete="username"', ""
    )
    assert joe.email in text  # what was typed is not lost


@pytest.mark.parametrize("typed", ["JOE@Blog.Example", "  joe@blog.example ", "\u00a0Joe@blog.example\u00a0"])
def test_portal_log_in_takes_the_e_mail_as_people_type_it(client: Client, typed: str) -> None:
    joe = with_login(email="joe@blog.example")
    assert client.post("/portal/login/", {"username": typed, "password": PASSWORD})["Location"] == "/portal/"
    assert client.get("/portal/").context["affiliate"] == joe


def test_portal_log_in_notes_the_language_for_e_mails(client: Client, joe: Affiliate) -> None:
    client.post("/portal/login/", {"username": joe.email, "password": PASSWORD}, headers={"accept-language": "es"})
    assert mail.language_of(joe.user) == "es"


def test_portal_log_in_prefers_nobody_of_two_with_one_name(client: Client) -> None:
    with_login(email="joe@blog.example")
    get_user_model().objects.create_user("JOE@blog.example", password=PASSWORD)
    assert client.post("/portal/login/", {"username": "Joe@blog.example", "password": PASSWORD}).status_code == 200
    assert client.post("/portal/login/", {"username": "joe@blog.example", "password": PASSWORD}).status_code == 302


def test_portal_log_in_without_anything_typed_says_so_beside_the_fields(client: Client) -> None:
    text = client.post("/portal/login/", {}).content.decode()
    assert "Enter your e-mail address." in text
    assert "Enter your password." in text


@pytest.mark.parametrize(("status", "words"), [("pending", "not approved yet"), ("blocked", "Your account is blocked")])
def test_portal_promises_no_postback_to_who_gets_none(
    admin_client: Client, joe: Affiliate, status: str, words: str
) -> None:
    joe.status = status
    joe.save()
    joe.callback_settings.filter(event="order.updated").delete()
    text = admin_client.get(f"/portal/as/{joe.pk}/").content.decode()
    assert f"{words}" in text
    assert "so no postbacks are sent" in text
    assert "will appear here" not in text


def test_portal_account_without_affiliate_is_refused(client: Client, joe: Affiliate) -> None:
    get_user_model().objects.create_superuser("merchant", password=PASSWORD)
    response = client.post("/portal/login/", {"username": "merchant", "password": PASSWORD})
    assert "This account has no access to the portal." in response.content.decode()


def test_portal_blocked_affiliate_is_shut_out(client: Client, joe: Affiliate) -> None:
    sign_in(client, joe)
    joe.status = Affiliate.Status.BLOCKED
    joe.save()
    assert client.get("/portal/").status_code == 302


def test_portal_log_out_ends_it(client: Client, joe: Affiliate) -> None:
    sign_in(client, joe)
    assert client.post("/portal/logout/").headers["Location"] == "/portal/login/"
    assert client.get("/portal/").status_code == 302


def test_portal_queries_do_not_grow_with_rows(client: Client, joe: Affiliate) -> None:
    sign_in(client, joe)
    numbers = itertools.count()
    assert assert_same_queries(lambda: client.get("/portal/"), lambda: delivered(joe, f"B-{next(numbers)}"), 24) < 15


def test_start_leads_affiliates_to_their_portal_and_others_to_the_panel(
    client: Client, admin_client: Client, joe: Affiliate
) -> None:
    sign_in(client, joe)
    assert client.get("/")["Location"] == "/portal/"
    assert admin_client.get("/")["Location"] == Client().get("/")["Location"] == "/admin/"
