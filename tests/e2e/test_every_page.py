"""Every page there is, as the matrix of roles knows them, in a browser: light, and readable by all at every width."""

import json
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser import LOOKS, faults, look_like, nu_faults, sign_in
from tests.e2e.installation import Installation, Login
from tests.roles import world as worlds
from tests.roles.matrix import seen_by

# What answers with something else than a page of ours.
NO_PAGE = {
    "admin/affiliates/affiliate/<int:pk>/reconciliation/export/",
    "admin/affiliates/affiliate/suggest/",
    "admin/callbacks/all/export/",
    "admin/callbacks/delivery/export/",
    "admin/callbacks/delivery/live/",
    "admin/callbacks/errand/<int:pk>/progress/",
    "admin/jsi18n/",
    "admin/orders/shop/<int:pk>/live/",
    "api/docs",
    "api/openapi.json",
    "healthz",
}
# What else an address can ask of a page.
STATES = [
    "/admin/?range=month",
    "/admin/orders/order/?q=nothing-like-it",
    "/admin/callbacks/delivery/?from=2020-01-01&status__exact=failed",
    "/admin/auth/user/?role=support",
    "/admin/callbacks/delivery/?affiliate=a",
    "/admin/callbacks/delivery/?affiliate=nothing-like-it",
    "/admin/callbacks/all/?state=failing",
]
PARTS = 4  # of the pages of the admin, which are too many for one test
PORTAL = Login("looked@e.example", "a long enough passphrase")
ONE_OF_EACH = """
import json
from datetime import timedelta
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from affiliates.portal import access
from affiliates.models import Affiliate, Coupon, Link
from callbacks.models import Attempt, CallbackSetting, Delivery, EndpointHealth, Job
from config.models import Email
from django.utils import timezone
from orders.api import tokens
from orders.models import ApiToken, Message, Order, Refund, Shop
long = "of-sixty-letters-without-a-blank-as-nobody-breaks-it-for-us"
joe, is_new = Affiliate.objects.get_or_create(name="Looked-" + long, email="looked@e.example", code="lookedat")
if is_new:
    access.grant(joe, "a long enough passphrase")
    Affiliate.objects.create(name="Alone", email="alone@e.example", code="alone")
    User.objects.create_user("clerk" + "k" * 55, is_staff=True)
    tokens.create("looked-at-" + long)
    url = "http://127.0.0.1:1/?o={{order.number}}&c={clickid}"
    CallbackSetting.objects.create(affiliate=joe, event="order.created", url=url, send_as_typed=True)
    CallbackSetting.objects.create(affiliate=joe, event="order.updated", is_active=False, pause_reason="gone",
        url=f"https://looked-{long}.example/{long}?o=1")
    link = Link.objects.create(affiliate=joe, url="https://shop.example/?ref=lookedat&sub_id=" + long)
    Order.objects.create(number="#LOOKED-" + long, affiliate=joe, link=link, amount="58", currency="USD")
    shop = Shop.make("woocommerce", "Looked-" + long)
    Shop.make("shopify", "Looked Shopify")
    Shop.make("signed", "Looked till")
    Shop.objects.filter(pk=shop.pk).update(refused_count=2, last_refused_at=timezone.now(), domain=long + ".example")
    Coupon.objects.create(affiliate=joe, code="COUPON" + long)
    bought = Order.objects.create(number="#BOUGHT", shop=shop, external_id=long[:50], affiliate=joe, amount="58",
        currency="USD", subtotal="50", refunded="8", source="coupon", coupon=long, items=2, customer_is_new=True,
        is_self_referral=True, attribution=[
            {"source": "landing", "given": link.url, "affiliate": None, "decided": False, "reason": "unknown_referral"},
            {"source": "coupon", "given": long, "affiliate": "lookedat", "decided": True, "reason": ""}])
    Refund.objects.create(order=bought, external_id=long, amount="8")
    Order.objects.create(number="#2", shop=shop, external_id="2", amount="58", no_affiliate_reason="nothing_given")
    kept = {"id": 9, "status": "on-route", "landing": long * 4}
    Message.objects.create(shop=shop, topic="order.updated", external_id=long, order=bought, outcome="refused",
        reason="The currency BTC is not known. " + long, kept=kept)
    tune = CallbackSetting.objects.create(affiliate=joe, event="order.created", name="TUNE", url="http://127.0.0.1:1/?o=1")
    at = timezone.now()
    own = joe.orders.get(shop=None)
    told = Delivery.objects.create(setting=tune, order=own, event="order.created", status="succeeded", attempt_count=1,
        last_status_code=200, last_attempt_at=at, variables={"order.number": "#LOOKED-" + long})
    Attempt.objects.create(delivery=told, trigger="initial", method="GET", url="http://127.0.0.1:1/?o=1", created_at=at,
        status_code=200, detail="The tracker answered 200 OK.", response_excerpt="success=false;err_msg=no click")
    # Four attempts that are no longer kept, and a delivery that was skipped while its callback had paused itself.
    Delivery.objects.filter(pk=told.pk).update(attempt_count=5, request_id="a" * 32)
    EndpointHealth.objects.create(setting=tune, paused_at=at, resumed_at=at + timedelta(hours=1))
    Delivery.objects.create(setting=tune, order=told.order, event="order.created", status="skipped",
        skip_reason="paused", variables={"order.number": "#LOOKED"})
    webhook = CallbackSetting.objects.create(event="system", method="POST", body_format="json", url="http://127.0.0.1:1/")
    Delivery.objects.create(setting=webhook, event="system", status="failed", variables={"event": "queue.stuck"})
    Email.objects.create(subject="Postbacks fail", body="Postbacks fail.", path="/admin/", status="not_sent",
        created_at=at, due_at=at)
    Job.objects.create(kind="resend", words="Looked at", first=1, last=1, position=1, state="finished")
print("ids", json.dumps({
    "joe": joe.pk, "marta": Affiliate.objects.get(code="alone").pk, "link": joe.links.get().pk,
    "unused_link": joe.links.get().pk, "order": joe.orders.get(shop=None).pk,
    "delivery": joe.deliveries.earliest("pk").pk,
    "soft_failure": joe.deliveries.filter(status="succeeded").latest("pk").pk,
    "paused": joe.callback_settings.get(name="TUNE").pk,
    "shop": Shop.objects.get(kind="woocommerce", name__startswith="Looked").pk,
    "shopify": Shop.objects.get(name="Looked Shopify").pk, "till": Shop.objects.get(name="Looked till").pk,
    "message": Message.objects.get(topic="order.updated", external_id=long).pk,
    "bought": Order.objects.get(number="#BOUGHT").pk,
    "coupon": joe.coupons.get().pk,
    "webhook": CallbackSetting.objects.get(event="system").pk,
    "of_webhook": Delivery.objects.filter(event="system", variables__event="queue.stuck").first().pk,
    "job": Job.objects.get(words="Looked at").pk,
    "setting": joe.callback_settings.order_by("pk").first().pk,
    "token": ApiToken.objects.get(name__startswith="looked-at").pk,
    "clerk": User.objects.get(username__startswith="clerk").pk,
    "content_type": ContentType.objects.get_for_model(Delivery).pk,
}))
"""


