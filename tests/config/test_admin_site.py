"""The frame around every page of the admin: navigation by permission, overview, signing in, cost, errors."""

import re
from datetime import timedelta

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import get_resolver, reverse
from django.utils import timezone

from callbacks.models import Delivery
from callbacks.reports import overview
from callbacks.reports.hourly import Counts
from config import admin_site
from config.listing import pages
from config.listing.keys import LARGEST_KEY, Limits
from config.listing.pages import LongChangeList
from tests.factories import AffiliateFactory, CallbackSettingFactory, OrderFactory, client_with

pytestmark = pytest.mark.django_db

PASSWORD = "a long enough passphrase"
INDEX = "/admin/"


def page(response):
    return response.content.decode()


def menu(response):
    return re.findall(r'class="side-link" href="([^"]+)"', page(response).partition("side-foot")[0])


def failed(count):
    setting = CallbackSettingFactory()
    OrderFactory.create_batch(count, affiliate=setting.affiliate)
    Delivery.objects.update(status="failed", next_attempt_at=None)


# --- navigation --------------------------------------------------------------
def test_navigation_of_a_superuser_has_every_page_in_order(admin_client):
    assert menu(admin_client.get(INDEX)) == [
        "/admin/",
        "/admin/affiliates/affiliate/",
        "/admin/affiliates/link/",
        "/admin/orders/order/",
        "/admin/orders/shop/",
        "/admin/callbacks/delivery/",
        "/admin/callbacks/all/",
        "/admin/callbacks/errand/",
        "/admin/callbacks/hosts/",
        "/admin/auth/user/",
        "/admin/callbacks/callbacksetting/",
        "/admin/orders/apitoken/",
    ]
    text = page(admin_client.get(INDEX))
    assert "All Affiliates" in text
    assert "All orders" in text


def test_admin_site_holds_our_models_and_users_only():
    assert {model.__name__ for model in admin.site._registry} == {
        "Affiliate", "Link", "Order", "Shop", "Message", "ApiToken", "CallbackSetting", "Delivery", "Errand", "User",
    }  # fmt: skip


def test_navigation_of_staff_has_what_they_may_see():
    assert menu(client_with("view_order").get(INDEX)) == ["/admin/", "/admin/orders/order/"]


@pytest.mark.parametrize("url", ["/admin/affiliates/affiliate/", "/admin/affiliates/affiliate/add/"])
def test_navigation_marks_the_page_that_is_open(admin_client, url):
    marked = re.findall(r'href="([^"]+)" aria-current="page"', page(admin_client.get(url)))
    assert marked[0] == "/admin/affiliates/affiliate/"


def test_navigation_counts_what_failed_in_the_last_day(admin_client):
    failed(3)
    Delivery.objects.filter(pk=Delivery.objects.first().pk).update(created_at=timezone.now() - timedelta(hours=25))
    assert re.search(r'class="badge" title="failed in the last 24 hours">2<', page(admin_client.get(INDEX)))


# --- overview ----------------------------------------------------------------
def test_overview_of_an_empty_shop_leads_through_the_first_steps(admin_client):
    text = page(admin_client.get(INDEX))
    assert "/admin/affiliates/affiliate/add/" in text
    affiliate = AffiliateFactory()
    settings = reverse("admin:affiliates_affiliate_settings", args=[affiliate.pk])
    assert settings in page(admin_client.get(INDEX))
    CallbackSettingFactory(affiliate=affiliate)
    text = page(admin_client.get(INDEX))
    assert settings not in text
    assert "/admin/orders/order/add/" in text
    assert text.count("is-done") == 2


def test_overview_shows_the_states_and_the_latest_failures(admin_client):
    failed(7)
    text = page(admin_client.get(INDEX))
    assert re.search(r'tile is-bad".*?tile-number">7<', text, re.DOTALL)
    assert text.count('data-state="failed"') == 5
    assert "Four steps" not in text
    of_app = page(admin_client.get(f"{INDEX}callbacks/"))
    assert of_app.count('data-state="failed"') == 5
    assert "Four steps" not in of_app


def test_overview_of_staff_without_permissions_shows_no_deliveries():
    failed(1)
    text = page(client_with().get(INDEX))
    assert "data-state" not in text
    assert Delivery.objects.get().order_number not in text


def test_overview_chart_of_nearly_all_does_not_say_all():
    bars = [overview.Bar(timezone.now(), counts, "") for counts in (Counts(2499, 1), Counts(2500, 0))]
    assert admin_site._chart_of(bars, "/log/")["rate"] == [99.9, 100]


