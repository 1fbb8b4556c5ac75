"""The messages of a shop: the list with its filters, one message, and applying it again."""

import html

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from orders.intake import applying
from orders.models import Message, Order, Shop
from tests.factories import client_with
from tests.queries import assert_same_queries

pytestmark = pytest.mark.django_db

KEPT = {"id": 727, "status": "processing", "note": "<b>ß", "customer": "0a1b2c3d", "cart_link": None}


@pytest.fixture
def shop():
    return Shop.make("woocommerce", "Main shop")


def message(shop, **fields):
    return Message.objects.create(shop=shop, **{"topic": "order.created", "outcome": "created", "kept": KEPT} | fields)


def tab(client, shop, query=""):
    return client.get(f"/admin/orders/shop/{shop.pk}/messages/{query}")


def ids(response):
    return [found.external_id for found in response.context["cl"].result_list]


def text_of(response):
    return html.unescape(response.content.decode())


def test_messages_of_a_shop_are_its_own_and_can_be_filtered_and_searched(admin_client, shop):
    order = Order.objects.create(number="#1001", shop=shop, external_id="1", amount=1)
    message(shop, external_id="1", order=order)
    message(shop, external_id="2", outcome="refused", reason="The currency BTC is not known.", topic="order.updated")
    message(Shop.make("signed", "Other"), external_id="3")
    assert ids(tab(admin_client, shop)) == ["2", "1"]
    assert ids(tab(admin_client, shop, "?outcome=refused")) == ["2"]
    assert ids(tab(admin_client, shop, "?topic=order.created")) == ["1"]
    assert ids(tab(admin_client, shop, "?q=1001")) == ["1"]
    assert ids(tab(admin_client, shop, "?q=2")) == ["2"]
    assert ids(admin_client.get("/admin/orders/message/")) == ["3", "2", "1"]
    page = text_of(tab(admin_client, shop))
    assert "The currency BTC is not known." in page
    assert "Kept for 7 days" in page
    assert 'data-filter-title="shop"' not in page


def test_shop_without_messages_says_what_will_be_here(admin_client, shop):
    page = text_of(tab(admin_client, shop))
    assert "No messages yet" in page
    assert "7 days" in page
    assert "No matches" in text_of(tab(admin_client, shop, "?outcome=refused"))


def test_list_of_messages_takes_as_many_queries_for_many(admin_client, shop):
    order = Order.objects.create(number="#1001", shop=shop, external_id="1", amount=1)
    most = assert_same_queries(lambda: tab(admin_client, shop), lambda: message(shop, order=order))
    assert most <= 14


def test_message_shows_what_was_kept_and_what_became_of_it(admin_client, shop):
    refused = message(shop, outcome="refused", reason="The currency BTC is not known.", triggered_at=timezone.now())
    page = admin_client.get(f"/admin/orders/message/{refused.pk}/change/").content.decode()
    assert "<dd>The currency BTC is not known.</dd>" in page
    assert "&quot;note&quot;: &quot;&lt;b&gt;ß&quot;" in page
    assert "kept as a hash" in page
    assert "0a1b2c3d" not in page
    assert "cart_link" not in page
    assert "Apply again" in page
    unreadable = message(shop, kept=None, outcome="refused")
    page = text_of(admin_client.get(f"/admin/orders/message/{unreadable.pk}/change/"))
    assert "the message could not be read" in page
    assert "Apply again" not in page
    stored = message(shop, outcome="received")
    page = text_of(admin_client.get(f"/admin/orders/message/{stored.pk}/change/"))
    assert "This one is applied within a few seconds." in page
    assert "Apply again" not in page  # before its turn
    assert ids(tab(admin_client, shop, "?outcome=received")) == [stored.external_id]
    assert "Received, not yet applied" in text_of(tab(admin_client, shop))
    assert "Apply again" not in text_of(client_with("view_message").get(f"/admin/orders/message/{refused.pk}/change/"))


def test_message_is_applied_again_and_the_history_of_the_shop_says_so(admin_client, shop, monkeypatch):
    kept = message(shop, outcome="refused")
    applied = []
    monkeypatch.setattr(applying, "apply", lambda found: applied.append(found) or found)
    answer = admin_client.post(f"/admin/orders/message/{kept.pk}/apply/", follow=True)
    assert applied == [kept]
    assert "Applied again: Refused." in text_of(answer)
    assert LogEntry.objects.get(object_id=str(shop.pk)).change_message == f"Applied message {kept.pk} again."
