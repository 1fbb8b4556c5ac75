from typing import Any

import pytest
from django.core.exceptions import ValidationError

from affiliates.models import Affiliate, Link
from orders.intake.place import Placed, place, resolve_link
from orders.models import Order
from tests.factories import AffiliateFactory, LinkFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def joe() -> Affiliate:
    return AffiliateFactory(code="joe", name="Joe")


def code_of(affiliate: Affiliate | None, url: str) -> str | None:
    with pytest.raises(ValidationError) as caught:
        resolve_link(affiliate, url)
    return caught.value.code


def test_resolve_link_new_url_makes_the_link_of_the_affiliate_it_names(joe: Affiliate) -> None:
    url = "https://shop.example/p?ref=joe&sub_id=fb#top"
    owner, link = resolve_link(None, f"  {url} ")
    assert owner == joe
    assert link is not None
    assert (link.affiliate, link.url) == (joe, url)


def test_resolve_link_known_url_finds_the_same_link(joe: Affiliate) -> None:
    link = LinkFactory(affiliate=joe, url="https://shop.example/?ref=joe")
    assert resolve_link(joe, link.url) == (joe, link)
    assert Link.objects.count() == 1


def test_resolve_link_of_a_chosen_affiliate_needs_no_parameter(joe: Affiliate) -> None:
    _, link = resolve_link(joe, "https://shop.example/landing")
    assert link is not None
    assert link.affiliate == joe


def test_resolve_link_empty_is_no_link(joe: Affiliate) -> None:
    assert resolve_link(joe, " ") == (joe, None)


def test_resolve_link_parameter_of_another_name_is_configurable(joe: Affiliate, settings: Any) -> None:
    settings.REFERRAL_PARAMETER = "aff"
    assert resolve_link(None, "https://shop.example/?aff=joe")[0] == joe


@pytest.mark.parametrize(
    "url",
    ["shop", "ftp://shop.example/?ref=joe", "https://", "https://shop.example/?ref=joe&x=\0", "javascript:alert(1)",
     "https://shop.example/?ref=joe&" + "x" * 2000, "https://shop.example/?ref=joe&x=\ud800", "http://[::1/?ref=joe"],
)  # fmt: skip
def test_resolve_link_that_is_no_url_is_refused(joe: Affiliate, url: str) -> None:
    assert code_of(joe, url) == "bad_link"
    assert code_of(None, url) == "bad_link"
    assert not Link.objects.exists()


def test_resolve_link_naming_another_affiliate_is_refused(joe: Affiliate) -> None:
    assert code_of(AffiliateFactory(), "https://shop.example/?ref=joe") == "link_of_another_affiliate"


@pytest.mark.parametrize("url", ["https://shop.example/?ref=nobody", "https://shop.example/"])
def test_resolve_link_naming_nobody_is_refused(joe: Affiliate, url: str) -> None:
    assert code_of(None, url) == "unknown_referral"


def placed_with(number: str = "#1", affiliate: str | None = None, link: str | None = None, **fields: Any) -> Placed:
    return place(number, fields, affiliate_code=affiliate, link_url=link)


def test_place_new_order_through_a_link_belongs_to_its_affiliate(joe: Affiliate) -> None:
    placed = placed_with(amount="58.00", currency="usd", link="https://shop.example/?ref=joe")
    order = Order.objects.get()
    assert placed == Placed(order, is_new=True)
    assert (order.affiliate, order.link, order.currency) == (joe, Link.objects.get(), "USD")


def test_place_same_order_again_changes_what_is_named_and_nothing_else(joe: Affiliate) -> None:
    placed_with(amount="58.00", affiliate="joe", link="https://shop.example/?ref=joe")
    placed = placed_with(status="approved")
    order = Order.objects.get()
    assert not placed.is_new
    assert (order.status, order.amount, order.affiliate, order.link) == ("approved", 58, joe, Link.objects.get())


def test_place_affiliate_cleared_is_nobodys_order(joe: Affiliate) -> None:
    placed_with(amount="58.00", affiliate="joe")
    placed_with(affiliate="")
    assert Order.objects.get().affiliate is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"amount": ["null"]}),
        ({"amount": "NaN"}, {"amount": ["invalid"]}),
        ({"amount": "1" * 30}, {"amount": ["max_digits"]}),
        ({"amount": "1", "currency": "XYZ"}, {"currency": ["unknown_currency"]}),
        ({"amount": "1", "affiliate": "nobody"}, {"affiliate": ["unknown_affiliate"]}),
        ({"amount": "1", "link": "nonsense"}, {"link": ["bad_link"]}),
        ({"amount": "x", "link": "nonsense"}, {"amount": ["invalid"], "link": ["bad_link"]}),
    ],
)
def test_place_bad_fields_are_refused_together(given: dict[str, str], expected: dict[str, list[str]]) -> None:
    with pytest.raises(ValidationError) as caught:
        placed_with(**given)
    assert {name: [e.code for e in errors] for name, errors in caught.value.error_dict.items()} == expected
    assert not Order.objects.exists()
