"""Lists of the admin: what narrows them, and what is left out."""

import re
import time

import pytest
from django.contrib import admin
from django.contrib.auth.models import User

from config.listing.pages import BaseAdmin, DeclaredList
from tests.factories import AffiliateFactory, CallbackSettingFactory, LinkFactory, OrderFactory

pytestmark = pytest.mark.django_db
LINKS, ORDERS, DELIVERIES = "/admin/affiliates/link/", "/admin/orders/order/", "/admin/callbacks/delivery/"
AFFILIATES, USERS = "/admin/affiliates/affiliate/", "/admin/auth/user/"


def left_out(client, address: str) -> str:
    """What the message on that page names."""
    answer = client.get(address)
    assert answer.status_code == 200
    found = re.search(r"Unknown filter or value, ignored: ([^<]*)\.", answer.content.decode())
    return found[1] if found else ""


def rows(client, address: str) -> int:
    changelist = client.get(address).context["cl"]
    return len(changelist.result_list)


def test_every_list_takes_declared_filters_only(rf):
    request = rf.get("/")
    request.user = User(is_superuser=True, is_staff=True, is_active=True)
    for page in admin.site._registry.values():
        assert isinstance(page, BaseAdmin)
        assert issubclass(page.get_changelist(request), DeclaredList)


@pytest.mark.parametrize(
    ("address", "named"),
    [
        (f"{LINKS}?url__regex=(.*)*x$", "url__regex"),
        (
            f"{LINKS}?url__contains=x&affiliate__user__password__startswith=p",
            "affiliate__user__password__startswith, url__contains",
        ),
        (f"{LINKS}?id=1", "id"),
        (f"{AFFILIATES}?created_at__year=99999999999", "created_at__year"),
        (f"{AFFILIATES}?health=nonsense", "health"),
        (f"{AFFILIATES}?callbacks=7", "callbacks"),
        (f"{ORDERS}?amount__gt=1", "amount__gt"),
        (f"{ORDERS}?from=nonsense", "from"),
        (f"{ORDERS}?from=2026-01-01&to=2026-99-01", "to"),
        (f"{ORDERS}?affiliate__id__exact={'9' * 30}", "affiliate__id__exact"),
        (f"{ORDERS}?affiliate__id__exact=x", "affiliate__id__exact"),
        (f"{DELIVERIES}?variables__contains=1", "variables__contains"),
        (f"{DELIVERIES}?status__exact=nonsense", "status__exact"),
        (f"{DELIVERIES}?setting__secret__startswith=w", "setting__secret__startswith"),
        (f"{USERS}?password__startswith=p", "password__startswith"),
        (f"{USERS}?is_active__exact=perhaps", "is_active__exact"),
        (f"{USERS}?role=king", "role"),
    ],
)
def test_what_no_filter_knows_is_left_out_and_named(admin_client, address, named):
    for _ in range(2):
        LinkFactory(affiliate=(joe := AffiliateFactory()))
        CallbackSettingFactory(affiliate=joe)
        OrderFactory(affiliate=joe)
        User.objects.create(username=f"user of {joe.pk}")
    path = address.partition("?")[0]
    assert left_out(admin_client, address) == named
    assert rows(admin_client, address) == rows(admin_client, path) > 1


def test_regular_expression_in_an_address_costs_nothing(admin_client):
    LinkFactory(url="https://shop.example/?ref=" + "a" * 500)
    began = time.monotonic()
    assert rows(admin_client, f"{LINKS}?url__regex=(.*)*x$") == 1
    assert time.monotonic() - began < 5


def test_declared_filters_narrow_as_before(admin_client):
    joe, marta = AffiliateFactory(status="blocked"), AffiliateFactory()
    for affiliate in (joe, marta):
        OrderFactory(affiliate=affiliate, currency="EUR" if affiliate is joe else "USD")
    for address in (
        f"{AFFILIATES}?status__exact=blocked",
        f"{ORDERS}?affiliate__id__exact={joe.pk}",
        f"{ORDERS}?currency=EUR",
    ):
        assert left_out(admin_client, address) == ""
        assert rows(admin_client, address) == 1


def test_links_of_a_list_do_not_carry_what_was_left_out(admin_client):
    AffiliateFactory()
    changelist = admin_client.get(f"{AFFILIATES}?nonsense=1&status__exact=approved").context["cl"]
    assert changelist.get_query_string() == "?status__exact=approved"


def test_page_that_is_not_there_is_the_first(admin_client):
    AffiliateFactory()
    assert rows(admin_client, f"{AFFILIATES}?p=999999999999999999999") == 1


def test_csv_leaves_out_what_the_list_leaves_out(admin_client):
    CallbackSettingFactory(affiliate=(joe := AffiliateFactory()))
    OrderFactory(affiliate=joe)
    answer = admin_client.get(f"{DELIVERIES}export/?variables__regex=(.*)*x$")
    assert answer.getvalue().count(b"\n") == 2


def test_months_without_one_before_or_after_are_not_shown(admin_client):
    joe = AffiliateFactory()
    for month in ("9999-12", "0001-01", "1969-12", "2026-13"):
        for end in ("", "export/"):
            answer = admin_client.get(f"/admin/affiliates/affiliate/{joe.pk}/reconciliation/{end}?month={month}")
            answer.getvalue()
            assert answer.status_code == 200


@pytest.mark.parametrize(
    ("url", "title"),
    [
        ("/admin/callbacks/delivery/", "Deliveries"),
        ("/admin/callbacks/all/", "All callbacks"),
        ("/admin/callbacks/callbacksetting/", "Webhooks"),
        ("/admin/affiliates/affiliate/", "All Affiliates"),
        ("/admin/affiliates/link/", "Links"),
        ("/admin/auth/user/", "Users"),
    ],
)
def test_title_of_a_list_is_its_name(admin_client, url, title):
    page = admin_client.get(url)
    assert f"<title>{title} · Affiliate Postbacks</title>" in page.content.decode()
    assert page.context["cl"].title == title
    for wrong in ("Select ", "to view<", "to change<"):
        assert wrong not in page.content.decode().partition("<main")[0]


@pytest.mark.parametrize("url", ["/admin/affiliates/affiliate/", "/admin/callbacks/all/"])
def test_search_for_what_is_too_long_is_left_out_and_said(admin_client, url):
    """SQLite takes no pattern as long as this."""
    CallbackSettingFactory(url="https://a.example/?o={{order.number}}")
    page = admin_client.get(url, {"q": "a" * 60_000})
    assert "The search text is too long, ignored." in page.content.decode()
    assert len(page.context["cl"].result_list) == 1
