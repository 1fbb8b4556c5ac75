"""A tracker's documented URL, pasted and put right while it is looked at, in a browser on the real stack."""

import re

from playwright.sync_api import Page, expect

from tests.e2e.browser import faults, open_settings, open_window, row_of, window_of
from tests.e2e.installation import Installation

SET_UP = """
from affiliates.models import Affiliate, Link
from orders.models import Order
pirate = Affiliate.objects.create(name="Paste Pirate", email="p@pirate.example", code="pirate", commission_rate="0.1")
link = Link.objects.create(affiliate=pirate, url="https://shop.example/?ref=pirate&sub_id=w%26x")
Order.objects.create(number="#LINKED", affiliate=pirate, link=link, amount="58.00", currency="USD")
Order.objects.create(number="#COUPON", affiliate=pirate, amount="20.00", currency="USD")
"""
TYPED = "https://joe.voluumtrk.com/postback?cid={clickid}&payout={{order.commission}}"
DOCUMENTED_WITH_MARKUP = """<https://yourpostback.com>?\\
order={{order.number}}\\
\\&amount={{order.amount}}\\
\\&subid={{link.sub\\_id}}"""
TAKEN = "https://joe.voluumtrk.com/postback?cid={{link.sub_id}}&payout={{order.commission}}"


def test_merchant_pastes_a_voluum_url_and_takes_the_suggestion(stack: Installation, merchant: Page) -> None:
    page = merchant
    stack.manage("shell", code=SET_UP)
    window = open_window(page, "Paste Pirate", "created")
    field, check, preview = window.get_by_label("URL"), window.locator("#setup-check"), window.locator("#setup-preview")
    expect(preview).to_contain_text("A preview appears once you enter a URL")
    field.fill(DOCUMENTED_WITH_MARKUP)
    expect(check.locator(".repairs [data-repair]")).to_have_count(3)
    expect(preview.locator(".wire")).to_contain_text("https://yourpostback.com/?order=%23COUPON&amount=20.00&subid=")
    field.fill("https://track.me/{{order.number}}/postback?subid={{link.sub_id}}&status=sale")
    expect(check.locator(".findings")).to_contain_text("The path contains {{order.number}}.")
    expect(check.locator(".tracker")).to_contain_text("Looks like")  # its host is nobody's
    field.fill("")
    field.press_sequentially(TYPED)

    expect(check.locator(".tracker")).to_contain_text("Voluum postback. It identifies the click by cid.")
    expect(check.locator(".tracker-facts")).to_contain_text("Second postback")
    expect(check.locator('[data-code="foreign_placeholder"]')).to_be_visible()
    expect(check.locator(".corrections li")).to_contain_text("{{link.sub_id}}")
    expect(preview).to_contain_text("With the suggested variables:")
    expect(preview.locator(".wire")).to_have_text("GEThttps://joe.voluumtrk.com/postback?cid=&payout=2.00")
    expect(preview.locator(".values")).to_contain_text("empty: this order has no link")
    expect(window.locator("[data-said]")).to_contain_text("Voluum recognized. 1 value to correct.")
    expect(field).to_be_focused()
    assert faults(page) == []

    field.press_sequentially("&x={{ord")  # what was said of the URL before is set aside until the variable is whole
    expect(check).to_have_js_property("inert", True)
    expect(check).to_have_css("opacity", "0.45")
    for _ in "&x={{ord":
        field.press("Backspace")
    expect(check).to_have_js_property("inert", False)

    variables = window.get_by_role("group", name="Variables with the values of order #COUPON")
    expect(variables.get_by_role("button", name="order.amount").first).to_contain_text("20.00")
    expect(variables.get_by_role("button").first).to_contain_text("link.")
    window.get_by_label("Preview with order").select_option(index=1)
    expect(preview.locator(".wire")).to_have_text("GEThttps://joe.voluumtrk.com/postback?cid=w%26x&payout=5.80")
    variables = window.get_by_role("group", name="Variables with the values of order #LINKED")
    expect(variables.get_by_role("button", name="order.amount").first).to_contain_text("58.00")
    expect(variables.get_by_role("button", name="link.query.ref")).to_contain_text("pirate")

    check.get_by_role("button", name="Use {{link.sub_id}} for cid={clickid}").click()
    expect(field).to_have_value(TAKEN)
    expect(field).to_be_focused()
    expect(check.locator("[data-code], .corrections")).to_have_count(0)
    expect(preview).not_to_contain_text("With the suggested variables")
    page.keyboard.press("Control+z")
    expect(field).to_have_value(TYPED)
    expect(check.locator(".corrections li")).to_have_count(1)
    page.keyboard.press("Control+Shift+z")
    expect(field).to_have_value(TAKEN)

    field.fill("https://hooks.zapier.example/catch/1/")
    check.get_by_role("button", name="Use POST JSON").click()
    expect(window.get_by_label("JSON: the whole event")).to_be_checked()
    expect(preview.get_by_label("Request body")).to_contain_text('"type":"order.created"')
    expect(check.locator("[data-code]")).to_have_count(0)
    expect(field).to_be_focused()
    form = window.locator(".dialog-body")
    assert form.evaluate("form => form.closest('dialog').scrollHeight <= form.closest('dialog').clientHeight")
    field.fill(TAKEN)
    window.get_by_label("Form: the same parameters").check()
    expect(preview.get_by_label("Request body")).to_have_text("cid=w%26x&payout=5.80")
    window.get_by_role("button", name="Submit").click()
    expect(window).to_be_hidden()
    expect(row_of(page, "created")).to_contain_text(TAKEN)