@pytest.fixture(scope="session")
def there(stack: Installation) -> SimpleNamespace:
    """One of each in the running stack, each with its `pk`. Only addresses of the API have an `event_id`."""
    ids = json.loads(stack.manage("shell", code=ONE_OF_EACH).rpartition("ids ")[2])
    return SimpleNamespace(**{name: SimpleNamespace(pk=pk, event_id="") for name, pk in ids.items()})


# What a page asks for, but for what it asks later on, and the bytes of it as they are sent to somebody new.
ASKED_FOR = """() => Object.entries(Object.fromEntries(performance.getEntries()
  .filter(({ entryType, initiatorType }) => ["navigation", "resource"].includes(entryType) && initiatorType !== "fetch")
  .map(({ name, encodedBodySize }) => [name, encodedBodySize])))"""
REQUESTS, KIB = 7, 48  # page, style sheet, module, theme, mark, icons, and the arrow of a list of choices
CHARTS_KIB = 80


def too_heavy(page: Page) -> list[str]:
    asked = page.evaluate(ASKED_FOR)
    has_charts = any("chart.umd" in name for name, _ in asked)
    size = sum(size for _, size in asked) / 1024
    found = (
        [f"asks for {len(asked)} files: {[name for name, _ in asked]}"] if len(asked) > REQUESTS + has_charts else []
    )
    return found + ([f"is {size:.0f} KiB"] if size > KIB + has_charts * CHARTS_KIB else [])


def found_wrong(page: Page, stack: Installation, paths: list[str], html: Path | None = None) -> dict[str, list[str]]:
    """What is wrong with each page; with `html`, a folder, also what the Nu HTML checker says of them."""
    found = {}
    for number, path in enumerate(paths):
        answer = page.goto(stack.base_url + path)
        assert answer
        if wrong := [*([] if answer.ok else [f"answers {answer.status}"]), *faults(page), *too_heavy(page)]:
            found[path] = wrong
        if html:
            (html / f"{number}.html").write_text(answer.text(), "utf-8")
    for number, wrong in (nu_faults(html) if html else {}).items():
        found.setdefault(paths[int(number)], []).extend(wrong)
    return found