@pytest.mark.parametrize(
    ("url", "most"),
    [
        (INDEX, 32),
        ("/admin/orders/order/", 13),
        ("/admin/callbacks/delivery/", 10),
        ("/admin/affiliates/affiliate/", 10),
    ],
)
def test_page_needs_few_queries(admin_client, django_assert_max_num_queries, monkeypatch, url, most):
    at_once = Limits(size=LARGEST_KEY)  # keys may be high already: PostgreSQL goes on counting after a rollback
    monkeypatch.setattr(pages, "COUNTING", at_once)
    monkeypatch.setattr(LongChangeList, "limits", at_once)
    failed(3)
    admin_client.get(url)  # some things are read once per process
    with django_assert_max_num_queries(most):
        admin_client.get(url)


# --- signing in and out ------------------------------------------------------
def test_login_wrong_password_says_so_and_keeps_the_name(client):
    response = client.post("/admin/login/", {"username": "nobody", "password": "wrong"})
    text = page(response)
    assert 'role="alert"' in text
    assert 'value="nobody"' in text
    assert "wrong" not in text


def test_login_wrong_too_often_is_locked_out_and_told_so(client, admin_user, settings):
    typed = {"username": admin_user.username, "password": "wrong"}
    for _ in range(settings.AXES_FAILURE_LIMIT - 1):
        assert client.post("/admin/login/", typed).status_code == 200
    answer = client.post("/admin/login/", typed)
    assert answer.status_code == 429
    assert "Too many wrong passwords" in page(answer)
    assert 'href="/admin/login/"' in page(answer)
    assert client.post("/admin/login/", typed | {"password": "password"}).status_code == 429


def test_logout_leads_to_the_log_in_of_the_admin(admin_client):
    assert admin_client.post("/admin/logout/").url == "/admin/login/"
    assert admin_client.get(INDEX).status_code == 302


def test_password_change_refused_says_why_beside_the_field_and_then_works(admin_client, admin_user):
    url = "/admin/password_change/"
    typed = {"old_password": "wrong", "new_password1": PASSWORD, "new_password2": PASSWORD}
    assert 'data-code="password_incorrect"' in page(admin_client.post(url, typed))
    response = admin_client.post(url, typed | {"old_password": "password"}, follow=True)
    assert "Password changed" in page(response)


# --- the stock look ----------------------------------------------------------
PAGES = [
    INDEX,
    "/admin/login/",
    "/admin/password_change/",
    "/admin/affiliates/affiliate/",
    "/admin/affiliates/affiliate/add/",
    "/admin/affiliates/link/",
    "/admin/affiliates/link/add/",
    "/admin/orders/order/",
    "/admin/orders/order/add/",
    "/admin/callbacks/delivery/",
    "/admin/auth/user/",
    "/admin/auth/user/add/",
]


@pytest.mark.parametrize("url", PAGES)
def test_page_is_dressed_in_our_theme_alone_and_has_a_title(admin_client, url):
    response = (Client() if "login" in url else admin_client).get(url)
    text = page(response)
    assert response.status_code == 200
    assert "site.css" in text
    assert "admin/css/" not in text
    assert "admin/img/" not in text
    assert "Django" not in text
    assert re.search(r"<title>\S.* · Affiliate Postbacks</title>", text)
    assert text.count("<h1") == 1
    assert "default-src 'self'" in response["Content-Security-Policy"]


# --- errors ------------------------------------------------------------------
def test_address_with_nothing_at_it_is_a_page_of_ours(admin_client):
    response = admin_client.get("/admin/nothing/")
    assert response.status_code == 404
    assert "Page not found" in page(response)


def test_page_without_permission_is_a_page_of_ours():
    response = client_with("view_order").get("/admin/auth/user/")
    assert response.status_code == 403
    assert "You are not allowed to do this" in page(response)


def test_form_without_its_token_is_a_page_of_ours(admin_user):
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    response = client.post("/admin/orders/order/add/", {})
    assert response.status_code == 403
    assert "This form has expired" in page(response)


def test_error_of_ours_is_a_page_of_ours(rf):
    response = get_resolver().resolve_error_handler(500)(rf.get(INDEX))
    assert response.status_code == 500
    assert "Something went wrong" in page(response)


# --- history -----------------------------------------------------------------
def test_history_says_who_did_what(admin_client):
    order = OrderFactory()
    url = reverse("admin:orders_order_history", args=[order.pk])
    assert "No changes in the panel" in page(admin_client.get(url))
    typed = {"number": order.number, "status": "approved", "affiliate": order.affiliate.code, "link": ""}
    admin_client.post(
        reverse("admin:orders_order_change", args=[order.pk]),
        typed | {"amount": "58.00", "currency": "USD", "commission": ""},
    )
    text = page(admin_client.get(url))
    assert "Status: New → Approved." in text
    assert "admin" in text
