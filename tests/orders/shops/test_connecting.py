"""Connecting a shop from its page alone: steps, URL, secret, warnings, and the line that says what has arrived."""

import html
import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from config.security.sign_in import CONFIRMED_AT
from orders.models import Order, Shop
from orders.shops import connection
from tests.factories import client_with

pytestmark = pytest.mark.django_db

LIST, ADD = "/admin/orders/shop/", "/admin/orders/shop/add/"


def text_of(response):
    return html.unescape(response.content.decode())


def page_of(client, shop, tab="connection"):
    return text_of(client.get(f"{LIST}{shop.pk}/{tab}/"))


def forget_password(client):
    session = client.session
    session.pop(CONFIRMED_AT, None)
    session.save()


def rotate(client, shop, **typed):
    return client.post(f"{LIST}{shop.pk}/rotate/", typed, follow=True)


@pytest.fixture
def owner(admin_client):
    session = admin_client.session
    session[CONFIRMED_AT] = timezone.now().timestamp()
    session.save()
    return admin_client


@pytest.mark.parametrize(
    ("kind", "topics", "where"),
    [
        ("shopify", ["Order creation", "Refund create"], "Settings > Notifications > Webhooks"),
        ("woocommerce", ["Order updated", "Order restored"], "WooCommerce > Settings > Advanced > Webhooks"),
        ("signed", [], "Standard Webhooks"),
    ],
)
def test_connected_shop_leads_to_a_page_with_url_secret_topics_and_where_to_click(owner, kind, topics, where):
    answer = owner.post(ADD, {"kind": kind, "name": "Main shop"}, follow=True)
    shop, page = Shop.objects.get(), text_of(answer)
    assert f'value="http://testserver/intake/{kind}/{shop.uuid}"' in page
    assert (f'value="{shop.secret}"' in page) == (kind != "shopify")
    assert where in re.sub("</?strong>", "", page)
    assert [topic for topic in topics if f"<li>{topic}</li>" not in page and f"<dd>{topic}</dd>" not in page] == []
    assert "Last message received: none yet" in page
    assert ("/t.js" in page) == (kind != "woocommerce")  # its plugin adds the script
    assert ('href="/affiliate-postbacks.zip"' in page) == (kind == "woocommerce")
    assert LogEntry.objects.filter(object_id=str(shop.pk)).count() == 1


def test_shop_of_a_taken_name_is_refused_and_what_was_typed_stays(owner):
    Shop.make("signed", "Main shop")
    page = text_of(owner.post(ADD, {"kind": "woocommerce", "name": "Main shop"}))
    assert 'data-code="unique"' in page
    assert 'value="woocommerce" required id="id_kind_1" checked' in page
    assert Shop.objects.count() == 1


# --- the secret ------------------------------------------------------------------
def test_secret_is_hidden_until_the_password_is_typed(owner):
    shop = Shop.make("woocommerce", "Main shop")
    assert shop.secret not in page_of(owner, shop)
    assert shop.secret in page_of(owner, shop, "secret")
    forget_password(owner)
    assert "/admin/confirm-password/" in owner.get(f"{LIST}{shop.pk}/secret/")["Location"]


def test_secret_is_not_shown_to_who_may_only_look():
    shop = Shop.make("woocommerce", "Main shop")
    viewer = client_with("view_shop")
    page = page_of(viewer, shop)
    assert shop.secret not in page
    assert "Show secret" not in page
    assert viewer.get(f"{LIST}{shop.pk}/secret/").status_code == 403


def test_rotated_secret_is_shown_and_the_former_one_stays_valid_for_a_day(owner):
    shop = Shop.make("woocommerce", "Main shop")
    page = text_of(rotate(owner, shop))
    now = Shop.objects.get()
    assert now.secret != shop.secret
    assert now.valid_secrets() == [now.secret, shop.secret]
    assert f'value="{now.secret}"' in page
    assert "Two secrets are valid now." in page
    assert "The older one becomes invalid at once." in page_of(owner, shop, "rotate")
    assert "Rotated the secret." in page_of(owner, shop, "history")
    Shop.objects.update(former_secret_until=timezone.now() - timedelta(seconds=1))
    assert "Two secrets are valid now." not in page_of(owner, shop)


def test_key_of_shopify_is_pasted_and_pasted_again(owner):
    shop = Shop.make("shopify", "Main shop")
    assert "No key is saved yet" in page_of(owner, shop)
    page = text_of(rotate(owner, shop, secret=" 0f1e2d3c "))
    assert "Key saved." in page
    assert "A key is saved." in page
    assert "Two secrets" not in page
    assert Shop.objects.get().secret == "0f1e2d3c"
    assert "Two secrets are valid now." in text_of(rotate(owner, shop, secret="4b5a"))
    assert Shop.objects.get().valid_secrets() == ["4b5a", "0f1e2d3c"]


