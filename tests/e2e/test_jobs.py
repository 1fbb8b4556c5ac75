"""A merchant repairs in the browser: resends all that match, and sends past orders to a new callback."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser import faults_in_every_look
from tests.e2e.installation import Installation
from tests.receiver import Received, Receiver

pytestmark = pytest.mark.both

FAILED = """
from affiliates.models import Affiliate
from callbacks.models import CallbackSetting, Delivery
from orders.models import Order
affiliate = Affiliate.objects.create(name="{name}", email="{code}@e.example", code="{code}")
setting = CallbackSetting.objects.create(affiliate=affiliate, event="order.created", url="{url}", is_active=False)
Order.objects.bulk_create(Order(number="{code}-" + str(n), affiliate=affiliate, amount=58) for n in range({count}))
rows = Delivery.objects.filter(affiliate=affiliate)
rows.update(status="failed", skip_reason="", last_error_kind="status", last_status_code=503, attempt_count=10)
CallbackSetting.objects.filter(pk=setting.pk).update(is_active=True)
print("affiliate", affiliate.pk)
"""
PAST = """
from datetime import timedelta
from django.utils import timezone
from affiliates.models import Affiliate
from callbacks.models import CallbackSetting
from orders.models import Order
affiliate = Affiliate.objects.create(name="{name}", email="{code}@e.example", code="{code}")
Order.objects.bulk_create(Order(number="{code}-" + str(n), affiliate=affiliate, amount=58) for n in range({count}))
Order.objects.filter(affiliate=affiliate).update(created_at=timezone.now() - timedelta(days=3))
Order.objects.create(number="{code}-old", affiliate=affiliate, amount=58)
Order.objects.filter(number="{code}-old").update(created_at=timezone.now() - timedelta(days=90))
CallbackSetting.objects.create(affiliate=affiliate, event="order.created", url="{url}")
print("affiliate", affiliate.pk)
"""


def made(stack: Installation, receiver: Receiver, code: str, script: str, count: int) -> int:
    """Returns the id of the affiliate."""
    url = receiver.url(f"/{code}?order={{{{order.number}}}}&id={{{{event.id}}}}")
    said = stack.manage("shell", code=script.format(name=code.capitalize(), code=code, url=url, count=count))
    return int(said.rpartition("affiliate ")[2])


def ids_of(requests: list[Received]) -> set[str | None]:
    return {request.header("webhook-id") for request in requests}


def test_merchant_resends_all_that_match_stops_it_and_goes_on(
    stack: Installation, merchant: Page, session_receiver: Receiver
) -> None:
    affiliate = made(stack, session_receiver, "hawthorn", FAILED, 120)
    merchant.goto(f"{stack.base_url}/admin/callbacks/delivery/?status__exact=failed&affiliate__id__exact={affiliate}")
    assert faults_in_every_look(merchant) == []
    merchant.get_by_role("link", name="Resend all that match").click()
    expect(merchant.get_by_role("row", name="120 to resend")).to_be_visible()
    assert faults_in_every_look(merchant) == []
    expect(merchant.locator(".facts-list")).to_contain_text("Hawthorn")
    merchant.get_by_label("Rate").select_option("5")
    merchant.get_by_role("button", name="Start resending").click()
    expect(merchant.get_by_role("heading", name=re.compile("^Resend, .* Running"))).to_be_visible()
    merchant.evaluate("window.stayed = true")
    bar = merchant.get_by_role("progressbar", name="Progress")
    expect(bar).not_to_have_attribute("value", "0.0")
    expect(merchant.locator("#job-bar")).to_contain_text(re.compile(r"About \d+ s left, at most 5 per second"))
    assert faults_in_every_look(merchant) == []
    assert merchant.evaluate("window.stayed")
    merchant.get_by_role("button", name="Stop").click()
    expect(merchant.get_by_role("heading", name=re.compile("Stopped"))).to_be_visible()
    assert faults_in_every_look(merchant) == []
    stopped_at = merchant.locator("#job-bar strong").inner_text()
    merchant.reload()
    expect(merchant.locator("#job-bar strong")).to_have_text(stopped_at)
    assert 0 < int(stopped_at) < 120
    stack.manage("shell", code="from callbacks.models import Job; Job.objects.update(rate=100)")  # for the rest of it
    merchant.get_by_role("button", name="Continue").click()
    expect(merchant.get_by_role("heading", name=re.compile("Finished"))).to_be_visible()
    expect(merchant.get_by_text("120 postbacks were queued")).to_be_visible()
    succeeded = merchant.get_by_role("link", name="Show succeeded deliveries")
    expect(merchant.get_by_role("row", name=re.compile("^120 .*Succeeded"))).to_be_visible()
    assert faults_in_every_look(merchant) == []
    succeeded.click()
    expect(merchant.locator("#result_list").get_by_text("Succeeded")).to_have_count(50)  # a page of them
    requests = session_receiver.requests_at("/hawthorn")
    assert len(requests) == len(ids_of(requests)) == 120


def test_merchant_sends_past_orders_to_a_new_callback(
    stack: Installation, merchant: Page, session_receiver: Receiver
) -> None:
    affiliate = made(stack, session_receiver, "rowan", PAST, 12)
    merchant.goto(f"{stack.base_url}/admin/affiliates/affiliate/{affiliate}/settings/")
    assert faults_in_every_look(merchant) == []
    merchant.get_by_role("link", name="Send past orders to the order created callback").click()
    expect(merchant.get_by_role("row", name="12 to send")).to_be_visible()
    assert faults_in_every_look(merchant) == []
    expect(merchant.get_by_text("order=rowan-0")).to_be_visible()
    merchant.get_by_label("From").fill("2000-01-01")
    merchant.get_by_role("button", name="Count").click()
    expect(merchant.get_by_role("row", name="13 to send")).to_be_visible()
    merchant.get_by_role("link", name="Past 7 days").click()
    merchant.get_by_role("button", name="Send 12 orders").click()
    expect(merchant.get_by_role("heading", name=re.compile("^Backfill, .* Finished"))).to_be_visible()
    merchant.get_by_role("link", name="Deliveries of this backfill").click()
    rows = merchant.locator("#result_list tbody tr")
    expect(rows).to_have_count(12)
    expect(merchant.locator("#result_list").get_by_text("Succeeded")).to_have_count(12)
    rows.first.get_by_role("link").first.click()
    expect(merchant.get_by_text("Backfill: this past order")).to_be_visible()
    requests = session_receiver.requests_at("/rowan")
    assert sorted(dict(request.query)["order"] for request in requests) == sorted(f"rowan-{n}" for n in range(12))
    merchant.goto(f"{stack.base_url}/admin/callbacks/errand/")
    expect(merchant.get_by_role("row", name=re.compile("Rowan.*Finished.*12 of 12"))).to_be_visible()
    assert faults_in_every_look(merchant) == []


def test_resend_and_backfill_work_without_scripts(
    stack: Installation, merchant_without_scripts: Page, session_receiver: Receiver
) -> None:
    page = merchant_without_scripts
    affiliate = made(stack, session_receiver, "alder", FAILED, 8)
    page.goto(f"{stack.base_url}/admin/callbacks/delivery/?affiliate__id__exact={affiliate}")
    page.get_by_role("link", name="Resend all that match").click()
    page.get_by_role("button", name="Start resending").click()
    for _ in range(100):
        if page.get_by_role("heading", name=re.compile("Finished")).is_visible():
            break
        page.get_by_role("link", name="Reload").click()
    expect(page.get_by_text("8 postbacks were queued")).to_be_visible()
    page.goto(f"{stack.base_url}/admin/affiliates/affiliate/{affiliate}/settings/")
    page.get_by_role("link", name="Send past orders to the order created callback").click()
    expect(page.get_by_text("There are no orders to send for these days.")).to_be_visible()
    page.get_by_label("Also orders that were already sent to this callback").check()
    page.get_by_role("button", name="Count").click()
    page.get_by_role("button", name="Send 8 orders").click()
    expect(page.get_by_role("heading", name=re.compile("^Backfill, "))).to_be_visible()
