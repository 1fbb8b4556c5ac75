"""Several URLs for one event, in a browser on the real stack: added, filtered, each with a secret that is replaced."""

from playwright.sync_api import Locator, Page, expect
from standardwebhooks import Webhook, WebhookVerificationError

from tests.e2e.browser import add_order, faults, open_settings, open_window, row_of
from tests.e2e.installation import Installation
from tests.receiver import Received, Receiver
from tests.waiting import wait_until

NAME = "Two Trackers"
SET_UP = """
from affiliates.models import Affiliate
Affiliate.objects.create(name="Two Trackers", email="two@trackers.example", code="two", commission_rate="0.1")
"""
READ_SECRET = """
from callbacks.models import CallbackSetting
print(CallbackSetting.objects.get(name="Keitaro").secret)
"""
PASSWORD_TYPED_LONG_AGO = """
from django.contrib.sessions.models import Session
for session in Session.objects.all():
    store = Session.get_session_store_class()(session.session_key)
    store["password_typed_at"] = 0
    store.save()
"""
TEMPLATE = "?order={{order.number}}&cid={{link.sub_id}}"


def verifies(secret: str, request: Received) -> bool:
    headers = {name: request.header(name) for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
    try:
        Webhook(secret).verify(request.target.encode(), headers, json_parse=False)
    except WebhookVerificationError:
        return False
    return True


def secret_of(row: Locator) -> str:
    return row.get_by_label("Signing secret of the order created callback").input_value()


def test_merchant_adds_a_second_url_for_approved_orders_and_rotates_a_secret(
    stack: Installation, session_receiver: Receiver, merchant: Page
) -> None:
    page = merchant
    stack.manage("shell", code=SET_UP)
    window = open_window(page, NAME, "created")
    window.get_by_label("URL").fill(session_receiver.url("/one") + TEMPLATE)
    window.get_by_role("button", name="Submit").click()
    old = secret_of(row_of(page, "created"))
    assert faults(page) == []

    page.get_by_role("link", name="Add another URL for order created").click()
    expect(window.get_by_label("URL")).to_be_focused()
    window.get_by_label("URL").fill(session_receiver.url("/one") + TEMPLATE)
    expect(window.locator('[data-code="same_url"]')).to_contain_text("already sends these events to the same URL.")
    window.get_by_label("URL").fill(session_receiver.url("/two") + TEMPLATE)
    window.get_by_label("Name").fill("Keitaro")
    window.locator("summary", has_text="Status filter").click()
    window.get_by_label("Approved").check()
    assert faults(page) == []
    window.get_by_role("button", name="Submit").click()
    expect(window).to_be_hidden()
    second = page.locator(".callback", has_text="Keitaro")
    expect(second).to_contain_text("Only orders whose status is approved.")
    kept = stack.manage("shell", code=READ_SECRET).split()[-1]
    expect(second.get_by_label("Signing secret of the order created callback Keitaro")).to_have_value(kept)
    expect(page.locator("#setting-changes")).to_contain_text("set up the order created callback “Keitaro”")

    add_order(page, "#920001", "https://shop.example/?ref=two&sub_id=a")
    wait_until(lambda: session_receiver.requests_at("/one"), 20)
    assert verifies(old, session_receiver.requests_at("/one")[0])
    page.get_by_role("link", name="Deliveries").click()
    skipped = page.locator("#result_list tbody tr", has_text="#920001").filter(has_text="Skipped")
    skipped.get_by_role("link", name="#920001").click()
    expect(page.locator(".timeline")).to_contain_text("The callback is limited to certain statuses")
    assert session_receiver.requests_at("/two") == []

    open_settings(page, NAME)
    expect(page.get_by_label("Signing secret of the order created callback")).to_have_count(0)
    row_of(page, "created").get_by_role("link", name="Edit").click()
    typed = session_receiver.url("/one") + TEMPLATE + "&typed=1"
    window.get_by_label("URL").fill(typed)
    window.locator("summary", has_text="Signing secret").click()
    window.get_by_role("link", name="Rotate").click()
    window.get_by_role("button", name="Keep current secret").click()
    stack.manage("shell", code=PASSWORD_TYPED_LONG_AGO)
    window.get_by_role("link", name="Rotate").click()
    question = window.get_by_role("group", name="Rotate the signing secret of the order created callback")
    expect(question).to_contain_text("24 hours")
    assert faults(page) == []
    password = question.get_by_label("Password")
    expect(password).to_be_focused()
    password.fill("wrong")
    question.get_by_role("button", name="Rotate").click()
    expect(question.locator('[data-code="wrong_password"]')).to_be_visible()
    assert stack.login
    password.fill(stack.login.password)
    password.press("Enter")
    expect(window.get_by_label("Signing secret of the order created callback")).to_be_focused()
    new = secret_of(window)
    assert new != old
    assert faults(page) == []
    expect(window.get_by_label("URL")).to_have_value(typed)
    window.get_by_role("link", name="Cancel").click()
    expect(page.locator("#setting-changes")).to_contain_text("rotated the signing secret of")
    page.reload()
    expect(page.get_by_label("Signing secret of the order created callback")).to_have_count(0)

    add_order(page, "#920002", "https://shop.example/?ref=two&sub_id=b")
    wait_until(lambda: len(session_receiver.requests_at("/one")) == 2, 20)
    request = session_receiver.requests_at("/one")[1]
    assert verifies(new, request)
    assert verifies(old, request)

    open_settings(page, NAME)
    second.get_by_role("button", name="Pause").click()
    expect(second).to_contain_text("Paused")
    expect(row_of(page, "created")).to_contain_text("Working")
    page.locator("#setting-changes").get_by_role("link", name="Show all 4").click()
    expect(page.get_by_role("listitem").filter(has_text="paused the order created callback “Keitaro”")).to_be_visible()
    assert faults(page) == []
