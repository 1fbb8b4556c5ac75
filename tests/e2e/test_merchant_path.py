"""The merchant's path, walked in a browser on the real stack: from the list of affiliates to the tracker's answer."""

import time

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser import add_order, faults, open_settings, open_window, row_of, sign_in, window_of
from tests.e2e.installation import Installation
from tests.receiver import Receiver
from tests.waiting import wait_until

pytestmark = pytest.mark.both

TEMPLATE = "?order={{order.number}}&amount={{order.amount}}&subid={{link.sub_id}}"


def test_merchant_sets_a_callback_and_sees_the_order_arrive(
    stack: Installation, session_receiver: Receiver, merchant: Page
) -> None:
    page, url = merchant, session_receiver.url("/walk")
    open_settings(page, "Trail Reviews")
    expect(row_of(page, "created")).to_contain_text("Not set")
    heading = row_of(page, "created").get_by_role("link", name="Order created callback", exact=True)
    heading.click()
    window = window_of(page, "created")
    expect(window.get_by_label("URL")).to_be_focused()
    expect(window.get_by_label("GET")).to_be_checked()
    expect(window.get_by_text("POST body")).to_be_hidden()
    window.get_by_label("URL").fill(f" {url}?order={{{{order.number}}}}&amount={{{{order.amount}}}}\n&subid=")
    window.get_by_role("button", name="link.sub_id").click()
    window.get_by_role("button", name="Submit").click()
    expect(window).to_be_hidden()
    expect(page.get_by_role("status")).to_contain_text("Order created callback of Trail Reviews saved.")
    expect(page.get_by_role("status")).to_contain_text("Line breaks and tabs were removed.")
    expect(row_of(page, "created")).to_contain_text(url + TEMPLATE)
    expect(row_of(page, "created")).to_contain_text("Nothing sent yet")
    expect(page.get_by_role("status")).to_be_in_viewport()
    expect(heading).to_be_focused()

    add_order(page, "#910001", "https://shop.example/p?ref=trail&sub_id=fb%20summer")
    saved_at = time.time()
    wait_until(lambda: session_receiver.requests_at("/walk"), 20)
    (request,) = session_receiver.requests_at("/walk")
    assert request.at - saved_at < 1
    assert request.target == "/walk?order=%23910001&amount=58.00&subid=fb%20summer"

    page.get_by_role("link", name="Deliveries").click()
    expect(page.locator("#result_list tbody tr").first).to_contain_text("#910001")
    page.get_by_role("link", name="#910001").click()
    # What the worker writes after the answer may be a moment behind the request.
    wait_until(lambda: page.reload() and page.get_by_text("The tracker answered 200 OK.").count(), 20)
    expect(page.locator(".timeline")).to_contain_text(session_receiver.url(request.target))
    expect(page.locator(".timeline")).to_contain_text("Order saved, delivery recorded")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Succeeded")

    expect(page.get_by_text("If you resend it, the tracker may count it twice.")).to_be_visible()
    page.get_by_role("button", name="Resend").click()
    expect(page.get_by_role("status")).to_contain_text("Resent.")
    expect(page.get_by_role("status")).to_contain_text("1 delivery had already succeeded.")
    wait_until(lambda: len(session_receiver.requests_at("/walk")) == 2, 20)
    assert session_receiver.requests_at("/walk")[1].header("webhook-id") == request.header("webhook-id")

    open_settings(page, "Trail Reviews")
    expect(row_of(page, "created")).to_contain_text("Working")
    expect(row_of(page, "created")).to_contain_text("order #910001")

    row_of(page, "created").get_by_role("button", name="Pause").click()
    add_order(page, "#910002", "https://shop.example/p?ref=trail&sub_id=meanwhile")
    open_settings(page, "Trail Reviews")
    row_of(page, "created").get_by_role("button", name="Resume").click()
    expect(row_of(page, "created")).to_contain_text("1 event was skipped while paused.")
    row_of(page, "created").get_by_role("link", name="Send it now").click()
    expect(page.get_by_role("row", name="1 to resend")).to_be_visible()
    page.get_by_role("button", name="Start resending").click()
    wait_until(lambda: len(session_receiver.requests_at("/walk")) == 3, 20)
    assert session_receiver.requests_at("/walk")[2].target.endswith("&subid=meanwhile")


