"""What a merchant watches in the browser: rows and pages that follow what happens, charts, and all of it as tables."""

import re
import threading
from collections.abc import Iterator

from playwright.sync_api import Page, expect

from tests.e2e.browser import faults
from tests.e2e.installation import Installation
from tests.receiver import Answer, Receiver

ORDER = """
from affiliates.models import Affiliate
from callbacks.models import CallbackSetting
from orders.models import Order
affiliate, _ = Affiliate.objects.get_or_create(name="Watched {code}", email="{code}@e.example", code="{code}")
CallbackSetting.objects.get_or_create(affiliate=affiliate, event="order.created", defaults={{"url": "{url}"}})
order = Order.objects.create(number="{number}", affiliate=affiliate, amount="58", currency="USD")
print("delivery", order.deliveries.get().pk)
"""
CHANNELS = (
    "canvas => [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data].filter(Boolean).length"
)


def order_comes_in(stack: Installation, receiver: Receiver, code: str, number: str) -> int:
    """Returns the id of its delivery."""
    said = stack.manage(
        "shell", code=ORDER.format(code=code, number=number, url=receiver.url(f"/{code}?o={{{{order.number}}}}"))
    )
    return int(said.rpartition("delivery ")[2])


def is_same_page(page: Page) -> bool:
    return bool(page.evaluate("window.stayed"))


def test_row_of_the_log_follows_its_delivery_without_loading_the_page(
    stack: Installation, merchant: Page, session_receiver: Receiver
) -> None:
    is_open = threading.Event()

    def late() -> Iterator[bytes]:
        is_open.wait(9)  # a worker waits for ten seconds
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    session_receiver.answer("/latecomer", Answer(raw=late()))
    order_comes_in(stack, session_receiver, "latecomer", "#700001")
    merchant.goto(f"{stack.base_url}/admin/callbacks/delivery/?q=700001")
    merchant.evaluate("window.stayed = true")
    row = merchant.locator("#result_list tbody tr")
    expect(row).to_contain_text(re.compile("Sending|Pending"))
    is_open.set()
    expect(row).to_contain_text("Succeeded")
    expect(row).to_contain_text("200")
    assert is_same_page(merchant)


def test_page_of_a_delivery_counts_down_and_shows_the_answer_when_it_comes(
    stack: Installation, merchant: Page, session_receiver: Receiver
) -> None:
    session_receiver.answer("/hesitant", Answer(status=503), Answer(status=503), Answer(status=200))
    delivery = order_comes_in(stack, session_receiver, "hesitant", "#700002")
    merchant.goto(f"{stack.base_url}/admin/callbacks/delivery/{delivery}/change/")
    merchant.evaluate("window.stayed = true")
    story = merchant.get_by_role("list", name="History, newest first")
    countdown = story.locator("time[data-form=countdown]")
    expect(countdown).to_have_text(re.compile(r"in [45]\smin \d+\ss"))  # five minutes after the second answer
    first = countdown.inner_text()
    expect(countdown).not_to_have_text(first)
    expect(story.get_by_role("heading", name="The tracker answered 503 Service Unavailable.")).to_have_count(2)
    expect(merchant.locator("#delivery-head")).to_contain_text("Attempt 3 of 10")
    assert is_same_page(merchant)
    assert faults(merchant) == []
    merchant.goto(f"{stack.base_url}/admin/callbacks/delivery/?q=700002")
    expect(merchant.locator("#result_list tbody tr")).to_contain_text("Attempt 3 of 10")


def test_overview_draws_charts_in_either_theme_has_them_as_a_table_and_leads_to_the_deliveries(
    stack: Installation, merchant: Page
) -> None:
    merchant.emulate_media(color_scheme="light")
    merchant.goto(f"{stack.base_url}/admin/")
    for name in ("requests", "rate"):
        canvas = merchant.locator(f"canvas[data-chart={name}]")
        expect(canvas).to_be_visible()
        assert canvas.evaluate(CHANNELS) > 1000
    picture = "canvas => canvas.toDataURL()"
    light = merchant.locator("canvas[data-chart=requests]").evaluate(picture)
    merchant.get_by_role("button", name="Dark").click()
    merchant.wait_for_function(
        f"light => ({picture})(document.querySelector('canvas[data-chart=requests]')) !== light", arg=light
    )
    merchant.get_by_role("link", name="30 days").click()
    expect(merchant.get_by_role("link", name="30 days")).to_have_attribute("aria-current", "true")
    merchant.get_by_text("Show as table").click()
    expect(merchant.locator(".charts tbody tr")).to_have_count(30)
    merchant.locator(".charts tbody a").first.click()
    expect(merchant.get_by_role("heading", name="Deliveries")).to_be_visible()
    expect(merchant.locator("#result_list tbody tr").first).to_be_visible()

    merchant.goto(f"{stack.base_url}/admin/?range=week")
    canvas = merchant.locator("canvas[data-chart=requests]")
    box = canvas.bounding_box()
    assert box
    canvas.click(position={"x": box["width"] - 30, "y": box["height"] / 2})
    merchant.wait_for_url(re.compile(r"/admin/callbacks/delivery/\?origin=counted&from=\d{4}-\d\d-\d\d&to="))


def test_overview_filters_and_reconciliation_work_without_scripts(
    stack: Installation, merchant_without_scripts: Page
) -> None:
    page = merchant_without_scripts
    page.goto(f"{stack.base_url}/admin/")
    expect(page.locator("canvas").first).to_be_hidden()
    page.get_by_text("Show as table").click()
    expect(page.locator(".charts tbody tr")).to_have_count(24)
    page.goto(f"{stack.base_url}/admin/callbacks/delivery/")
    page.locator("details.filter summary", has_text="Date").click()
    page.get_by_label("To", exact=True).fill("2020-01-01")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("heading", name="No matches")).to_be_visible()
    page.goto(f"{stack.base_url}/admin/affiliates/affiliate/1/reconciliation/")
    expect(page.get_by_role("heading", name="Postbacks to their tracker")).to_be_visible()


def test_log_is_handed_out_as_csv(stack: Installation, merchant: Page) -> None:
    merchant.goto(f"{stack.base_url}/admin/callbacks/delivery/?status__exact=succeeded")
    with merchant.expect_download() as download:
        merchant.get_by_role("link", name="Export CSV").click()
    text = download.value.path().read_text("utf-8")
    assert download.value.suggested_filename.startswith("deliveries-")
    assert text.startswith("Event ID,Event,Time (UTC),Order,")
    assert ",succeeded," in text