NEW_AFFILIATE = """
from affiliates.models import Affiliate
Affiliate.objects.create(name="Nora New", email="n@new.example", code="nora", commission_rate="0.1")
"""
KEITARO = "https://keitaro.example/12a34b5/postback"
LISTS = "lead_status=2%2C5&sale_status=1&rejected_status=reject,trash"
DOCUMENTED = {  # by the tracker, and what becomes of it
    "created": (
        "https://joe.voluumtrk.com/postback?cid=REPLACE&payout=OPTIONAL&txid=OPTIONAL&et=OPTIONAL",
        "https://joe.voluumtrk.com/postback?cid={{link.sub_id}}&payout={{order.commission}}&txid={{order.number}}",
    ),
    "updated": (
        f"{KEITARO}?subid={{subid}}&status={{status}}&from={{network}}&{LISTS}",
        f'{KEITARO}?subid={{{{link.sub_id}}}}&status={{{{order.status|map:"new=2,approved=1,rejected=reject"}}}}&{LISTS}',
    ),
}


def test_merchant_sets_up_documented_urls_of_voluum_and_keitaro_with_a_paste_and_two_clicks(
    stack: Installation, merchant: Page
) -> None:
    page = merchant
    stack.manage("shell", code=NEW_AFFILIATE)
    open_settings(page, "Nora New")
    for event, (documented, mended) in DOCUMENTED.items():
        row_of(page, event).get_by_role("link", name="Set up").click()
        window = window_of(page, event)
        field = window.get_by_label("URL")
        field.fill(documented)
        last = window.locator("#setup-check .corrections").get_by_role("button", name="Remove").last
        last.wait_for()
        field.press("End")
        page.keyboard.type("&keep=me")
        last.click()  # before what was typed last is checked
        expect(field).to_have_value(re.sub("&(et|from)=[^&]*", "", documented) + "&keep=me")
        field.fill(documented)
        window.get_by_role("button", name="Take all suggestions").click()
        expect(field).to_have_value(mended)
        expect(window.locator("#setup-check").locator("[data-code], .corrections")).to_have_count(0)
        window.get_by_role("button", name="Submit").click()
        expect(window).to_be_hidden()
        expect(row_of(page, event)).to_contain_text(mended)
