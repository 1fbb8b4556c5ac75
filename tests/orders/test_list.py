"""The filters of All orders that are cheap however many orders and affiliates there are."""

import html
import re
from datetime import timedelta

import pytest
from django.utils import timezone

from affiliates.models import Affiliate
from orders.models import Order
from tests.factories import AffiliateFactory, CallbackSettingFactory, LinkFactory, OrderFactory, client_with

pytestmark = pytest.mark.django_db

LIST = "/admin/orders/order/"


def found(response):
    return [order.number for order in response.context["cl"].result_list]


def test_order_list_of_an_affiliate_has_theirs_only(admin_client):
    order, _ = OrderFactory(number="#1"), OrderFactory(number="#2")
    assert found(admin_client.get(f"{LIST}?affiliate__id__exact={order.affiliate.pk}")) == ["#1"]


def test_order_list_of_a_currency_offers_those_that_came_in(admin_client):
    OrderFactory(number="#1", currency="EUR")
    OrderFactory(number="#2", currency="JPY", amount=100)
    response = admin_client.get(f"{LIST}?currency=EUR")
    assert found(response) == ["#1"]
    assert "?currency=JPY" in response.content.decode()
    assert "?currency=USD" not in response.content.decode()


def test_order_list_of_a_currency_nobody_used_finds_nothing(admin_client):
    OrderFactory()
    response = admin_client.get(f"{LIST}?currency=XAF")
    assert found(response) == []
    assert "Currency: XAF" in response.content.decode()


def test_order_list_since_a_date_leaves_older_ones_out(admin_client):
    OrderFactory(number="#old")
    Order.objects.update(created_at=timezone.now() - timedelta(days=30))
    OrderFactory(number="#new")
    today, past_7_days, *_ = re.findall(r'href="(\?from=[^"]+)"', admin_client.get(LIST).content.decode())
    assert found(admin_client.get(LIST + html.unescape(today))) == ["#new"]
    assert found(admin_client.get(LIST + html.unescape(past_7_days))) == ["#new"]


@pytest.mark.parametrize("url", [LIST, "/admin/callbacks/delivery/"])
def test_affiliate_filter_finds_everybody_by_typing(admin_client, url):
    Affiliate.objects.bulk_create(AffiliateFactory.build_batch(503, name="Aaron"))
    zoe = AffiliateFactory(name="Zoe", code="zo", email="zoe@x.example")
    for typed in ("Zoe", "zo", "ZOE@x.example", "oe@x", "Zoe (zo)"):
        answer = admin_client.get(url, {"affiliate": typed, "from": "2026-01-01"})
        assert answer.headers["Location"] == f"{url}?from=2026-01-01&affiliate__id__exact={zoe.pk}"
    assert "Affiliate: Zoe" in admin_client.get(answer.headers["Location"]).content.decode()
    assert admin_client.get(url, {"affiliate": ""}).headers["Location"] == f"{url}?"


@pytest.mark.parametrize(
    "url", [LIST, "/admin/callbacks/delivery/", "/admin/affiliates/link/", "/admin/callbacks/all/"]
)
def test_affiliate_filter_offers_those_who_are_meant_and_shows_nothing_meanwhile(admin_client, url):
    joes = [AffiliateFactory(name=f"Joe {n}", code=f"joe{n}") for n in range(3)]
    CallbackSettingFactory(affiliate=joes[0])
    OrderFactory(affiliate=joes[0], link=LinkFactory(affiliate=joes[0]))
    assert len(admin_client.get(url).context["cl"].result_list) == 1
    page = admin_client.get(url, {"affiliate": "joe"})
    assert list(page.context["cl"].result_list) == []
    text = page.content.decode()
    assert "Several affiliates match “joe”." in text
    assert "No affiliate chosen" in text
    assert "No matches" not in text
    for joe in joes:
        assert f'href="?affiliate__id__exact={joe.pk}"' in text
    unknown = admin_client.get(url, {"affiliate": "<b>nobody"})
    assert "No affiliate matches “&lt;b&gt;nobody”." in unknown.content.decode()
    assert list(unknown.context["cl"].result_list) == []


def test_affiliate_filter_tells_nobody_who_may_not_see_affiliates():
    joe = AffiliateFactory(name="Joe", email="joe@secret.example")
    staff, log = client_with("view_delivery"), "/admin/callbacks/delivery/"
    assert staff.get(log, {"affiliate": "secret"}).headers["Location"] == f"{log}?"
    assert "data-suggest" not in staff.get(log).content.decode()
    found = client_with("view_delivery", "view_affiliate").get(log, {"affiliate": "secret"})
    assert found.headers["Location"] == f"{log}?affiliate__id__exact={joe.pk}"
