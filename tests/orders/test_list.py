"""The filters of All orders that are cheap however many orders and affiliates there are."""

import html
import re
from datetime import timedelta

import pytest
from django.utils import timezone

from affiliates import filters
from orders.models import Order
from tests.factories import AffiliateFactory, OrderFactory

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
def test_affiliate_filter_beyond_its_length_still_names_the_chosen_one(admin_client, url):
    AffiliateFactory.create_batch(filters.MAX_LISTED, name="Aaron")
    zoe = AffiliateFactory(name="Zoe")
    assert ">Zoe" not in admin_client.get(url).content.decode()
    chosen = admin_client.get(f"{url}?affiliate__id__exact={zoe.pk}").content.decode()
    assert "Affiliate: Zoe" in chosen
    assert ">Zoe" in chosen