def test_window_refusing_a_url_stays_open_with_the_text(merchant: Page) -> None:
    page, typed = merchant, "https://tracker.example/?a={{clickid}}&b={sub1}"
    open_settings(page, "Marta Deals")
    opener = row_of(page, "updated").get_by_role("link", name="Set up")
    opener.click()
    window = window_of(page, "updated")
    field = window.get_by_label("URL")
    window.get_by_label("POST").check()
    window.get_by_label("JSON: the whole event").check()
    field.fill(typed)
    window.get_by_role("button", name="Submit").click()
    expect(window.locator('[data-code="unknown_variable"]')).to_contain_text("Did you mean {{link.sub_id}}?")
    expect(window.locator('[data-code="foreign_placeholder"]')).to_be_visible()
    expect(field).to_have_value(typed)
    expect(field).to_be_focused()
    expect(field).to_have_accessible_description(
        "There is no variable {{clickid}}. Did you mean {{link.sub_id}}? {sub1} is a placeholder of another system and"
        " would be sent literally, not replaced by values. Correct it below, or tick “Send as typed”."
    )
    expect(window.get_by_label("JSON: the whole event")).to_be_checked()
    expect(window.get_by_label("Send as typed")).to_be_visible()
    assert faults(page) == []

    window.get_by_role("button", name="Take all suggestions").click()
    expect(field).to_have_value("https://tracker.example/?a={{link.sub_id}}&b={{link.sub_id}}")
    page.keyboard.press("Control+z")
    expect(field).to_have_value(typed)

    page.keyboard.press("Escape")  # asks, because something was typed
    question = window.get_by_role("alertdialog", name="Discard your changes?")
    expect(question.get_by_role("button", name="Keep editing")).to_be_focused()
    expect(window.get_by_role("button", name="Submit")).to_be_hidden()
    assert faults(page) == []
    for _ in range(4):  # and back; never away, however often
        page.keyboard.press("Escape")
    question.get_by_role("button", name="Keep editing").click()
    expect(field).to_be_focused()
    expect(field).to_have_value(typed)
    page.keyboard.press("Escape")
    question.get_by_role("button", name="Discard").click()
    expect(window).to_be_hidden()
    expect(opener).to_be_focused()
    opener.click()
    expect(field).to_have_value("")
    page.keyboard.press("Escape")  # nothing was typed
    expect(window).to_be_hidden()
    expect(row_of(page, "updated")).to_contain_text("Not set")


