"""All Affiliates, and the tabs of a profile."""

import re
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from affiliates.models import Affiliate
from affiliates.profile.facts import Facts, facts_of
from callbacks.models import CallbackSetting, Delivery
from tests.factories import (
    AffiliateFactory,
    CallbackSettingFactory,
    LinkFactory,
    OrderFactory,
    callbacks_for,
    client_with,
)
from tests.queries import assert_same_queries

pytestmark = pytest.mark.django_db

LIST = "/admin/affiliates/affiliate/"
URL = "https://tracker.example/postback?order={{order.number}}&cid={{link.sub_id}}"


def of(affiliate: Affiliate, rest: str = "change/") -> str:
    return f"{LIST}{affiliate.pk}/{rest}"


def attempted(setting: CallbackSetting, kind: str = "", status: str = "succeeded", **fields: Any) -> Delivery:
    fields = {"status": status, "last_attempt_at": timezone.now(), "last_error_kind": kind, "attempt_count": 1} | fields
    return Delivery.objects.create(setting=setting, event=setting.event, **fields)


def listed(client: Client, query: str = "") -> list[str]:
    """The codes of the affiliates in the list."""
    return [affiliate.code for affiliate in client.get(LIST + query).context["cl"].result_list]


# --- All Affiliates ------------------------------------------------------------
def test_list_row_says_orders_callbacks_and_health(admin_client: Client) -> None:
    joe = AffiliateFactory(name="Joe", code="joe", email="joe@blog.example")
    OrderFactory.create_batch(3, affiliate=joe)
    for setting in callbacks_for(joe, URL):
        attempted(setting)
    page = admin_client.get(LIST)
    (row,) = page.context["cl"].result_list
    assert (row.order_count, row.callback_count, row.health) == (3, 2, "working")
    text = page.content.decode()
    for expected in ("All Affiliates", of(joe), "joe@blog.example", "2 of 2", "Working", "Approved"):
        assert expected in text


def test_list_health_is_failing_if_one_callback_fails_now(admin_client: Client) -> None:
    created, updated = callbacks_for(AffiliateFactory(code="half"), URL)
    attempted(created, "status", "failed")
    attempted(created)  # it answers again
    attempted(updated, "timeout", "failed")
    AffiliateFactory(code="none")
    (better, _) = callbacks_for(AffiliateFactory(code="well"), URL)
    attempted(better, "status", "failed")
    attempted(better)
    health = {row.code: row.health for row in admin_client.get(LIST).context["cl"].result_list}
    assert health == {"half": "failing", "none": "silent", "well": "working"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?q=coffee", ["joe"]),
        ("?q=MARTA%40deals", ["marta"]),
        ("?q=mar", ["marta"]),
        ("?q=nobody", []),
        ("?status__exact=blocked", ["marta"]),
        ("?callbacks=2", ["marta"]),
        ("?callbacks=0", ["joe"]),
        ("?callbacks=9", ["joe", "marta"]),
        ("?health=failing", ["marta"]),
        ("?health=silent", ["joe"]),
    ],
)
def test_list_search_and_filters_find(admin_client: Client, query: str, expected: list[str]) -> None:
    AffiliateFactory(name="Coffee Blog", code="joe", email="joe@blog.example")
    marta = AffiliateFactory(name="Deals", code="marta", email="marta@deals.example", status="blocked")
    attempted(callbacks_for(marta, URL)[0], "dns", "failed")
    assert sorted(listed(admin_client, query)) == expected


def test_list_takes_as_many_queries_for_thirty_as_for_one(admin_client: Client) -> None:
    def add() -> None:
        affiliate = AffiliateFactory()
        OrderFactory(affiliate=affiliate)
        attempted(callbacks_for(affiliate, URL)[0])

    assert_same_queries(lambda: admin_client.get(LIST), add)
    assert len(listed(admin_client)) == 30


# --- the profile ---------------------------------------------------------------
@pytest.mark.parametrize("tab", ["change/", "links/", "orders/", "settings/"])
def test_profile_tab_shows_who_it_is_and_all_tabs(admin_client: Client, tab: str) -> None:
    affiliate = AffiliateFactory(name="Reyes Media", code="reyes", email="partners@reyes.example")
    text = admin_client.get(of(affiliate, tab)).content.decode()
    for expected in ("Reyes Media", ">RM<", "reyes", "partners@reyes.example", "Approved"):
        assert expected in text
    for other in ("change/", "links/", "orders/", "settings/"):
        assert f'href="{of(affiliate, other)}"{" aria-current=" if other == tab else ">"}' in text


