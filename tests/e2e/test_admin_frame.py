"""The frame of the admin in a browser: its log-in, its menu, its lists, and what its scripts add."""

import re

from playwright.sync_api import expect

from tests.e2e.browser import faults, faults_in_every_look, sign_in


def test_theme_chosen_by_hand_stays_whatever_the_system_says(merchant, stack):
    merchant.emulate_media(color_scheme="light")
    canvas = "getComputedStyle(document.documentElement).backgroundColor"
    light = merchant.evaluate(canvas)
    dark_button = merchant.get_by_role("button", name="Dark")
    dark_button.click()
    expect(dark_button).to_have_attribute("aria-pressed", "true")
    dark = merchant.evaluate(canvas)
    assert dark != light
    merchant.goto(f"{stack.base_url}/admin/orders/order/")
    assert merchant.evaluate(canvas) == dark
    merchant.get_by_role("button", name="As the system").click()
    assert merchant.evaluate(canvas) == light


def test_narrow_window_keeps_the_pages_behind_a_menu(merchant):
    merchant.set_viewport_size({"width": 390, "height": 800})
    orders = merchant.get_by_role("link", name="All orders")
    expect(orders).to_be_hidden()
    menu = merchant.get_by_role("button", name="Menu")
    menu.click()
    expect(menu).to_have_attribute("aria-expanded", "true")
    merchant.keyboard.press("Escape")
    expect(orders).to_be_hidden()
    menu.click()
    orders.click()
    expect(merchant.get_by_role("heading", name="All orders")).to_be_visible()


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


def test_filter_opens_by_keyboard_and_closes_with_escape(merchant, stack):
    merchant.goto(f"{stack.base_url}/admin/orders/order/")
    summary = merchant.locator("details.filter summary").first
    summary.focus()
    merchant.keyboard.press("Enter")
    choice = merchant.get_by_role("link", name="Approved")
    expect(choice).to_be_visible()
    merchant.keyboard.press("Escape")
    expect(choice).to_be_hidden()
    expect(summary).to_be_focused()
    merchant.keyboard.press("Enter")
    choice.click()
    expect(merchant.locator("details.filter.is-set summary")).to_contain_text("Status: Approved")
    expect(merchant.locator("#result_list tbody tr").first).to_contain_text("Approved")
    expect(merchant.locator("#result_list tbody tr", has_not_text="Approved")).to_have_count(0)


def test_actions_appear_with_the_first_chosen_row(merchant, stack):
    merchant.goto(f"{stack.base_url}/admin/callbacks/delivery/")
    run = merchant.get_by_role("button", name="Run")
    expect(run).to_be_hidden()
    merchant.locator(".action-select").first.check()
    expect(run).to_be_visible()
    merchant.get_by_label("Action:").select_option(label="Resend")
    run.click()
    expect(merchant.get_by_role("status")).to_contain_text("Resent.")


def test_lists_work_without_scripts(merchant_without_scripts, stack):
    page = merchant_without_scripts
    page.goto(f"{stack.base_url}/admin/callbacks/delivery/")
    expect(page.get_by_role("button", name="Run")).to_be_visible()
    expect(page.locator("td time").first).to_contain_text("UTC")
    page.get_by_role("link", name="All orders").click()
    page.locator("details.filter summary").first.click()
    page.get_by_role("link", name="Rejected").click()
    expect(page.locator("#result_list tbody tr").first).to_contain_text("Rejected")
    expect(page.locator("#result_list tbody tr", has_not_text="Rejected")).to_have_count(0)
    page.get_by_text("Affiliate", exact=True).first.click()
    page.get_by_label("Name, code or e-mail").fill("o")
    page.get_by_label("Name, code or e-mail").press("Enter")
    expect(page.locator(".filter-choice")).to_contain_text("Several affiliates match “o”. Choose one:")
    page.get_by_role("link", name="Joe's Coffee Blog (joe)").click()
    chosen = page.locator("details.filter.is-set summary")
    expect(chosen).to_have_text(["Status: Rejected", "Affiliate: Joe's Coffee Blog"])


def test_deliveries_of_an_affiliate_and_of_a_callback_are_found(merchant, stack):
    page = merchant
    page.goto(f"{stack.base_url}/admin/callbacks/delivery/")
    page.locator("summary", has_text="Affiliate").click()
    page.get_by_label("Name, code or e-mail").press_sequentially("coffee")
    expect(page.locator("datalist option").first).to_have_attribute("value", "Joe's Coffee Blog (joe)")
    page.get_by_role("button", name="Show").first.click()
    expect(page.locator("details.filter.is-set summary")).to_contain_text("Affiliate: Joe's Coffee Blog")
    page.get_by_role("link", name="All callbacks").click()
    page.get_by_role("searchbox").fill("joe")
    page.get_by_role("searchbox").press("Enter")
    row = page.locator("#result_list tbody tr").first
    expect(row).to_contain_text(re.compile("Active|Failing|Never sent|Paused|Changed"))
    row.get_by_role("link", name="Settings").click()
    page.locator("#order-created").get_by_role("link", name="All deliveries").click()
    expect(page.locator(".tabs [aria-current]")).to_have_text("Deliveries")
    expect(page.locator("details.filter.is-set summary")).to_contain_text("Callback: Order created callback of Joe")
    page.locator("summary", has_text="State").click()
    expect(page.locator(".filter[open] li", has_text="Succeeded").locator(".filter-count")).to_have_text(
        re.compile(r"\d")
    )
    page.keyboard.press("Escape")
    assert faults_in_every_look(page) == []


def test_affiliate_of_an_order_is_suggested_while_it_is_typed(merchant, stack):
    merchant.goto(f"{stack.base_url}/admin/orders/order/add/")
    field = merchant.get_by_role("combobox", name="Affiliate")
    field.press_sequentially("mart")
    suggested = merchant.locator(f"datalist#{field.get_attribute('list')} option")
    expect(suggested).to_have_count(1)
    expect(suggested).to_have_attribute("value", "Marta Deals (marta)")
    assert faults(merchant) == []
