from typing import Any

import pytest
from django.core.exceptions import ValidationError

from affiliates.models import Affiliate, Link
from orders.intake.attribution import resolve_link
from orders.intake.incoming import IncomingOrder, Placed
from orders.intake.place import place
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


def test_resolve_link_parameters_of_other_names_are_configurable(joe: Affiliate, settings: Any) -> None:
    settings.REFERRAL_PARAMETERS = ("aff", "via")
    for query in ("aff=joe", "via=joe", "via=nobody&aff=joe", "aff=&via=joe", "ref=nobody&x=1#VIA=joe"):
        assert resolve_link(None, f"https://shop.example/?{query}")[0] == joe


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
    return place(IncomingOrder(number=number, affiliate_code=affiliate, link=link, **fields))


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


@pytest.mark.parametrize("nobody", ["", " "])
def test_place_affiliate_cleared_is_nobodys_order(joe: Affiliate, nobody: str) -> None:
    placed_with(amount="58.00", affiliate="joe", link="https://shop.example/?ref=joe")
    assert placed_with(affiliate=nobody).warnings == ()
    order = Order.objects.get()
    assert (order.affiliate, order.link, order.commission) == (None, None, 0)


def test_place_affiliate_cleared_beside_a_link_is_whom_the_link_names(joe: Affiliate) -> None:
    AffiliateFactory(code="marta")
    placed_with(amount="58.00", affiliate="marta")
    placed_with(affiliate="", link="https://shop.example/?ref=joe")
    assert Order.objects.get().affiliate == joe


# --- what is left out ----------------------------------------------------------
def codes_of(placed: Placed) -> list[tuple[str, str]]:
    return [(warning.field, warning.code) for warning in placed.warnings]


LONG = "https://shop.example/p/1?x=" + "a" * 1990 + "&ref=joe&y=2&sub_id=fb&click_id=9#top"


def test_place_link_too_long_keeps_what_matters_of_it(joe: Affiliate) -> None:
    for _again in range(2):
        placed = placed_with(amount="58.00", link=LONG)
        order = Order.objects.get()
        assert (order.affiliate, order.source, order.no_affiliate_reason) == (joe, "link", "")
        assert order.link.url == "https://shop.example/p/1?ref=joe&y=2&sub_id=fb&click_id=9"
        assert codes_of(placed) == [("link", "link_too_long")]


@pytest.mark.parametrize(
    ("link", "reason"),
    [(LONG.replace("joe", "nobody"), "unknown_referral"), ("javascript:" + LONG, "link_too_long")],
)
def test_place_link_too_long_that_cannot_be_used_is_left_out(joe: Affiliate, link: str, reason: str) -> None:
    placed = placed_with(amount="58.00", link=link)
    assert (placed.order.affiliate, placed.order.no_affiliate_reason) == (None, reason)
    assert codes_of(placed) == [("link", reason)]


@pytest.mark.parametrize(
    ("link", "stored"),
    [
        (LONG, "https://shop.example/p/1?ref=joe&y=2&sub_id=fb&click_id=9"),
        ("https://shop.example/a b?sub_id=fb", "https://shop.example/a%20b?sub_id=fb"),
        ("/p?sub_id=fb", "/p?sub_id=fb"),
        ("shop.example/?sub_id=fb", "https://shop.example/?sub_id=fb"),
        ("//shop.example/?sub_id=fb", "https://shop.example/?sub_id=fb"),
    ],
)
def test_place_link_of_a_named_affiliate_is_kept_as_far_as_it_can_be(joe: Affiliate, link: str, stored: str) -> None:
    placed = placed_with(amount="58.00", affiliate="joe", link=link)
    assert (placed.order.affiliate, placed.order.link.url) == (joe, stored)
    assert [field for field, _ in codes_of(placed)] == ["link"]


def test_place_bad_link_of_a_named_affiliate_is_left_out(joe: Affiliate) -> None:
    placed = placed_with(amount="58.00", affiliate="joe", link="javascript:alert(1)")
    assert (placed.order.affiliate, placed.order.link) == (joe, None)
    assert codes_of(placed) == [("link", "bad_link")]


def test_place_link_of_another_than_the_named_affiliate_is_left_out(joe: Affiliate) -> None:
    marta = AffiliateFactory(code="marta")
    placed = placed_with(amount="58.00", affiliate="marta", link="https://shop.example/?ref=joe")
    assert (placed.order.affiliate, placed.order.link) == (marta, None)
    assert codes_of(placed) == [("link", "link_of_another_affiliate")]


def test_place_order_given_to_another_affiliate_leaves_the_old_ones_link(joe: Affiliate) -> None:
    marta = AffiliateFactory(code="marta")
    placed_with(amount="58.00", link="https://shop.example/?ref=joe")
    placed = placed_with(affiliate="marta")
    assert (placed.order.affiliate, placed.order.link) == (marta, None)
    assert codes_of(placed) == [("link", "link_of_another_affiliate")]