@pytest.mark.parametrize("tab", ["links/", "orders/", "settings/", "settings/portal/", "settings/portal/off/"])
def test_profile_tab_of_nobody_is_not_found(admin_client: Client, tab: str) -> None:
    assert admin_client.get(f"{LIST}999999/{tab}").status_code == 404


@pytest.mark.parametrize("tab", ["change/", "links/", "orders/", "settings/", "settings/portal/"])
def test_profile_tab_is_for_staff_with_the_permission(client: Client, tab: str) -> None:
    affiliate = AffiliateFactory()
    assert client.get(of(affiliate, tab)).headers["Location"].startswith("/admin/login/")
    assert client_with("view_order").get(of(affiliate, tab)).status_code == 403


def test_profile_of_viewer_offers_no_change() -> None:
    affiliate, client = AffiliateFactory(), client_with("view_affiliate")
    CallbackSettingFactory(affiliate=affiliate)
    text = client.get(of(affiliate, "settings/")).content.decode()
    for offered in ("Edit", "Set up", "Pause", "Delete", "Set password", "Change<"):
        assert offered not in text
    assert client.get(of(affiliate, "settings/portal/")).status_code == 403
    assert client.post(of(affiliate, "settings/portal/off/")).status_code == 403


def test_profile_form_saves_and_keeps_the_name_in_its_head_when_refused(admin_client: Client) -> None:
    affiliate = AffiliateFactory(name="Old", code="old")
    AffiliateFactory(code="taken")
    fields = {"name": "New", "email": "new@e.example", "code": "new", "status": "blocked", "commission_rate": "20"}
    page = admin_client.post(of(affiliate), fields | {"code": "taken"})
    assert "Another affiliate already has this code." in page.content.decode()
    assert page.context["subtitle"] == "Old"
    assert admin_client.post(of(affiliate), fields).status_code == 302
    affiliate.refresh_from_db()
    assert (affiliate.name, affiliate.commission_rate, affiliate.status) == ("New", Decimal("0.2"), "blocked")


def kept_by(what: str) -> Affiliate:
    """An affiliate who cannot be deleted, because of an order or of a delivery."""
    affiliate = AffiliateFactory(name="Joe")
    if what == "orders":
        OrderFactory(affiliate=affiliate)
    else:
        attempted(CallbackSettingFactory(affiliate=affiliate))
    return affiliate


@pytest.mark.parametrize("what", ["orders", "deliveries"])
def test_affiliate_who_cannot_be_deleted_is_blocked_instead(admin_client: Client, what: str) -> None:
    affiliate = kept_by(what)
    path = of(affiliate, "delete/")
    assert "Block instead</button>" in admin_client.get(path).content.decode()
    answer = admin_client.post(path, {"_block": "yes"}, follow=True)
    assert answer.redirect_chain == [(of(affiliate), 302)]
    assert "Joe is blocked." in answer.content.decode()
    affiliate.refresh_from_db()
    assert affiliate.status == "blocked"
    assert [entry.change_message for entry in LogEntry.objects.all()] == ["Status: Approved → Blocked."]
    assert "Already blocked." in admin_client.get(path).content.decode()


@pytest.mark.parametrize("pressed", ["_block", "post"])
def test_affiliate_whom_somebody_deleted_meanwhile_is_said_not_to_exist(admin_client: Client, pressed: str) -> None:
    answer = admin_client.post(f"{LIST}4242/delete/", {pressed: "yes"}, follow=True)
    assert answer.redirect_chain == [("/admin/", 302)]
    assert "exist" in answer.content.decode()


