"""A shop is connected from its page alone, and what it sends is an order a moment later."""

import base64
import json
import subprocess
from pathlib import Path

import requests
from playwright.sync_api import Page, expect

from tests.e2e.browser import faults, faults_in_every_look
from tests.e2e.installation import Installation

ORDER = Path(__file__).resolve().parent.parent / "cases/shops/woocommerce/order-727-processing.json"
AFFILIATE = """
from affiliates.models import Affiliate
Affiliate.objects.create(name="Coupon Carla", email="carla@blog.example", code="carla", commission_rate="0.1")
"""


def signature(secret: str, body: bytes) -> str:
    """As WooCommerce makes it, by another program."""
    command = ["openssl", "dgst", "-sha256", "-hmac", secret, "-binary"]
    return base64.b64encode(subprocess.run(command, input=body, stdout=subprocess.PIPE, check=True).stdout).decode()


def send(url: str, secret: str, body: bytes) -> int:
    headers = {
        "Content-Type": "application/json",
        "X-WC-Webhook-Source": "https://shop.example/",
        "X-WC-Webhook-Topic": "order.created",
        "X-WC-Webhook-Signature": signature(secret, body),
    }
    return requests.post(url, body, headers=headers, timeout=10).status_code


def test_merchant_connects_a_woocommerce_shop_and_its_order_is_the_affiliates(
    stack: Installation, merchant: Page
) -> None:
    page = merchant
    stack.manage("shell", code=AFFILIATE)
    page.get_by_role("link", name="All Affiliates").first.click()
    page.get_by_role("link", name="Coupon Carla").click()
    page.get_by_role("link", name="Settings", exact=True).click()
    page.get_by_label("Add coupons").fill("CARLA10, carla20")
    page.get_by_role("button", name="Add coupons").click()
    expect(page.get_by_role("status")).to_contain_text("Added: CARLA10, carla20.")
    expect(page.locator(".coupon-list code")).to_have_text(["CARLA10", "carla20"])

    page.get_by_role("link", name="Shops").click()
    page.get_by_role("link", name="Connect a shop").first.click()
    page.get_by_label("WooCommerce").check()
    page.get_by_label("Name").fill("Garden shop")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="How to connect: WooCommerce")).to_be_visible()
    heard = page.locator("#heard")
    expect(heard).to_contain_text("Waiting for a message")
    expect(page.locator(".note.is-warn").first).to_contain_text("A shop on the internet cannot reach 127.0.0.1")
    assert faults_in_every_look(page) == []
    url = page.get_by_label("Delivery URL", exact=True).input_value()
    secret = page.get_by_label("Secret", exact=True).input_value()

    ping = requests.post(url, {"webhook_id": "7"}, timeout=10)
    assert ping.status_code == 200
    expect(heard.locator(".chip")).to_have_text("Connected")  # without reloading

    order = json.loads(ORDER.read_text())
    order["coupon_lines"] = [{"id": 1, "code": "carla10", "discount": "1.00", "discount_tax": "0.00"}]
    body = json.dumps(order).encode()
    assert send(url, "not the secret", body) == 401
    expect(heard).to_contain_text("1 message had a wrong signature")
    expect(heard).to_contain_text("Copy the secret from here into your shop again.")
    assert faults(page) == []
    assert send(url, secret, body) == 200
    expect(heard.locator(".chip")).to_have_text("Connected")

    page.get_by_role("link", name="Messages", exact=True).click()
    row = page.locator("#result_list tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("Order created")
    assert faults(page) == []
    row.get_by_role("link").first.click()
    expect(page.locator("pre.kept")).to_contain_text('"carla10"')
    expect(page.locator("pre.kept")).not_to_contain_text("John")
    page.get_by_role("button", name="Apply again").click()
    expect(page.get_by_role("status")).to_contain_text("Applied again: Nothing changed.")
    assert faults(page) == []
    page.get_by_role("link", name="727", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Order 727")
    origin = page.locator("#origin")
    expect(origin).to_contain_text("Garden shop")
    expect(origin.locator("tr", has_text="carla10")).to_contain_text("Decided")
    assert faults(page) == []