def test_place_unknown_code_beside_a_good_link_is_left_out(joe: Affiliate) -> None:
    placed = placed_with(amount="58.00", affiliate="nobody", link="https://shop.example/?ref=joe")
    assert placed.order.affiliate == joe
    assert codes_of(placed) == [("affiliate", "unknown_affiliate")]


@pytest.mark.parametrize(
    "given", [{"affiliate": "nobody"}, {"link": "https://shop.example/x y?ref=marta"}, {"link": "x"}]
)
def test_place_change_that_names_nobody_leaves_the_affiliate(joe: Affiliate, given: dict[str, str]) -> None:
    AffiliateFactory(code="marta")
    placed_with(amount="58.00", link="https://shop.example/?ref=joe")
    placed = placed_with(status="approved", **given)
    assert (placed.order.affiliate, placed.order.link, placed.order.status) == (joe, Link.objects.get(), "approved")
    assert len(placed.warnings) == 1
    assert placed.order.no_affiliate_reason == ""


def test_place_affiliate_of_an_order_whose_link_names_another_does_not_get_that_link(joe: Affiliate) -> None:
    marta = AffiliateFactory(code="marta")
    placed_with(amount="58.00", link="https://shop.example/a b?ref=joe&sub_id=fb")
    placed = placed_with(affiliate="marta")
    assert (placed.order.affiliate, placed.order.link) == (marta, None)


def test_place_better_link_later_is_the_affiliates(joe: Affiliate) -> None:
    assert placed_with(amount="58.00", link="https://shop.example/?ref=nobody").order.affiliate is None
    placed = placed_with(link="https://shop.example/?ref=joe")
    assert (placed.order.affiliate, placed.warnings) == (joe, ())
    assert Order.objects.get().no_affiliate_reason == ""


def test_place_link_taken_back_leaves_no_reason(joe: Affiliate) -> None:
    placed_with(amount="58.00", link="https://shop.example/?ref=nobody")
    assert placed_with(link="").warnings == ()
    order = Order.objects.get()
    assert (order.no_affiliate_reason, order.referral_given) == ("", "")


@pytest.mark.parametrize(
    "link",
    ["https://shop.example/?ref=JOE", "https://shop.example/?ref=joe/", "https://shop.example/?ref=joe+",
     "https://shop.example/?ref=joe%20", "https://shop.example/?ref=joe%2F%3Fx",
     "https://shop.example/?x=1&amp;ref=joe",
     "https://shop.example/?ref=joe&amp;sub_id=fb", "https://shop.example/?x=1?ref=joe",
     "https://shop.example/#/p?ref=joe",
     "https://shop.example/#ref=joe", "https://shop.example/?REF=joe", "https://shop.example/?ref[]=joe", "https://shop.example/?ref=&ref=joe",
     "\u200bhttps://shop.example/?ref=joe\u00a0"],
)  # fmt: skip
def test_place_code_is_found_in_spite_of_what_sticks_to_it(joe: Affiliate, link: str) -> None:
    placed = placed_with(amount="58.00", link=link)
    assert (placed.order.affiliate, placed.warnings) == (joe, ())


# --- numbers -------------------------------------------------------------------
@pytest.mark.parametrize("number", ["#1 ", " #1", "#1\u00a0", "\u200b#1", "#1\u3000", "#1\ufeff", "#1\n", "\t#1\u2060"])
def test_place_number_with_blanks_at_its_ends_is_the_same_order(joe: Affiliate, number: str) -> None:
    placed_with("#1", amount="58.00")
    assert not placed_with(number, status="approved").is_new
    order = Order.objects.get()
    assert (order.number, order.status) == ("#1", "approved")


def test_place_number_of_a_row_from_before_is_found_and_stays(joe: Affiliate) -> None:
    placed_with("#1", amount="58.00")
    Order.objects.update(number="#1 ")
    assert not placed_with("#1 ", status="approved").is_new
    order = Order.objects.get()
    assert (order.number, order.status) == ("#1 ", "approved")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"amount": ["null"]}),
        ({"amount": "NaN"}, {"amount": ["invalid"]}),
        ({"amount": "1" * 30}, {"amount": ["max_digits"]}),
        ({"amount": "1", "currency": "XYZ"}, {"currency": ["unknown_currency"]}),
        ({"amount": "x", "commission": "y", "link": "nonsense"}, {"amount": ["invalid"], "commission": ["invalid"]}),
        ({"amount": "1", "number": ".."}, {"number": ["dots_only"]}),
    ],
)
def test_place_bad_fields_are_refused_together(given: dict[str, str], expected: dict[str, list[str]]) -> None:
    with pytest.raises(ValidationError) as caught:
        placed_with(**given)
    assert {name: [e.code for e in errors] for name, errors in caught.value.error_dict.items()} == expected
    assert not Order.objects.exists()
