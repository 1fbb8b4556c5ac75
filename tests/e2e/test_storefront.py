"""The script in the pages of a shop: a small shop at a port of its own, in a browser."""

import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page

from affiliates.storefront import views
from tests.waiting import wait_until

KEY = "_aff_landing"
PAGE = """<!doctype html><html lang="en"><head><script src="/t.js" %s></script><title>Shop</title>
<script>%s</script></head><body><form class="checkout"></form></body></html>"""
SHOPIFY = "window.Shopify = {routes: {root: '/en/'}}"


class Shop(ThreadingHTTPServer):
    """With the paths of Shopify's carts. `attributes` are those of the script in its pages."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.cart: dict[str, Any] = {"item_count": 0, "attributes": {}}
        self.attributes, self.own_script = "", ""

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    server: Shop

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/t.js":
            self._answer("text/javascript", views._text())
        elif path == "/en/cart.js":
            self._answer("application/json", json.dumps(self.server.cart))
        else:
            self._answer("text/html", PAGE % (self.server.attributes, self.server.own_script))

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/en/cart/add.js":
            self.server.cart["item_count"] += 1
        else:
            self.server.cart["attributes"] |= sent["attributes"]
        self._answer("application/json", json.dumps(self.server.cart))

    def _answer(self, kind: str, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop() as running:
        Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def decoded(value: str) -> str:
    assert set(value).isdisjoint("+/=")
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode()


def test_link_is_kept_with_its_fragment_and_the_touch_that_was_chosen(browser_page: Page, shop: Shop) -> None:
    page, landing = browser_page, "window.affiliatePostbacks.landing()"
    page.goto(shop.url("/?x=1"))
    assert page.evaluate(landing) == ""
    assert page.locator(f"input[name={KEY}]").count() == 0
    first = shop.url("/products/42?REF=joe&sub_id=a%2Bb%C3%BC&x=~~~#top/é")
    page.goto(first)
    page.goto(shop.url("/checkout?ref="))  # names nobody
    assert page.evaluate(landing) == first.replace("é", "%C3%A9")
    (cookie,) = page.context.cookies()
    assert decoded(page.locator(f"input[name={KEY}]").input_value()) == decoded(cookie["value"])
    assert (cookie["sameSite"], cookie["path"]) == ("Lax", "/")
    long = shop.url(f"/?gclid=1&ref=marta&utm={'x' * 3000}")
    page.goto(long)
    assert page.evaluate(landing) == shop.url("/?ref=marta")
    shop.attributes = 'data-touch="first" data-days="2" data-parameters="via,aff"'
    page.goto(shop.url("/?aff=joe"))
    assert page.evaluate(landing) == shop.url("/?ref=marta")
    page.context.clear_cookies()
    page.goto(shop.url("/#/product?aff=joe"))
    assert page.evaluate(landing) == shop.url("/#/product?aff=joe")
    (cookie,) = page.context.cookies()
    assert 0 < cookie["expires"] - page.evaluate("Date.now() / 1000") <= 2 * 86400


def test_link_is_left_in_a_cart_that_is_made_and_again_if_it_vanished(browser_page: Page, shop: Shop) -> None:
    page, link = browser_page, shop.url("/?ref=joe")
    shop.own_script = SHOPIFY
    page.goto(link)
    assert shop.cart["attributes"] == {}
    page.evaluate("fetch('/en/cart/add.js', {method: 'POST', body: '{}'})")
    wait_until(lambda: KEY in shop.cart["attributes"], 20)
    assert decoded(shop.cart["attributes"][KEY]) == link
    shop.cart["attributes"] = {"colour": "green"}
    page.goto(shop.url("/en/cart"))
    wait_until(lambda: KEY in shop.cart["attributes"], 20)
    assert shop.cart["attributes"]["colour"] == "green"
