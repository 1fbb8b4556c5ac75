"""Whose an order is: the sources in their order, what they are noted to have said, and who has no affiliate and why."""

from typing import Any

import pytest

from affiliates.models import Affiliate, Coupon, Link
from callbacks.models import Delivery
from orders.intake.attribution import customer_hash
from orders.intake.incoming import IncomingOrder, Placed
from orders.intake.place import place
from orders.models import Order, Shop
from tests.factories import AffiliateFactory, callbacks_for

pytestmark = pytest.mark.django_db

JOES = "https://shop.example/p?ref=joe&sub_id=fb"


@pytest.fixture
def shop() -> Shop:
    return Shop.objects.create(kind=Shop.Kind.SHOPIFY, name="First", address="https://shop.example/en")


@pytest.fixture
def joe() -> Affiliate:
    affiliate = AffiliateFactory(code="joe", email="joe@tracker.example")
    Coupon.objects.create(affiliate=affiliate, code="JOE10")
    return affiliate


@pytest.fixture
def marta() -> Affiliate:
    affiliate = AffiliateFactory(code="marta")
    Coupon.objects.bulk_create(
        Coupon(affiliate=affiliate, code=code, folded=code.casefold()) for code in ("M1", "Straße")
    )
    return affiliate


def placed(shop: Shop | None, **fields: Any) -> Placed:
    fields = {"number": "#1", "amount": "10", "external_id": "11" if shop else ""} | fields
    return place(IncomingOrder(shop=shop, **fields))


def whose(order: Order) -> tuple[str | None, str | None, str, str]:
    """Affiliate, link, source and reason, as they are in the row."""
    order = Order.objects.get(pk=order.pk)
    code, url = order.affiliate and order.affiliate.code, order.link and order.link.url
    return code, url, order.source, order.no_affiliate_reason


def said_of(order: Order) -> list[tuple[str, str, str | None, bool, str]]:
    order = Order.objects.get(pk=order.pk)
    return [
        tuple(entry[name] for name in ("source", "given", "affiliate", "decided", "reason"))
        for entry in order.attribution
    ]


# --- the sources in their order --------------------------------------------------
@pytest.mark.parametrize(
    ("first", "given", "expected"),
    [
        ("link", {"cart_link": JOES, "landing": "/?ref=marta", "coupons": ("M1",)}, ("joe", JOES, "link", "")),
        ("link", {"landing": "/?ref=marta"}, ("marta", "https://shop.example/?ref=marta", "link", "")),
        ("link", {"landing": JOES, "coupons": ("m1",)}, ("joe", JOES, "link", "")),
        ("coupon", {"landing": JOES, "coupons": ("m1",)}, ("marta", None, "coupon", "")),
        ("coupon", {"landing": JOES, "coupons": (" joe10 ",)}, ("joe", JOES, "coupon", "")),
        ("coupon", {"landing": JOES, "coupons": ("WELCOME",)}, ("joe", JOES, "link", "")),
        ("link", {"landing": "/p", "coupons": ("X", "STRASSE", "JOE10")}, ("marta", None, "coupon", "")),
        ("link", {"landing": "/?ref=nobody", "coupons": ("JOE10",)}, ("joe", None, "coupon", "")),
        ("link", {"cart_link": "https://shop.example/", "landing": JOES}, ("joe", JOES, "link", "")),
        ("coupon", {"affiliate_code": "JOE", "landing": "/?ref=marta", "coupons": ("M1",)}, ("joe", None, "api", "")),
        ("coupon", {"affiliate_code": "who", "landing": JOES, "coupons": ("x",)}, ("joe", JOES, "link", "")),
    ],
)  # fmt: skip
def test_attribution_first_source_that_names_somebody_decides(
    shop: Shop, joe: Affiliate, marta: Affiliate, first: str, given: dict[str, Any], expected: tuple[str | None, ...]
) -> None:
    shop.first = first
    assert whose(placed(shop, **given).order) == expected
    assert Link.objects.count() == (expected[1] is not None)


def test_attribution_notes_what_the_others_said(shop: Shop, joe: Affiliate, marta: Affiliate) -> None:
    order = placed(shop, cart_link="https://shop.example/?ref=who", landing=JOES, coupons=("M1", "WELCOME", "m1")).order
    assert said_of(order) == [
        ("cart", "https://shop.example/?ref=who", None, False, "unknown_referral"),
        ("landing", JOES, "joe", True, ""),
        ("coupon", "M1", "marta", False, ""),
        ("coupon", "WELCOME", None, False, "unknown_coupon"),
    ]
    assert order.coupon == "M1,WELCOME,m1"


