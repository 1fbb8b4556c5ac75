"""The Settings tab of a shop: what it stores, the map of statuses, and what the history says of it."""

import html

import pytest

from orders.intake import statuses
from orders.models import Message, Shop
from orders.shops.forms import status_field
from tests.factories import client_with
from tests.shop_messages import send, woocommerce_order

pytestmark = pytest.mark.django_db

USUAL = {"name": "Main shop", "address": "", "is_active": "on", "commission_base": "subtotal", "first": "link"}


@pytest.fixture
def shop():
    return Shop.make("woocommerce", "Main shop")


def url(shop, tab="change"):
    return f"/admin/orders/shop/{shop.pk}/{tab}/"


def text_of(response):
    return html.unescape(response.content.decode())


def saved(client, shop, **typed):
    answer = client.post(url(shop), USUAL | typed, follow=True)
    shop.refresh_from_db()
    return text_of(answer)


def said(shop, client):
    return text_of(client.get(url(shop, "history")))


def test_settings_are_stored_and_the_history_says_what_changed(admin_client, shop):
    saved(
        admin_client,
        shop,
        name="Garden",
        address="https://shop.example",
        commission_base="amount",
        first="coupon",
        leaves_out_self_referrals="on",
        accepts_test_orders="on",
    )
    assert (shop.name, shop.address, shop.commission_base, shop.first) == (
        "Garden",
        "https://shop.example",
        "amount",
        "coupon",
    )
    assert shop.leaves_out_self_referrals
    assert shop.accepts_test_orders
    page = said(shop, admin_client)
    assert "Name: Main shop → Garden." in page
    assert admin_client.post(url(shop), USUAL)["Location"] == url(shop)
    assert "Commission is calculated from: Total without shipping and tax → Order total." in page
    assert "Accept test orders: off → on." in page


def test_only_statuses_that_differ_from_the_default_are_stored(admin_client, shop):
    saved(admin_client, shop, **{status_field("processing"): "new", status_field("completed"): "approved"})
    assert shop.status_map == {"processing": "new"}
    assert statuses.translate(shop, "processing") == "new"
    assert "processing: Approved → New." in said(shop, admin_client)
    saved(admin_client, shop, **{status_field("processing"): "approved"})
    assert shop.status_map == {}


def test_status_that_nobody_knows_gets_a_row_once_a_message_has_it(admin_client, shop):
    assert "on-route" not in text_of(admin_client.get(url(shop)))
    send(shop, woocommerce_order(status="on-route"))
    Message.objects.all().delete()  # as after a week
    for page in (admin_client.get(url(shop)), client_with("view_shop").get(url(shop))):
        row = text_of(page).partition("<code>on-route</code>")[2].partition("</tr>")[0]
        assert "New, not chosen yet" in row
    saved(admin_client, shop, **{status_field("on-route"): ""})
    assert shop.status_map == {"on-route": ""}
    for ours, words in (("new", "New, not chosen yet → New"), ("ignored", "New → Ignored")):
        saved(admin_client, shop, **{status_field("on-route"): ours})
        assert shop.status_map == {"on-route": ours}
        assert f"on-route: {words}." in said(shop, admin_client)
    assert "New, not chosen yet" not in text_of(admin_client.get(url(shop)))


def test_settings_keep_what_messages_wrote_meanwhile(admin_client, shop, monkeypatch):
    clean = Shop.clean

    def meanwhile(self):
        Shop.objects.update(refused_count=7)
        clean(self)

    monkeypatch.setattr(Shop, "clean", meanwhile)
    saved(admin_client, shop, name="Garden")
    assert (shop.name, shop.refused_count) == ("Garden", 7)


def test_refused_settings_keep_what_was_typed(admin_client, shop):
    answer = admin_client.post(url(shop), USUAL | {"address": "not an address", status_field("trash"): "approved"})
    page = text_of(answer)
    assert 'value="not an address"' in page
    field = page.partition(f'name="{status_field("trash")}"')[2].partition("</select>")[0]
    assert '<option value="approved" selected>' in field


def test_who_may_only_look_sees_the_settings_and_cannot_change_them(shop):
    viewer = client_with("view_shop")
    page = text_of(viewer.get(url(shop)))
    assert "<code>processing</code>" in page
    assert "<select" not in page
    assert "<img" not in page.partition("<main")[2]
    assert "Accept test orders" in page
    assert viewer.post(url(shop), USUAL).status_code == 403
