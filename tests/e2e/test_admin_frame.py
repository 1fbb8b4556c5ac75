"""The frame of the admin in a browser: its log-in, its menu, its lists, and what its scripts add."""

import re

from playwright.sync_api import expect

from tests.e2e.browser import add_order, faults, faults_in_every_look, sign_in


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
    merchant.get_by_role("button", name="System").click()
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
    merchant.goto(f"{stack.base_url}/admin/affiliates/affiliate/1/deliveries/?status__exact=succeeded&origin=event")
    run = merchant.get_by_role("button", name="Run")
    expect(run).to_be_hidden()
    merchant.locator(".action-select").first.check()
    expect(run).to_be_visible()
    merchant.locator(".action-select").last.check()
    merchant.get_by_label("Action:").select_option(label="Resend")
    run.click()
    expect(merchant.get_by_role("status")).to_contain_text("2 deliveries resent.")
    expect(merchant.get_by_role("status")).to_contain_text("The trackers may count them twice.")


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
    page.get_by_label("Name, code or e-mail").fill("co")
    page.get_by_label("Name, code or e-mail").press("Enter")
    expect(page.locator(".filter-choice")).to_contain_text("Several affiliates match “co”. Choose one:")
    page.get_by_role("link", name="Joe's Coffee Blog (joe)").click()
    expect(page.locator("details.filter.is-set summary")).to_have_text(
        ["Status: Rejected", "Affiliate: Joe's Coffee Blog"]
    )


def test_deliveries_of_an_affiliate_and_of_a_callback_are_found(merchant, stack):
    page = merchant
    rows = page.locator("#result_list tbody tr")
    page.goto(f"{stack.base_url}/admin/callbacks/delivery/")
    expect(page).to_have_title(re.compile("^Deliveries"))
    page.locator("summary", has_text="Answer").click()
    page.get_by_role("link", name=re.compile("^2xx, looks like a refusal")).click()
    expect(rows.filter(has_text="Joe's Coffee Blog")).to_contain_text("looks like a refusal")
    page.locator("summary", has_text="Affiliate").click()
    page.get_by_label("Name, code or e-mail").press_sequentially("coffee")
    expect(page.locator("datalist option").first).to_have_attribute("value", "Joe's Coffee Blog (joe)")
    page.get_by_role("button", name="Show").first.click()
    expect(page.locator("details.filter.is-set summary")).to_have_text(
        ["Affiliate: Joe's Coffee Blog", "Answer: 2xx, looks like a refusal"]
    )
    page.get_by_role("link", name="All callbacks").click()
    page.get_by_role("searchbox").fill("localhost")  # a host
    page.get_by_role("searchbox").press("Enter")
    failing = rows.filter(has_text="Gadget Corner").filter(has_text="Order created")
    expect(failing).to_contain_text("Failing")
    page.get_by_role("searchbox").fill("Joe's Coffee")
    page.get_by_role("searchbox").press("Enter")
    row = rows.filter(has_text="Order created").first
    expect(row).to_contain_text(re.compile("Working|Failing|Nothing sent yet|Paused|Changed"))
    row.get_by_role("link", name="Settings").click()
    page.locator("#order-created").get_by_role("link", name="All deliveries").click()
    tab = page.locator(".tabs").get_by_role("link", name="Deliveries")
    expect(tab).to_have_attribute("aria-current", "page")
    expect(page.locator("details.filter.is-set summary")).to_contain_text("Callback: Order created callback of Joe")
    page.locator("summary", has_text="State").click()
    expect(page.locator(".filter[open] li", has_text="Succeeded").locator(".filter-count")).to_have_text(
        re.compile(r"\d")
    )
    page.keyboard.press("Escape")
    assert faults_in_every_look(page) == []
    tab.click()
    expect(page.locator("details.filter.is-set")).to_have_count(0)
    expect(rows.first).to_be_visible()


def test_affiliate_is_added_with_a_rate_in_percent_and_blocked_instead_of_deleted(merchant, stack):
    page = merchant
    page.goto(f"{stack.base_url}/admin/affiliates/affiliate/add/")
    for label, typed in (("Name", "Ends Soon"), ("E-mail", "ends@e.example"), ("Code", "ends")):
        page.get_by_label(label, exact=True).fill(typed)
    rate = page.get_by_label("Commission rate")
    rate.fill("0.15")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("For 15 %, enter 15.")
    rate.fill("12.5")
    page.get_by_role("button", name="Save", exact=True).click()
    add_order(page, "#940001", "https://shop.example/?ref=ends")
    order = page.locator("#result_list").get_by_role("link", name="#940001")
    order.click()
    expect(page.get_by_role("main")).to_contain_text("7.25")
    page.get_by_role("button", name="Save", exact=True).click()  # unchanged
    order.click()
    page.get_by_label("Amount").fill("60")
    page.get_by_role("button", name="Save", exact=True).click()
    order.click()
    page.get_by_role("link", name="History").click()
    expect(page.locator("tbody tr")).to_contain_text(["Added.", "Amount: 58.00 → 60.00."])

    page.get_by_role("link", name="All Affiliates").click()
    page.get_by_role("link", name="Ends Soon").click()
    expect(rate).to_have_value(re.compile(r"12\.5\s%"))
    page.get_by_role("link", name="Delete").click()
    expect(page.get_by_text("has orders, which stay in your records.")).to_be_visible()
    assert faults(page) == []
    page.get_by_role("button", name="Block instead").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Blocked")
    page.get_by_role("link", name="Settings", exact=True).click()
    expect(page.locator("#s2s-callback")).to_contain_text("This affiliate is blocked. No postbacks are sent")


