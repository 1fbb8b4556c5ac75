"""The frame of the admin in a browser: its log-in, its menu, its lists, and what its scripts add."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.installation import Installation, Login

LOOKS = [(1280, "light"), (390, "dark")]


@pytest.fixture
def signed_in(browser_page: Page, stack: Installation) -> Page:
    sign_in(browser_page, stack)
    return browser_page


def sign_in(page: Page, stack: Installation, login: Login | None = None) -> None:
    """As the one whose login was printed first, or with another."""
    login = login or stack.login
    assert login
    page.goto(f"{stack.base_url}/admin/")
    page.get_by_label("Username").fill(login.username)
    page.get_by_label("Password").fill(login.password)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def faults(page: Page) -> list[str]:
    """What axe finds (WCAG 2 A and AA, best practice), and whether the page is wider than its window."""
    found = [
        f"{fault['id']}: {fault['help']} at {fault['nodes'][0]['target']}"
        for fault in Axe().run(page).response["violations"]
    ]
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found + ([f"{over} px wider than the window"] if over > 0 else [])


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_log_in_is_accessible_and_fits_its_window(browser_page, stack, width, scheme):
    browser_page.set_viewport_size({"width": width, "height": 800})
    browser_page.emulate_media(color_scheme=scheme)
    browser_page.goto(f"{stack.base_url}/admin/login/")
    assert faults(browser_page) == []


def test_theme_chosen_by_hand_stays_whatever_the_system_says(signed_in, stack):
    signed_in.emulate_media(color_scheme="light")
    canvas = "getComputedStyle(document.documentElement).backgroundColor"
    light = signed_in.evaluate(canvas)
    dark_button = signed_in.get_by_role("button", name="Dark")
    dark_button.click()
    expect(dark_button).to_have_attribute("aria-pressed", "true")
    dark = signed_in.evaluate(canvas)
    assert dark != light
    signed_in.goto(f"{stack.base_url}/admin/orders/order/")
    assert signed_in.evaluate(canvas) == dark
    signed_in.get_by_role("button", name="As the system").click()
    assert signed_in.evaluate(canvas) == light


def test_narrow_window_keeps_the_pages_behind_a_menu(signed_in):
    signed_in.set_viewport_size({"width": 390, "height": 800})
    orders = signed_in.get_by_role("link", name="All orders")
    expect(orders).to_be_hidden()
    menu = signed_in.get_by_role("button", name="Menu")
    menu.click()
    expect(menu).to_have_attribute("aria-expanded", "true")
    signed_in.keyboard.press("Escape")
    expect(orders).to_be_hidden()
    menu.click()
    orders.click()
    expect(signed_in.get_by_role("heading", name="All orders")).to_be_visible()


def test_times_are_in_the_zone_of_the_viewer(new_context, stack):
    context = new_context(timezone_id="Asia/Tokyo")
    page = context.new_page()
    sign_in(page, stack)
    page.goto(f"{stack.base_url}/admin/orders/order/1/change/")
    time = page.locator(".page-head time")
    utc = time.get_attribute("title")
    assert utc
    assert utc.endswith(" UTC")
    shown = time.inner_text()
    assert "UTC" not in shown
    hours = (int(re.search(r"(\d\d):", shown)[1]) - int(re.search(r"(\d\d):", utc)[1])) % 24
    assert hours == 9


def test_filter_opens_by_keyboard_and_closes_with_escape(signed_in, stack):
    signed_in.goto(f"{stack.base_url}/admin/orders/order/")
    summary = signed_in.locator("details.filter summary").first
    summary.focus()
    signed_in.keyboard.press("Enter")
    choice = signed_in.get_by_role("link", name="Approved")
    expect(choice).to_be_visible()
    signed_in.keyboard.press("Escape")
    expect(choice).to_be_hidden()
    expect(summary).to_be_focused()
    signed_in.keyboard.press("Enter")
    choice.click()
    expect(signed_in.locator("details.filter.is-set summary")).to_contain_text("Status: Approved")
    expect(signed_in.locator("#result_list tbody tr")).to_have_count(3)


def test_actions_appear_with_the_first_chosen_row(signed_in, stack):
    signed_in.goto(f"{stack.base_url}/admin/callbacks/delivery/")
    run = signed_in.get_by_role("button", name="Run")
    expect(run).to_be_hidden()
    signed_in.locator(".action-select").first.check()
    expect(run).to_be_visible()
    signed_in.get_by_label("Action:").select_option(label="Resend")
    run.click()
    expect(signed_in.get_by_role("status")).to_contain_text("1 delivery is on the way again.")


def test_lists_work_without_scripts(new_context, stack):
    page = new_context(java_script_enabled=False).new_page()
    sign_in(page, stack)
    page.goto(f"{stack.base_url}/admin/callbacks/delivery/")
    expect(page.get_by_role("button", name="Run")).to_be_visible()
    expect(page.locator("td time").first).to_contain_text("UTC")
    page.get_by_role("link", name="All orders").click()
    page.locator("details.filter summary").first.click()
    page.get_by_role("link", name="Rejected").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(2)


def test_affiliate_of_an_order_is_suggested_while_it_is_typed(signed_in, stack):
    signed_in.goto(f"{stack.base_url}/admin/orders/order/add/")
    field = signed_in.get_by_role("combobox", name="Affiliate")
    field.press_sequentially("mart")
    suggested = signed_in.locator(f"datalist#{field.get_attribute('list')} option")
    expect(suggested).to_have_count(1)
    expect(suggested).to_have_attribute("value", "Marta Deals (marta)")
    assert faults(signed_in) == []