@pytest.mark.parametrize(
    ("landing", "url"),
    [
        ("/products/sign?fbclid=x&ref=joe", "https://shop.example/products/sign?fbclid=x&ref=joe"),
        ("?ref=joe", "https://shop.example/?ref=joe"),
        ("/?ref=JOE&sub_id=a%26b", "https://shop.example/?ref=JOE&sub_id=a%26b"),
        ("/?ref=joe&ref=marta", "https://shop.example/?ref=joe&ref=marta"),
        ("https://shop.example/a b?ref=joe", "https://shop.example/a%20b?ref=joe"),
        ("/p?x=" + "a" * 5000 + "&ref=joe&sub_id=fb", "https://shop.example/p?ref=joe&sub_id=fb"),
        ("/cart/123:1?ref=joe", "https://shop.example/cart/123:1?ref=joe"),
        ("javascript:alert(1)?ref=joe", None),
    ],
)
def test_attribution_landing_page_is_a_link_of_the_shops_address(
    shop: Shop, joe: Affiliate, marta: Affiliate, landing: str, url: str | None
) -> None:
    assert whose(placed(shop, landing=landing).order) == ("joe", url, "link", "")


def test_attribution_landing_path_without_an_address_is_of_the_domain_or_stays_a_path(joe: Affiliate) -> None:
    shop = Shop.objects.create(kind=Shop.Kind.SHOPIFY, name="First")
    assert whose(placed(shop, landing="/?ref=joe").order)[1] == "/?ref=joe"
    shop.domain = "first.myshopify.example"
    url = "https://first.myshopify.example/?ref=joe"
    assert whose(placed(shop, number="#2", external_id="12", landing="/?ref=joe").order)[1] == url


@pytest.mark.parametrize(
    ("landing", "given"),
    [
        ("/wallets/checkouts.json", ["https://shop.example/wallets/checkouts.json"]),
        ("/cart/c/x?key=y&ref=joe", ["https://shop.example/cart/c/x"]),
        ("/en-us/checkouts/cn/1?ref=joe", ["https://shop.example/en-us/checkouts/cn/1"]),
        ("/12345/checkouts/1?ref=joe", ["https://shop.example/12345/checkouts/1"]),
        ("https://shop.example/p?email=me@customer.example#top", ["https://shop.example/p"]),
        ("", []),
        (None, []),
    ],
)
def test_attribution_landing_page_without_referral_says_nothing_and_makes_no_link(
    shop: Shop, joe: Affiliate, landing: str | None, given: list[str]
) -> None:
    order = placed(shop, landing=landing).order
    assert whose(order) == (None, None, "", "nothing_given")
    assert [entry[1] for entry in said_of(order)] == given if given else order.attribution is None
    assert not Link.objects.exists()


@pytest.mark.parametrize(
    ("given", "reason", "kept"),
    [
        ({"landing": "/?ref=who", "coupons": ("X",)}, "unknown_referral", "https://shop.example/?ref=who"),
        ({"landing": "/p", "coupons": ("X", "Y")}, "unknown_coupon", "X"),
        ({"affiliate_code": "who"}, "unknown_affiliate", "who"),
        ({"link": "x y"}, "link_has_space", "x%20y"),
    ],
)
def test_attribution_order_of_nobody_keeps_the_reason_and_what_was_given(
    shop: Shop, given: dict[str, Any], reason: str, kept: str
) -> None:
    result = placed(shop, **given)
    assert [warning.code for warning in result.warnings] == [reason]
    order = Order.objects.get()
    assert (order.no_affiliate_reason, order.referral_given) == (reason, kept)


def test_attribution_order_of_no_shop_with_nothing_given_has_no_reason() -> None:
    result = placed(None, source=Order.Source.API)
    assert (whose(result.order), result.warnings) == ((None, None, "api", ""), ())
    assert placed(Shop.objects.create(kind="signed", name="Own"), number="#2").warnings == ()


@pytest.mark.parametrize("code", ["a\0b", "\ud800", "x" * 5000, " ", "=1+1"])
def test_attribution_coupon_of_any_text_refuses_nothing(shop: Shop, joe: Affiliate, code: str) -> None:
    order = placed(shop, coupons=(code, "JOE10")).order
    assert whose(order)[0] == "joe"
    assert order.coupon.endswith("JOE10") or len(code) == 5000


def test_attribution_coupons_are_kept_as_whole_codes(shop: Shop) -> None:
    assert placed(shop, coupons=("a" * 200, "b" * 54, "c")).order.coupon == "a" * 200 + "," + "b" * 54


