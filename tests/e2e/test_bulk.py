"""Callbacks of many affiliates at once, in a browser on the real stack: the same one set up, then its host replaced."""

from playwright.sync_api import Page, expect

from tests.e2e.browser import add_order, faults
from tests.e2e.installation import Installation
from tests.receiver import Receiver
from tests.waiting import wait_until

SET_UP = """
from affiliates.models import Affiliate, Link
from callbacks.models import CallbackSetting
from orders.models import Order
for n in range(9):
    crowd = Affiliate.objects.create(name=f"Crowd {n}", email=f"c{n}@crowd.example", code=f"crowd{n}")
    link = Link.objects.create(affiliate=crowd, url=f"https://shop.example/?ref=crowd{n}&sub_id=click{n}")
    Order.objects.create(number=f"#CROWD{n}", affiliate=crowd, link=link, amount="58.00", currency="USD")
    if n == 8:
        CallbackSetting.objects.create(affiliate=crowd, event="order.created", url="https://gone.example/?a=1")
"""
SCRIPTLESS = """
from affiliates.models import Affiliate
for n in range(3):
    Affiliate.objects.create(name=f"Scriptless {n}", email=f"s{n}@scriptless.example", code=f"scriptless{n}")
"""
FALL_SILENT = """
from callbacks.models import CallbackSetting
for setting in CallbackSetting.objects.filter(affiliate__code__in=["crowd3", "crowd4"]):
    setting.url = "http://silent.invalid:{port}/crowd?cid={{{{link.sub_id}}}}&u=http://silent.invalid:{port}/"
    setting.save()
"""


def test_merchant_sets_the_same_callback_up_for_many_and_replaces_its_host(
    stack: Installation, session_receiver: Receiver, merchant: Page
) -> None:
    stack.manage("shell", code=SET_UP)
    page = merchant

    page.get_by_role("link", name="All Affiliates").click()
    page.get_by_role("searchbox").fill("Crowd")
    page.keyboard.press("Enter")
    expect(page.locator("#result_list tbody tr")).to_have_count(9)
    page.locator("#action-toggle").check()
    page.get_by_label("Action:").select_option("Set up the same callback")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Same callback for many affiliates")
    expect(page.locator(".chosen")).to_contain_text(
        "9 affiliates: Crowd 0, Crowd 1, Crowd 2, Crowd 3, Crowd 4 and 4 more"
    )
    assert faults(page) == []

    field, shown = page.get_by_label("URL"), page.locator("#setup-preview")
    field.press_sequentially(session_receiver.url("/crowd") + "?cid={clickid}")
    expect(page.locator(".corrections li")).to_contain_text("{{link.sub_id}}")
    page.get_by_role("button", name="Use {{link.sub_id}} for cid={clickid}").click()
    expect(shown.locator(".wire")).to_contain_text("/crowd?cid=click0")
    page.get_by_label("Preview with the latest order of").select_option(label="Crowd 5 · #CROWD5")
    expect(shown.locator(".wire")).to_contain_text("/crowd?cid=click5")
    assert faults(page) == []
    page.get_by_role("button", name="Preview", exact=True).click()

    expect(page.locator(".wire")).to_contain_text(["{{link.sub_id}}", "cid=click0", "cid=click1", "cid=click2"])
    expect(page.locator('[data-effect="new"] summary')).to_have_text("8 · new callback")
    expect(page.locator('[data-effect="changed"]')).to_contain_text("https://gone.example/?a=1")
    assert faults(page) == []
    page.get_by_role("button", name="Back", exact=True).click()
    expect(field).to_have_value(session_receiver.url("/crowd") + "?cid={{link.sub_id}}")
    page.get_by_role("button", name="Preview", exact=True).click()
    page.get_by_role("button", name="Set up 8 callbacks and change 1").click()
    expect(page.get_by_role("status")).to_contain_text("set up for 8 affiliates, changed for 1 affiliate.")
    assert faults(page) == []
    add_order(page, "#930001", "https://shop.example/?ref=crowd7&sub_id=first")
    wait_until(lambda: session_receiver.requests_at("/crowd"), 20)
    assert session_receiver.requests_at("/crowd")[0].target == "/crowd?cid=first"

    # The tracker moves: what could not be delivered goes to the new host by itself.
    port = session_receiver.port
    stack.manage("shell", code=FALL_SILENT.format(port=port))
    add_order(page, "#930002", "https://shop.example/?ref=crowd3&sub_id=waits")
    page.get_by_role("link", name="Replace a host").click()
    assert faults(page) == []
    page.get_by_role("link", name=f"Replace silent.invalid:{port}").click()
    page.get_by_label("New host").fill("192.168.1.1")
    page.get_by_role("button", name="Preview", exact=True).click()
    expect(page.locator('[data-code="blocked_address"]')).to_be_visible()
    expect(page.get_by_label("Current host")).to_have_value(f"silent.invalid:{port}")
    page.get_by_label("New host").fill(f"127.0.0.1:{port}")
    page.get_by_role("button", name="Preview", exact=True).click()
    expect(page.get_by_role("heading", name="2 callbacks will change (2 affiliates)")).to_be_visible()
    assert faults(page) == []
    page.get_by_role("button", name="Replace in 2 callbacks").click()
    expect(page.get_by_role("status")).to_contain_text(f"to 127.0.0.1:{port} in 2 callbacks.")
    kept = f"cid=waits&u=http://silent.invalid:{port}/"
    wait_until(lambda: f"/crowd?{kept}" in [request.target for request in session_receiver.requests_at("/crowd")], 30)