def test_window_is_worked_with_the_keyboard_alone(merchant: Page) -> None:
    page = merchant
    open_settings(page, "Marta Deals")
    row_of(page, "created").get_by_role("link", name="Set up").focus()
    page.keyboard.press("Enter")
    window = window_of(page, "created")
    field = window.get_by_label("URL")
    expect(field).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(window.get_by_label("GET")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(window.get_by_label("POST")).to_be_checked()
    expect(window.get_by_label("Form: the same parameters")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(field).to_be_focused()
    page.keyboard.type("https://tracker.example/?cid=")
    page.keyboard.press("Tab")  # one stop for all variables
    expect(window.get_by_role("button", name="link.sub_id")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(window.get_by_role("button", name="link.query.NAME")).to_be_focused()
    page.keyboard.press("Enter")
    expect(field).to_be_focused()
    page.keyboard.type("clickid")  # over NAME, which is chosen
    expect(field).to_have_value("https://tracker.example/?cid={{link.query.clickid}}")
    page.keyboard.press("Enter")
    expect(window).to_be_hidden()
    expect(row_of(page, "created")).to_contain_text("https://tracker.example/?cid={{link.query.clickid}}")
    expect(row_of(page, "created").get_by_role("link", name="Edit")).to_be_focused()


def test_window_of_somebody_signed_out_loses_nothing(stack: Installation, merchant: Page) -> None:
    page = merchant
    window = open_window(page, "Joe's Coffee Blog", "updated")
    window.get_by_label("URL").fill("https://tracker.example/?o={{order.number}}&c={{link.sub_id}}")
    page.context.clear_cookies(name="sessionid")
    window.get_by_role("button", name="Submit").click()
    expect(window.get_by_role("alert")).to_contain_text("You are logged out.")
    other = page.context.new_page()
    sign_in(other, stack)
    window.get_by_role("button", name="Submit").click()
    expect(window).to_be_hidden()
    expect(row_of(page, "updated")).to_contain_text("{{link.sub_id}}")


def test_pages_without_scripts_do_all_of_it(merchant_without_scripts: Page) -> None:
    page = merchant_without_scripts
    open_settings(page, "Marta Deals")
    row, field = row_of(page, "updated"), page.get_by_label("URL")
    row.get_by_role("link", name="Set up").click()
    expect(page.get_by_role("heading", name="Setup order updated callback", exact=True)).to_be_visible()
    field.fill("https://joe.voluumtrk.com/postback?cid={clickid}&txid={{order.number}}")
    page.get_by_role("button", name="Update preview").click()
    page.get_by_role("button", name="Use {{link.sub_id}} for cid={clickid}").click()
    expect(field).to_have_value("https://joe.voluumtrk.com/postback?cid={{link.sub_id}}&txid={{order.number}}")
    expect(page.locator("#setup-preview .wire")).to_contain_text("https://joe.voluumtrk.com/postback?cid=")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("status")).to_contain_text("Order updated callback of Marta Deals saved.")
    expect(page.get_by_role("status")).to_be_in_viewport(ratio=0.9)  # the page opens at the row
    row.get_by_role("button", name="Pause").click()
    expect(row).to_contain_text("Paused")
    row.get_by_role("button", name="Resume").click()
    expect(row).not_to_contain_text("Paused")
    expect(row).to_contain_text("Nothing sent yet")

    row.get_by_role("link", name="Edit").click()
    typed = "https://tracker.example/?a={sub1}&o={{order.number}}"
    field.fill(typed)
    page.get_by_role("button", name="Submit").click()
    expect(page.locator('[data-code="foreign_placeholder"]')).to_be_visible()
    expect(field).to_have_value(typed)
    page.get_by_label("Send as typed").check()
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("status")).to_contain_text("Order updated callback of Marta Deals saved.")
    expect(row).to_contain_text(typed)
    row.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete").click()
    expect(row).to_contain_text("Not set")


def test_affiliate_signs_in_with_the_password_that_the_merchant_set(stack: Installation, browser_page: Page) -> None:
    page = browser_page
    sign_in(page, stack)  # not with the session of the other tests: the affiliate's log-in ends it
    open_settings(page, "Trail Reviews")
    page.get_by_role("link", name="Set password").click()
    window = page.get_by_role("dialog", name="Set portal password")
    window.get_by_label("Password", exact=True).fill("short")
    window.get_by_role("button", name="Save password").click()
    expect(window.locator('[data-code="password_too_short"]')).to_be_visible()
    for label in ("Password", "Repeat password"):
        window.get_by_label(label, exact=True).fill("a long enough passphrase")
    window.get_by_role("button", name="Save password").click()
    expect(page.get_by_role("status")).to_contain_text("Trail Reviews can now log in to the portal")
    page.get_by_role("link", name="View portal").click()
    expect(page.get_by_text("You are viewing the portal as Trail Reviews.")).to_be_visible()
    page.get_by_role("link", name="E-mail notifications").click()
    expect(page.get_by_role("button", name="Save")).to_have_count(0)
    assert any("portal_viewed" in line for line in stack.lines)
    page.get_by_role("link", name="Back to the panel").click()  # and is still the merchant
    page.locator("#portal-access").get_by_role("link", name="/portal/").click()
    page.get_by_label("E-mail").fill(" Hello@TrailReviews.example ")
    page.get_by_label("Password").fill("not the passphrase")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("e-mail")
    page.get_by_label("Password").fill("a long enough passphrase")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("Order created callback")).to_be_visible()
    page.get_by_role("button", name="Español").click()
    expect(page.get_by_role("heading", name="Callback: Pedido creado")).to_be_visible()
    page.get_by_role("link", name="Avisos por correo").click()
    page.get_by_label("Nunca").check()
    page.get_by_role("button", name="Guardar").click()
    expect(page.get_by_role("status")).to_contain_text("Guardado.")
    expect(page.locator("html")).to_have_attribute("lang", "es")
