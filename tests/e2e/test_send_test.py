"""A callback is tried out before it is saved: the button in its window, in a browser on the real stack."""

import gzip
import re
import time

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.browser import faults, open_window, row_of, sign_in
from tests.e2e.installation import Installation
from tests.receiver import Answer, Receiver
from tests.waiting import wait_until

SET_UP = """
from affiliates.models import Affiliate, Link
from orders.models import Order
for name, code in (("Trying Tom", "tom"), ("Plain Pam", "pam")):
    if Affiliate.objects.filter(code=code).exists():  # these tests come in two parts where others run beside them
        continue
    affiliate = Affiliate.objects.create(name=name, email=code + "@t.example", code=code)
    link = Link.objects.create(affiliate=affiliate, url=f"https://shop.example/?ref={code}&sub_id=x%26y")
    Order.objects.create(number=f"#{code}-LINKED", affiliate=affiliate, link=link, amount="58.00", currency="USD")
    Order.objects.create(number=f"#{code}-COUPON", affiliate=affiliate, amount="20.00", currency="USD")
"""
BLANK_BELOW_THE_FOOT = """dialog => dialog.getBoundingClientRect().bottom
  - dialog.querySelector(".dialog-foot").getBoundingClientRect().bottom"""
TEMPLATE = "?o={{order.number}}&c={{link.sub_id}}"


@pytest.fixture(scope="module")
def affiliates(stack: Installation) -> None:
    stack.manage("shell", code=SET_UP)


@pytest.fixture
def window(merchant: Page, affiliates: None) -> Locator:
    """The window of a callback that is not set up yet."""
    return opened_window(merchant)


def opened_window(page: Page) -> Locator:
    window = open_window(page, "Trying Tom", "created")
    expect(window.get_by_label("URL")).to_be_focused()
    return window


def test_merchant_sends_a_test_and_sees_what_the_tracker_answers(window: Locator, session_receiver: Receiver) -> None:
    page = window.page
    session_receiver.answer("/tom", Answer(body=b"<b>thank you</b>", delay_s=1.0), Answer(503, body=b""))
    typed = session_receiver.url("/tom") + TEMPLATE
    window.get_by_label("URL").fill(typed)
    window.get_by_label("Preview with order").select_option(index=1)
    result = window.get_by_role("region", name="Test result")
    send = window.get_by_role("button", name="Send test")
    send.click()
    busy = window.get_by_role("button", name="Sending…")
    expect(busy).to_be_visible()
    busy.click()  # not once more
    expect(result).to_contain_text("The tracker answered 200 OK.")
    expect(result.get_by_label("Answer", exact=True)).to_have_text("<b>thank you</b>")
    expect(result.locator(".wire").first).to_have_text("GET" + session_receiver.url("/tom?o=%23tom-LINKED&c=x%26y"))
    expect(window.locator("[data-said]")).to_have_text("Test sent. The tracker answered 200 OK.")
    expect(result).to_be_in_viewport()
    expect(send).to_be_focused()
    assert window.evaluate(BLANK_BELOW_THE_FOOT) <= 1
    assert [request.target for request in session_receiver.requests_at("/tom")] == ["/tom?o=%23tom-LINKED&c=x%26y"]
    assert faults(page) == []

    expect(result.get_by_text("before your last change")).to_be_hidden()
    window.get_by_label("URL").fill(typed + "&more=1")
    expect(result.get_by_text("before your last change")).to_be_visible()
    send.click()
    expect(result).to_contain_text("The tracker answered 503 Service Unavailable.")
    expect(result).to_contain_text("The answer was empty.")
    assert faults(page) == []

    with page.expect_popup() as opened:
        result.get_by_role("link", name="See it in the log").click()
    log = opened.value
    expect(log.get_by_role("heading", level=1)).to_contain_text("Test")
    expect(log.locator(".timeline")).to_contain_text("A test is sent once and never retried.")
    expect(log.get_by_role("button", name="Resend")).to_have_count(0)
    assert faults(log) == []
    log.get_by_role("link", name="Deliveries").first.click()
    log.locator("details.filter", has_text="origin").locator("summary").click()
    log.get_by_role("link", name=re.compile(r"^Tests\b")).click()  # its count follows
    expect(log.locator("#result_list tbody tr").first).to_contain_text("#tom-LINKED")
    assert faults(log) == []
    log.close()

    expect(window.get_by_label("URL")).to_have_value(typed + "&more=1")  # and nothing is saved
    page.keyboard.press("Escape")
    expect(row_of(page, "created")).to_contain_text("Not set")