def test_same_callback_and_another_host_work_without_scripts(
    stack: Installation, merchant_without_scripts: Page
) -> None:
    stack.manage("shell", code=SCRIPTLESS)
    page = merchant_without_scripts
    page.get_by_role("link", name="All Affiliates").click()
    page.get_by_role("searchbox").fill("Scriptless")
    page.keyboard.press("Enter")
    boxes = page.locator(".action-select")
    expect(boxes).to_have_count(3)
    for box in boxes.all():
        box.check()
    page.get_by_label("Action:").select_option("Set up the same callback")
    page.get_by_role("button", name="Run").click()
    page.get_by_label("Order updated").check(force=True)
    page.get_by_label("URL").fill("https://scriptless.voluumtrk.com/postback?cid={clickid}")
    page.get_by_role("textbox", name="Name", exact=True).fill("Without scripts")
    page.get_by_role("button", name="Update preview").click()
    page.get_by_role("button", name="Use {{link.sub_id}} for cid={clickid}").click()
    expect(page.get_by_label("URL")).to_have_value("https://scriptless.voluumtrk.com/postback?cid={{link.sub_id}}")
    expect(page.get_by_label("Order updated")).to_be_checked()
    page.get_by_role("button", name="Preview", exact=True).click()
    expect(page.locator('[data-effect="new"]')).to_contain_text("Scriptless 0, Scriptless 1, Scriptless 2")
    page.get_by_role("button", name="Set up for 3 affiliates").click()
    expect(page.get_by_role("status")).to_contain_text(
        "Order updated callback “Without scripts”: set up for 3 affiliates."
    )
    expect(page.get_by_role("table").get_by_text("whsec_")).to_have_count(3)
    page.go_back()  # to the preview, and then to the form, which are answers to a POST
    expect(page.get_by_role("button", name="Set up for 3 affiliates")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("URL")).to_have_value("https://scriptless.voluumtrk.com/postback?cid={{link.sub_id}}")

    page.set_viewport_size({"width": 390, "height": 800})
    page.get_by_role("link", name="Menu", exact=True).click()
    page.get_by_role("link", name="Close menu").click()
    expect(page.get_by_role("link", name="Replace a host")).to_be_hidden()
    page.get_by_role("link", name="Menu", exact=True).click()
    page.get_by_role("link", name="Replace a host").click()
    page.get_by_role("link", name="Replace scriptless.voluumtrk.com").click()
    page.get_by_label("New host").fill("192.168.1.1")
    page.get_by_role("button", name="Preview", exact=True).click()
    expect(page.locator('[data-code="blocked_address"]')).to_be_visible()
    page.get_by_label("New host").fill("tracker.example:8443")
    page.get_by_role("button", name="Preview", exact=True).click()
    expect(page.locator(".moves ins")).to_contain_text(["tracker.example:8443"] * 3)
    page.get_by_role("button", name="Replace in 3 callbacks").click()
    expect(page.get_by_role("status")).to_contain_text("to tracker.example:8443 in 3 callbacks.")
    page.go_back()
    expect(page.get_by_role("heading", name="No callback has the host scriptless.voluumtrk.com")).to_be_visible()