def pages_of(person: str, begin: str, there: SimpleNamespace) -> list[str]:
    routes = [route for route in seen_by(person) if route not in NO_PAGE and route.startswith(begin)]
    return [worlds.path_of(route, there) for route in routes if route != "admin/login/"]


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_every_page_of_the_admin_is_accessible_and_fits_its_window(
    merchant, stack, there, width, scheme, part, tmp_path
):
    look_like(merchant, width, scheme)
    paths = pages_of("administrator", "admin/", there) + pages_of("administrator", "portal/as/", there)
    assert len(paths) > 40
    deliveries = [f"/admin/callbacks/delivery/{pk}/change/" for pk in (there.soft_failure.pk, there.of_webhook.pk)]
    while_paused = [f"/admin/callbacks/delivery/{page}?while_paused={there.paused.pk}" for page in ("", "resend/")]
    shops = [
        f"/admin/orders/shop/{pk}/{tab}/" for pk in (there.shopify.pk, there.till.pk) for tab in ("secret", "rotate")
    ]
    bought = [f"/admin/orders/order/{there.bought.pk}/change/", "/admin/orders/order/?no_affiliate=nothing"]
    html = tmp_path if width == LOOKS[0][0] else None  # it is the same at every width
    every = [*paths, *STATES, *deliveries, *while_paused, *shops, *bought]
    assert found_wrong(merchant, stack, every[part::PARTS], html) == {}


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_pages_beside_the_admin_are_accessible_and_fit_their_window(browser_page, stack, width, scheme):
    look_like(browser_page, width, scheme)
    browser_page.goto(f"{stack.base_url}/admin/login/")
    assert faults(browser_page) == []
    sign_in(browser_page, stack)
    browser_page.goto(f"{stack.base_url}/admin/nothing-there/")
    assert faults(browser_page) == []
    browser_page.goto(f"{stack.base_url}/api/docs")
    browser_page.get_by_role("button", name="POST /api/orders").first.click()
    expect(browser_page.get_by_text("201", exact=True).first).to_be_visible()
    assert faults(browser_page) == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (390, "light")])
def test_every_page_that_support_may_open_is_accessible_and_fits_its_window(browser_page, stack, there, width, scheme):
    assert stack.support
    sign_in(browser_page, stack, stack.support)
    look_like(browser_page, width, scheme)
    assert found_wrong(browser_page, stack, pages_of("support", "admin/", there)) == {}
    browser_page.goto(f"{stack.base_url}/admin/auth/user/")
    expect(browser_page.get_by_role("heading", name="You are not allowed to do this")).to_be_visible()
    assert faults(browser_page) == []


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_every_page_of_the_portal_is_accessible_and_fits_its_window(
    browser_page, stack, there, width, scheme, tmp_path
):
    look_like(browser_page, width, scheme)
    browser_page.goto(f"{stack.base_url}/portal/")
    assert faults(browser_page) == []
    browser_page.get_by_label("E-mail").fill(PORTAL.username)
    browser_page.get_by_label("Password").fill(PORTAL.password)
    browser_page.get_by_role("button", name="Log in").click()
    expect(browser_page.get_by_role("heading", name="Your callbacks")).to_be_visible()
    if width < 500:  # the longer words in the narrower window
        browser_page.get_by_role("button", name="Español").click()
        expect(browser_page.get_by_role("heading", name="Tus callbacks")).to_be_visible()
    paths = pages_of("affiliate", "portal/", there)
    assert len(paths) > 2
    assert found_wrong(browser_page, stack, paths, tmp_path if width == LOOKS[0][0] else None) == {}


def test_support_sees_a_callback_without_its_buttons_and_resends(browser_page, stack, there):
    page = browser_page
    sign_in(page, stack, stack.support)
    expect(page.get_by_role("link", name="Users")).to_have_count(0)
    page.goto(f"{stack.base_url}/admin/affiliates/affiliate/{there.joe.pk}/settings/")
    row = page.locator("#order-created")
    expect(row.locator(".wire")).to_contain_text("http://127.0.0.1:1/")
    expect(row.get_by_role("button")).to_have_count(0)
    expect(row.get_by_role("link", name="Edit")).to_have_count(0)
    page.goto(f"{stack.base_url}/admin/callbacks/delivery/{there.delivery.pk}/change/")
    page.get_by_role("button", name="Resend").click()
    expect(page.get_by_role("status")).to_contain_text("Resent.")


def test_administrator_adds_a_merchant_and_makes_somebody_support(merchant, stack, there):
    page = merchant
    page.goto(f"{stack.base_url}/admin/auth/user/add/")
    name = f"max{uuid4().hex[:6]}"
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password", exact=True).fill(PORTAL.password)
    page.get_by_label("Repeat password").fill(PORTAL.password)
    page.get_by_role("button", name="Save", exact=True).click()
    summary = page.get_by_role("alert")
    expect(summary).to_be_focused()
    expect(summary.get_by_role("listitem")).to_have_text(["Role: This field is required."])
    assert faults(page) == []
    page.get_by_label("Merchant").check()
    for label in ("Password", "Repeat password"):
        page.get_by_label(label, exact=True).fill(PORTAL.password)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_label("Merchant")).to_be_checked()
    page.goto(f"{stack.base_url}/admin/auth/user/{there.clerk.pk}/change/")
    permissions = page.get_by_role("group", name="Permissions")
    expect(permissions).to_be_visible()
    page.get_by_label("Support").check()
    expect(permissions).to_be_hidden()
    page.get_by_label("Custom").check()
    expect(permissions).to_be_visible()
    page.get_by_label("Support").check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#result_list tr", has_text="clerk")).to_contain_text("Support")