def test_test_of_what_cannot_be_called_says_why(window: Locator, session_receiver: Receiver) -> None:
    window.get_by_label("URL").fill("http://10.0.0.1/x?c={{link.sub_id}}")
    window.get_by_role("button", name="Send test").click()
    expect(window.locator("#setup-check .errorlist")).to_contain_text("10.0.0.1 is a private address")
    expect(window.get_by_label("URL")).to_be_focused()
    expect(window.locator("#setup-test")).to_contain_text("Nothing was sent. Correct the errors in the form first.")
    assert faults(window.page) == []
    session_receiver.answer("/broken", Answer(raw=b"", end="close"))
    window.get_by_label("URL").fill(session_receiver.url("/broken") + TEMPLATE)
    window.get_by_role("button", name="Send test").click()
    expect(window.locator("#setup-test")).to_contain_text(
        "The tracker closed the connection before the answer was complete."
    )
    window.get_by_label("URL").fill("https://nowhere.invalid/x" + TEMPLATE)
    window.get_by_role("button", name="Send test").click()
    expect(window.locator("#setup-test")).to_contain_text("nowhere.invalid was not found, or resolves")
    assert faults(window.page) == []


def test_window_can_be_closed_while_a_test_is_on_its_way(window: Locator, session_receiver: Receiver) -> None:
    page = window.page
    session_receiver.answer("/late", Answer(delay_s=2.0))
    window.get_by_label("URL").fill(session_receiver.url("/late") + TEMPLATE)
    window.get_by_role("button", name="Send test").click()
    expect(window.get_by_role("button", name="Sending…")).to_be_visible()
    page.keyboard.press("Escape")
    window.get_by_role("button", name="Discard").click()
    expect(window).to_be_hidden()
    row_of(page, "created").get_by_role("link", name="Set up").click()
    expect(window.get_by_label("URL")).to_have_value("")
    wait_until(lambda: session_receiver.requests_at("/late"), 20)
    expect(window.get_by_role("region", name="Test result")).to_have_count(0)


def test_test_that_gets_no_answer_of_the_server_says_so(
    stack: Installation, page: Page, affiliates: None, session_receiver: Receiver
) -> None:
    sign_in(page, stack)  # on a page whose console may say that the network is away
    window = opened_window(page)
    window.get_by_label("URL").fill(session_receiver.url("/x") + TEMPLATE)
    expect(window.locator("#setup-preview .wire")).to_be_visible()
    page.context.set_offline(True)
    window.get_by_role("button", name="Send test").click()
    expect(window.locator("#setup-test")).to_contain_text("The server could not be reached")
    page.context.set_offline(False)
    window.get_by_role("button", name="Send test").click()
    expect(window.locator("#setup-test")).to_contain_text("The tracker answered 200 OK.")


