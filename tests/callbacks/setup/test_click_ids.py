"""Which variable holds the click id in an affiliate's links, and what is said where it would be empty."""

import pytest
from django.test import Client

from affiliates.models import Affiliate
from callbacks.models import CallbackSetting
from callbacks.setup import click_ids, diagnosis
from tests.callbacks.panel import check, of
from tests.factories import AffiliateFactory, LinkFactory, OrderFactory

pytestmark = pytest.mark.django_db

VOLUUM = "https://joe.voluumtrk.com/postback?cid=REPLACE"


def ordered(affiliate: Affiliate, *queries: str) -> None:
    """An order through a link of each of these queries, the first the oldest."""
    for query in queries:
        url = f"https://shop.example/?ref={affiliate.code}{query}"
        link = affiliate.links.filter(url=url).first() or LinkFactory(affiliate=affiliate, url=url)
        OrderFactory(affiliate=affiliate, link=link)


@pytest.mark.parametrize(
    ("queries", "expected"),
    [
        ((), "link.sub_id"),
        (("",), "link.sub_id"),
        (("&sub_id=a",), "link.sub_id"),
        (("&subid=a&clickid=b",), "link.sub_id"),
        (("&clickid=a", "&sub_id=b"), "link.sub_id"),
        (("&utm_source=a&clickid=b",), "link.query.clickid"),
        (("&sub_id=&click_id=b",), "link.query.click_id"),
        (("&clickid=a", "&click_id=b", "&click_id=c"), "link.query.click_id"),
        (("&clickid=",), "link.sub_id"),
        (("&utm_source=a",), "link.sub_id"),
    ],
)
def test_variable_is_what_the_links_have(joe: Affiliate, queries: tuple[str, ...], expected: str) -> None:
    ordered(joe, *queries)
    assert click_ids.variable(click_ids.latest(joe.pk)) == expected


def test_latest_leaves_out_other_affiliates_orders_without_a_link_and_old_ones(joe: Affiliate) -> None:
    ordered(AffiliateFactory(code="ann"), "&sub_id=a")
    OrderFactory(affiliate=joe, link=None)
    ordered(joe, *["&sub_id=old"] * 2, *["&clickid=new"] * click_ids.LATEST)
    links = click_ids.latest(joe.pk)
    assert [link.query["clickid"] for link in links] == ["new"] * click_ids.LATEST
    assert click_ids.latest(None) == []


def test_suggestion_is_the_parameter_that_the_links_have(joe: Affiliate) -> None:
    ordered(joe, "&clickid=a")
    found = diagnosis.of(CallbackSetting(affiliate=joe, event="order.created", url=VOLUUM))
    assert [correction.suggestion for correction in found.corrections] == ["{{link.query.clickid}}"]
    assert found.template == "https://joe.voluumtrk.com/postback?cid={{link.query.clickid}}"
    assert found.warnings == ()


def test_suggestion_taken_is_the_one_that_was_shown(joe: Affiliate, admin_client: Client) -> None:
    ordered(joe, "&clickid=a")
    for pressed in ({"correct": ""}, {"take": str(VOLUUM.index("REPLACE"))}):
        page = admin_client.post(of(joe), {"method": "GET", "url": VOLUUM} | pressed).content.decode()
        assert "postback?cid={{link.query.clickid}}" in page


def test_sub_id_that_some_links_lack_is_warned_of_beside_the_url(joe: Affiliate, admin_client: Client) -> None:
    ordered(joe, "&sub_id=a", "&clickid=b", "&clickid=c")
    said = check(admin_client, joe, "https://t.example/?cid={{link.sub_id}}")
    assert 'data-code="click_id_empty"' in said
    assert "The links of 2 of the latest 3 orders have no sub_id, so this variable is empty there." in said
    assert "Use {{link.query.clickid}}, which these links have." in said


@pytest.mark.parametrize("url", ["https://t.example/?cid={{link.query.clickid}}", "https://t.example/?cid="])
def test_url_without_sub_id_is_not_warned_of(joe: Affiliate, url: str) -> None:
    ordered(joe, "&clickid=b")
    found = diagnosis.of(CallbackSetting(affiliate=joe, event="order.created", url=url))
    assert "click_id_empty" not in {warning.code for warning in found.warnings}