def test_affiliates_who_cannot_be_deleted_are_blocked_instead(admin_client: Client) -> None:
    picked = [kept_by(what).pk for what in ("orders", "deliveries")] + [AffiliateFactory().pk]
    asked = admin_client.post(LIST, {"action": "delete_selected", "_selected_action": picked}).content.decode()
    assert 'name="action" value="block"' in asked
    assert sorted(int(pk) for pk in re.findall(r'name="_selected_action" value="(\d+)"', asked)) == picked
    answer = admin_client.post(LIST, {"action": "block", "_selected_action": picked}, follow=True)
    assert "3 affiliates are blocked." in answer.content.decode()
    assert set(Affiliate.objects.values_list("status", flat=True)) == {"blocked"}


def test_nobody_is_blocked_without_the_permission() -> None:
    affiliate = kept_by("orders")
    client = client_with("view_affiliate", "delete_affiliate")
    assert "Block instead</button>" not in client.get(of(affiliate, "delete/")).content.decode()
    assert client.post(of(affiliate, "delete/"), {"_block": "yes"}).status_code == 403
    client.post(LIST, {"action": "block", "_selected_action": [affiliate.pk]})
    affiliate.refresh_from_db()
    assert affiliate.status == "approved"


def test_facts_count_orders_earnings_by_currency_and_deliveries() -> None:
    affiliate = AffiliateFactory(commission_rate=Decimal("0.1"))
    OrderFactory(affiliate=affiliate, amount=Decimal(100))
    OrderFactory(affiliate=affiliate, amount=Decimal(50), status="rejected")
    OrderFactory(affiliate=affiliate, amount=Decimal(1000), currency="JPY")
    setting = CallbackSettingFactory(affiliate=affiliate)
    for _ in range(2):
        attempted(setting)
    attempted(setting, "status", "failed")
    Delivery.objects.create(setting=setting, event="order.created", status="skipped", skip_reason="paused")
    facts = facts_of(affiliate)
    assert facts.orders == 3
    assert [(earned.amount, earned.currency) for earned in facts.commissions] == [(10, "USD"), (100, "JPY")]
    assert facts.delivered == pytest.approx(200 / 3)


def test_facts_of_a_new_affiliate_are_empty() -> None:
    assert facts_of(AffiliateFactory()) == Facts(0, (), None)


def test_facts_share_is_never_rounded_up_to_all(admin_client: Client) -> None:
    setting = CallbackSettingFactory()
    Delivery.objects.bulk_create(
        Delivery(setting=setting, affiliate=setting.affiliate, event="order.created", status=status, attempt_count=1)
        for status in ["succeeded"] * 1999 + ["failed"]
    )
    assert "<dd>99.9\N{NO-BREAK SPACE}%</dd>" in admin_client.get(of(setting.affiliate, "settings/")).content.decode()
    Delivery.objects.filter(status="failed").delete()
    assert "<dd>100\N{NO-BREAK SPACE}%</dd>" in admin_client.get(of(setting.affiliate, "settings/")).content.decode()


def test_links_tab_lists_links_with_their_orders(admin_client: Client) -> None:
    affiliate = AffiliateFactory(code="joe")
    assert "No links yet" in admin_client.get(of(affiliate, "links/")).content.decode()
    link = LinkFactory(affiliate=affiliate, url="https://shop.example/?ref=joe&sub_id=fb-77")
    OrderFactory.create_batch(2, affiliate=affiliate, link=link)
    (row,) = admin_client.get(of(affiliate, "links/")).context["page"]
    assert (row.url, row.order_count) == (link.url, 2)
    assert "fb-77</td>" in admin_client.get(of(affiliate, "links/")).content.decode()


def test_orders_tab_lists_own_orders_in_pages(admin_client: Client) -> None:
    affiliate = AffiliateFactory()
    assert "No orders yet" in admin_client.get(of(affiliate, "orders/")).content.decode()
    OrderFactory.create_batch(30, affiliate=affiliate)
    OrderFactory(number="somebody-elses")
    pages = [admin_client.get(of(affiliate, f"orders/?page={number}")) for number in (1, 2)]
    assert [len(page.context["page"]) for page in pages] == [25, 5]
    assert all("somebody-elses" not in page.content.decode() for page in pages)


def test_help_of_the_code_names_the_parameter_of_links_in_one_piece(admin_client: Client, settings: Any) -> None:
    settings.REFERRAL_PARAMETERS = ("aff", "via")
    assert "such as <code>?aff=joe</code>." in admin_client.get(f"{LIST}add/").content.decode()
