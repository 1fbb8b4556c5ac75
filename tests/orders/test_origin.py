"""Where an order came from: on its page, and in the list with its filters by shop and source."""

import html
from decimal import Decimal

import pytest

from orders.models import Order, Refund, Shop
from tests.factories import AffiliateFactory, OrderFactory, client_with

pytestmark = pytest.mark.django_db

LIST = "/admin/orders/order/"


def text_of(response):
    return html.unescape(response.content.decode())


def found(client, query):
    return [order.external_id for order in client.get(LIST + query).context["cl"].result_list]


def test_order_of_a_shop_says_which_source_decided_and_what_the_others_said(admin_client):
    joe, shop = AffiliateFactory(name="Joe", code="joe"), Shop.make("woocommerce", "Main shop")
    said = [
        {"source": "landing", "given": "https://shop.example/?ref=x", "affiliate": None, "reason": "unknown_referral"},
        {"source": "coupon", "given": "joe10", "affiliate": "joe", "decided": True, "reason": ""},
        {"source": "later_source", "given": None, "affiliate": "marta", "decided": False, "reason": "later_reason"},
    ]
    order = Order.objects.create(
        number="#1001",
        shop=shop,
        external_id="727",
        affiliate=joe,
        amount=29,
        subtotal=25,
        refunded=10,
        source="coupon",
        coupon="joe10",
        is_self_referral=True,
        attribution=said,
    )
    Refund.objects.create(order=order, external_id="991", amount=Decimal(10))
    page = text_of(admin_client.get(order.get_absolute_url()))
    origin = page.partition('id="origin"')[2].partition("</section>")[0]
    for wanted in (
        "Main shop",
        "ID 727",
        "Landing page",
        "No affiliate has the code in the link.",
        'data-state="decided"',
        "joe10",
        "The customer has the e-mail address of the affiliate.",
        "$25.00",
        "$10.00",
        "991",
        "did not decide",
    ):
        assert wanted in origin
    assert f"/admin/orders/shop/{shop.pk}/messages/?q=727" in origin


def test_order_without_affiliate_asks_for_one_only_who_may_change_it(admin_client):
    page = OrderFactory(affiliate=None, link=None, no_affiliate_reason="nothing_given").get_absolute_url()
    assert "Enter the affiliate below" in text_of(admin_client.get(page))
    text = text_of(client_with("view_order").get(page))
    assert "The order came with no referral link and no coupon." in text
    assert "Enter the affiliate below" not in text


def test_order_with_nothing_to_say_of_its_origin_has_no_such_part(admin_client):
    assert 'id="origin"' not in text_of(admin_client.get(OrderFactory().get_absolute_url()))


def test_orders_of_one_number_from_two_shops_are_told_apart(admin_client):
    first = Shop.make("woocommerce", "Garden shop")
    Order.objects.create(number="#1001", shop=first, external_id="1", amount=1)
    assert "column-shop" not in text_of(admin_client.get(LIST))
    Order.objects.create(number="#1001", shop=Shop.make("shopify", "Main shop"), external_id="2", amount=1)
    page = text_of(admin_client.get(LIST)).partition("<tbody>")[2]
    assert "Garden shop" in page
    assert "Main shop" in page


def test_list_is_filtered_by_shop_source_and_reason(admin_client):
    shop = Shop.make("woocommerce", "Main shop")
    joe = AffiliateFactory()
    Order.objects.create(number="#1", shop=shop, external_id="1", amount=1, source="coupon", affiliate=joe)
    Order.objects.create(number="#2", shop=shop, external_id="2", amount=1, no_affiliate_reason="nothing_given")
    Order.objects.create(number="#3", external_id="3", amount=1, no_affiliate_reason="self_referral")
    Order.objects.create(number="#4", external_id="4", amount=1, no_affiliate_reason="unknown_coupon")
    assert found(admin_client, f"?shop={shop.pk}") == ["2", "1"]
    assert found(admin_client, "?shop=none") == ["4", "3"]
    assert found(admin_client, "?source=coupon") == ["1"]
    assert found(admin_client, "?no_affiliate=nothing") == ["2"]
    assert found(admin_client, "?no_affiliate=self") == ["3"]
    assert found(admin_client, "?no_affiliate=named") == ["4"]


def test_order_without_affiliate_is_listed_with_the_reason_and_leads_to_the_field(admin_client):
    order = Order.objects.create(number="#2", amount=1, no_affiliate_reason="nothing_given")
    page = text_of(admin_client.get(LIST))
    assert "The order came with no referral link and no coupon." in page
    assert f'href="{order.get_absolute_url()}#id_affiliate"' in page
    assert "#id_affiliate" not in text_of(client_with("view_order").get(LIST))
    OrderFactory(number="#3")
    assert text_of(admin_client.get(LIST)).count("#id_affiliate") == 1