def test_merchant_without_scripts_sends_a_test_and_submits_what_was_typed(
    merchant_without_scripts: Page, affiliates: None, session_receiver: Receiver
) -> None:
    page = merchant_without_scripts
    packed = gzip.compress('{"error": "unknown click: “é”"}'.encode("cp1252"))
    headers = ("Content-Type", "application/json; charset=windows-1252"), ("Content-Encoding", "gzip")
    session_receiver.answer("/pam", Answer(404, headers, packed))
    open_window(page, "Plain Pam", "created")
    typed = session_receiver.url("/pam") + TEMPLATE
    page.get_by_label("URL").fill(typed)
    page.get_by_label("Preview with order").select_option(index=1)
    page.get_by_role("button", name="Send test").click()
    expect(page.get_by_role("region", name="Test result")).to_contain_text("The tracker answered 404 Not Found.")
    expect(page.get_by_label("Answer", exact=True)).to_have_text('{\n  "error": "unknown click: “é”"\n}')
    assert [request.target for request in session_receiver.requests_at("/pam")] == ["/pam?o=%23pam-LINKED&c=x%26y"]
    expect(page.get_by_label("URL")).to_have_value(typed)
    page.get_by_role("button", name="Submit").click()
    expect(row_of(page, "created")).to_contain_text("Nothing sent yet")


def test_enter_in_any_field_submits(window: Locator) -> None:
    window.get_by_label("URL").fill("https://tracker.example/p?c={{link.sub_id}}")
    expect(window.locator("#setup-preview .wire")).to_be_visible()
    window.locator("summary", has_text="Status filter and name").click()
    window.get_by_label("Name").fill("Entered")
    window.page.keyboard.press("Enter")
    expect(window).to_be_hidden()
    row = row_of(window.page, "created")
    expect(row).to_contain_text("Entered")
    row.get_by_role("link", name="Delete").click()
    window.page.get_by_role("button", name="Delete").click()
    expect(row_of(window.page, "created")).to_contain_text("Not set")


# --- while it is typed -------------------------------------------------------------
def test_half_typed_variable_is_no_error_until_it_is_left(window: Locator, session_receiver: Receiver) -> None:
    page, field, errors = window.page, window.get_by_label("URL"), window.locator("#setup-check .errorlist")
    checks: list[float] = []
    page.on("request", lambda request: checks.append(time.monotonic()) if request.url.endswith("/check/") else None)
    field.fill("https://tracker.example/p?c={{link.sub_id}}&o=")
    expect(window.locator("#setup-preview .wire")).to_contain_text("&o=")
    seen = len(checks)
    field.press_sequentially("{{order.nu", delay=400)  # slower than what is waited for before asking
    expect(errors).to_have_count(0)
    assert len(checks) == seen
    field.press_sequentially("mber}}")
    expect(window.locator("#setup-preview .wire")).to_contain_text("&o=%23tom-COUPON")
    expect(errors).to_have_count(0)

    field.press_sequentially("&a={{order.am")
    page.keyboard.press("Control+Home")
    expect(errors).to_contain_text("{{order.am")
    field.fill("https://tracker.example/p?a={{order.am")
    window.get_by_label("POST").focus()
    expect(errors).to_contain_text("{{order.am")
    window.get_by_role("button", name="Submit").click()
    expect(field).to_have_attribute("aria-invalid", "true")


def test_window_of_a_callback_that_was_removed_meanwhile_says_so(window: Locator, session_receiver: Receiver) -> None:
    page = window.page
    window.get_by_label("URL").fill(session_receiver.url("/x") + TEMPLATE)
    window.get_by_role("button", name="Submit").click()
    row_of(page, "created").get_by_role("link", name="Edit").click()
    other = page.context.new_page()
    other.goto(page.url)
    row_of(other, "created").get_by_role("link", name="Delete").click()
    other.get_by_role("button", name="Delete").click()
    expect(row_of(other, "created")).to_contain_text("Not set")
    window.get_by_role("button", name="Submit").click()
    expect(window.get_by_role("alert")).to_contain_text("Somebody deleted this callback.")
    expect(window.get_by_role("alert").locator("svg use[href$='#alert']")).to_have_count(1)
    expect(window.get_by_label("URL")).to_have_value(session_receiver.url("/x") + TEMPLATE)