# --- later ------------------------------------------------------------------------
@pytest.mark.parametrize("given", [{"landing": "/?ref=joe&sub_id=fb"}, {"coupons": ("JOE10",)}])
def test_attribution_equal_message_again_gives_the_order_to_who_was_created_later(
    shop: Shop, given: dict[str, Any]
) -> None:
    order = placed(shop, **given).order
    joe = AffiliateFactory(code="joe")
    Coupon.objects.create(affiliate=joe, code="joe10")
    callbacks_for(joe, "https://tracker.example/")
    result = placed(shop, **given)
    assert (result.is_changed, result.order.affiliate) == (True, joe)
    assert [delivery.event for delivery in Delivery.objects.all()] == ["order.created"]
    assert whose(order)[3] == ""
    assert not placed(shop, **given).is_changed


def test_attribution_person_gives_the_affiliate_and_the_link_that_came_is_theirs(shop: Shop) -> None:
    order = placed(shop, landing="/?ref=typo&sub_id=fb").order
    order.affiliate = AffiliateFactory(code="joe")
    order.save()
    assert whose(order)[1] == "https://shop.example/?ref=typo&sub_id=fb"


def test_attribution_same_message_leaves_an_order_whose_coupon_is_anothers_now(
    shop: Shop, joe: Affiliate, marta: Affiliate
) -> None:
    order = placed(shop, coupons=("JOE10",)).order
    Coupon.objects.filter(code="JOE10").update(affiliate=marta)
    placed(shop, coupons=("JOE10",), status="approved")
    assert whose(order)[0] == "joe"
    placed(shop, number="#2", external_id="12", coupons=("JOE10",))
    assert Order.objects.get(number="#2").affiliate == marta


def test_attribution_source_that_comes_later_decides_by_the_same_rule(
    shop: Shop, joe: Affiliate, marta: Affiliate
) -> None:
    order = placed(shop, coupons=("M1",)).order
    placed(shop, coupons=("M1",), landing=JOES)
    assert whose(order) == ("joe", JOES, "link", "")
    placed(shop, landing="", status="approved")
    assert whose(order) == ("joe", JOES, "link", "")
    placed(shop, affiliate_code="marta", source=Order.Source.API)
    assert whose(order) == ("marta", None, "api", "")
    assert [(source, decided) for source, _, _, decided, _ in said_of(order)] == [
        ("landing", False),
        ("coupon", False),
        ("affiliate", True),
    ]


def test_attribution_outright_naming_and_clearing_is_not_undone_by_the_shop(
    shop: Shop, joe: Affiliate, marta: Affiliate
) -> None:
    order = placed(shop, landing=JOES).order
    for code, whom in (("marta", "marta"), ("", None)):
        placed(shop, affiliate_code=code, source=Order.Source.API)
        placed(shop, landing=JOES + "&new=1", coupons=("JOE10",))
        assert whose(order) == (whom, None, "api", "")


# --- the customer is the affiliate --------------------------------------------------
def test_customer_hash_is_of_the_address_whatever_its_spelling(settings: Any) -> None:
    own = customer_hash("joe@tracker.example")
    assert customer_hash(" JOE@Tracker.Example\n") == customer_hash("\uff4aoe@tracker.example") == own
    assert (customer_hash(" "), len(own)) == ("", 64)
    assert customer_hash("\ud800") != own
    settings.SECRET_KEY = "another"
    assert customer_hash("joe@tracker.example") != own


@pytest.mark.parametrize("given", [{"landing": JOES}, {"coupons": ("JOE10",)}, {"affiliate_code": "joe"}])
def test_attribution_self_referral_is_flagged_or_left_out(shop: Shop, joe: Affiliate, given: dict[str, Any]) -> None:
    given |= {"customer": customer_hash("Joe@tracker.example")}
    order = placed(shop, **given).order
    assert (whose(order)[0], order.is_self_referral) == ("joe", True)
    shop.leaves_out_self_referrals = True
    placed(shop, **given)
    assert whose(order)[0] == "joe"  # it was known
    second = placed(shop, number="#2", external_id="12", **given).order
    assert (whose(second), second.is_self_referral) == ((None, None, "", "self_referral"), True)
    assert [reason for *_, reason in said_of(second)] == ["self_referral"]
    shop.leaves_out_self_referrals = False
    placed(shop, number="#2", external_id="12", **given)
    assert whose(second)[0] == "joe"


def test_attribution_other_customer_is_no_self_referral(shop: Shop, joe: Affiliate) -> None:
    shop.leaves_out_self_referrals = True
    assert not placed(shop, landing=JOES, customer=customer_hash("you@tracker.example")).order.is_self_referral


def test_attribution_customer_that_becomes_known_later_is_left_out_then(shop: Shop, joe: Affiliate) -> None:
    shop.leaves_out_self_referrals = True
    order = placed(shop, landing=JOES).order
    placed(shop, landing=JOES, customer=customer_hash(joe.email))
    assert whose(order) == (None, None, "", "self_referral")
    assert Order.objects.get().referral_given == JOES