def test_affiliate_of_an_order_is_suggested_while_it_is_typed(merchant, stack):
    merchant.goto(f"{stack.base_url}/admin/orders/order/add/")
    field = merchant.get_by_role("combobox", name="Affiliate")
    field.press_sequentially("mart")
    suggested = merchant.locator(f"datalist#{field.get_attribute('list')} option")
    expect(suggested).to_have_count(1)
    expect(suggested).to_have_attribute("value", "Marta Deals (marta)")
    assert faults(merchant) == []


def test_refused_order_opens_at_what_is_wrong_and_leads_to_the_field(merchant, stack):
    page = merchant
    page.set_viewport_size({"width": 390, "height": 600})
    page.goto(f"{stack.base_url}/admin/orders/order/2/change/#why")
    stored = page.get_by_role("heading", level=1).inner_text()
    page.get_by_role("textbox", name="Number").fill("#typed")
    page.get_by_role("textbox", name="Amount").fill("58,00")
    page.get_by_role("combobox", name="Affiliate").fill("nobody-like-this")
    page.get_by_role("button", name="Save", exact=True).click()
    summary = page.get_by_role("alert")
    expect(summary).to_be_focused()
    expect(summary).to_be_in_viewport()
    assert page.evaluate("scrollY") < 100
    assert page.title().startswith("Error:")
    assert page.get_by_role("heading", level=1).inner_text() == stored
    expect(summary.get_by_role("listitem")).to_have_count(2)
    assert faults(page) == []
    summary.get_by_role("link", name="Amount").click()
    expect(page.get_by_role("textbox", name="Amount")).to_be_focused()
    expect(page.get_by_role("textbox", name="Amount")).to_have_value("58,00")


def test_page_on_paper_is_its_content_in_black_on_white_with_whole_tables(merchant, stack):
    page = merchant
    page.set_viewport_size({"width": 680, "height": 900})  # what a sheet of A4 has between its margins
    page.emulate_media(media="print", color_scheme="dark")
    legend = page.locator(".chart-legend i")
    looks = legend.evaluate_all(
        "all => all.map(one => { const s = getComputedStyle(one); return s.background + s.border; })"
    )
    assert len(set(looks)) == len(looks) == 4
    page.goto(f"{stack.base_url}/admin/callbacks/delivery/")
    expect(page.locator(".side, .toolbar, .crumbs").filter(visible=True)).to_have_count(0)
    expect(page.locator("button, .button, input").filter(visible=True)).to_have_count(0)
    expect(page.get_by_role("columnheader", name="State")).to_be_visible()
    look = "one => { const s = getComputedStyle(one); return [s.color, s.backgroundColor]; }"
    assert page.locator("html").evaluate(look) == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
    assert page.locator("#result_list .chip").first.evaluate(look) == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
    assert faults(page) == []


def test_colours_of_the_reader_leave_states_legend_and_choice_to_be_told(merchant, stack):
    page = merchant
    page.emulate_media(forced_colors="active")
    look = "one => { const s = getComputedStyle(one); return s.background + s.borderTopStyle; }"
    legend = page.locator(".chart-legend i").evaluate_all(f"all => all.map({look})")
    assert len(set(legend)) == len(legend) == 4
    current, other = (
        page.locator(f".side-link{kind}").first.evaluate(look) for kind in ("[aria-current]", ":not([aria-current])")
    )
    assert current != other
    page.goto(f"{stack.base_url}/admin/orders/order/")
    edge = "one => getComputedStyle(one).borderTopWidth"
    assert page.locator("#result_list .chip").first.evaluate(edge) == "1px"
    page.get_by_label("Search").focus()
    assert page.get_by_label("Search").evaluate("one => getComputedStyle(one).outlineStyle") == "solid"


def test_message_is_in_sight_and_read_out_where_the_page_opens_further_down(merchant, stack):
    page = merchant
    page.set_viewport_size({"width": 390, "height": 500})
    page.goto(f"{stack.base_url}/admin/affiliates/affiliate/1/settings/")
    address = page.locator("#order-created").get_by_role("link", name="Edit").get_attribute("href")
    page.goto(stack.base_url + address)
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/settings/#order-created")
    assert page.evaluate("scrollY") > 0
    expect(page.get_by_role("status").locator(".message")).to_be_in_viewport(ratio=1)


def test_rows_are_chosen_one_by_one_in_a_row_and_all(merchant, stack):
    page = merchant
    page.goto(f"{stack.base_url}/admin/orders/order/")
    boxes, counter = page.locator(".action-select"), page.locator(".action-counter")
    boxes.nth(1).check()
    boxes.nth(4).click(modifiers=["Shift"])
    expect(counter).to_contain_text("4 of ")
    expect(page.locator("tr.selected")).to_have_count(4)
    page.get_by_label("Select all").check()
    expect(page.locator(".action-select:not(:checked)")).to_have_count(0)
    boxes.first.uncheck()
    expect(page.get_by_label("Select all")).not_to_be_checked()