def test_key_that_cannot_be_one_is_refused_and_stays_in_its_field(owner):
    shop = Shop.make("shopify", "Main shop")
    answer = rotate(owner, shop, secret="k" * 600)
    assert answer.status_code == 422
    assert "k" * 600 in text_of(answer)
    assert rotate(owner, shop, secret="").status_code == 422
    assert Shop.objects.get().secret == ""


# --- what has arrived --------------------------------------------------------------
def live(client, shop):
    found = client.get(f"{LIST}{shop.pk}/live/")
    assert "no-store" in found["Cache-Control"]
    return found.json()["html"]


def test_line_turns_green_when_a_message_has_arrived(owner):
    shop = Shop.make("woocommerce", "Main shop")
    assert 'data-state="shop_waiting"' in live(owner, shop)
    Shop.objects.update(last_received_at=timezone.now())
    for page in (live(owner, shop), page_of(owner, shop), text_of(owner.get(LIST))):
        assert 'data-state="shop_connected"' in page


@pytest.mark.parametrize(
    ("kind", "what_to_do"),
    [("shopify", "paste it here"), ("woocommerce", "Copy the secret from here"), ("signed", "check the clock")],
)
def test_wrong_signatures_are_counted_with_what_to_do(owner, kind, what_to_do):
    shop, now = Shop.make(kind, "Main shop", "a" * 32), timezone.now()
    Shop.objects.update(refused_count=3, last_refused_at=now)
    page = live(owner, shop)
    assert 'data-state="shop_refused"' in page
    assert "3 messages had a wrong signature, the last" in page
    assert what_to_do in page
    Shop.objects.update(last_received_at=now + timedelta(seconds=1))
    page = live(owner, shop)
    assert 'data-state="shop_connected"' in page
    assert "The signature of the latest message was right." in page
    Shop.objects.update(last_refused_at=now - timedelta(days=8))
    assert "wrong signature" not in live(owner, shop)


def test_shop_without_key_asks_for_it_and_blames_no_signature(owner):
    shop = Shop.make("shopify", "Main shop")
    Shop.objects.update(refused_count=1, last_refused_at=timezone.now())
    page = live(owner, shop)
    assert 'data-state="shop_no_key"' in page
    assert "No key is saved yet" in page
    assert "wrong signature" not in page


def test_shop_that_is_off_says_so(owner):
    shop = Shop.make("signed", "Main shop")
    Shop.objects.update(is_active=False)
    assert "This shop is not active: its messages change nothing" in page_of(owner, shop)


# --- whether the shop can reach it -----------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "url", "said"),
    [
        ("shopify", "https://panel.example/x", ""),
        ("shopify", "http://panel.example/x", "begin with https://"),
        ("shopify", "https://panel.internal/x", "panel.internal"),
        ("woocommerce", "http://panel.example:8080/x", ""),
        ("woocommerce", "http://panel.example/x", ""),
        ("woocommerce", "https://panel.example:8443/x", "not to 8443"),
        ("woocommerce", "http://localhost/x", "localhost"),
        ("woocommerce", "http://192.168.1.5/x", "192.168.1.5"),
        ("signed", "http://[fd00::1]:8000/x", "fd00::1"),
        ("signed", "http://93.184.216.34:8000/x", ""),
    ],
)
def test_address_that_the_shop_cannot_reach_is_named(kind, url, said):
    found = list(connection.obstacles(kind, url))
    assert len(found) == (1 if said else 0)
    assert said in "".join(found)


def test_page_warns_of_the_address_that_it_is_open_at(owner, settings):
    settings.ALLOWED_HOSTS = ["*"]
    shop = Shop.make("woocommerce", "Main shop")
    at = {"HTTP_HOST": "panel.example:8000"}
    assert "not to 8000" in text_of(owner.get(f"{LIST}{shop.pk}/connection/", **at))
    assert "WooCommerce sends only" not in text_of(owner.get(f"{LIST}{shop.pk}/connection/", HTTP_HOST="panel.example"))


# --- deleting ------------------------------------------------------------------------
def test_shop_without_orders_is_deleted_with_its_messages_and_one_with_orders_is_not(owner: Client) -> None:
    shop, other = Shop.make("signed", "Main shop"), Shop.make("signed", "Other")
    Order.objects.create(number="#1", shop=shop, external_id="1", amount=1)
    shop.messages.create(topic="order", outcome="ignored")
    other.messages.create(topic="order", outcome="ignored")
    page = text_of(owner.post(f"{LIST}{shop.pk}/delete/", {"post": "yes"}))
    assert "Clear “Active” in its settings" in page
    assert "#1" in page
    owner.post(f"{LIST}{other.pk}/delete/", {"post": "yes"})
    assert Shop.objects.get() == shop
