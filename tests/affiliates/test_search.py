"""Finding the affiliate that was typed into a form, and suggesting some."""

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from affiliates import search
from affiliates.models import Affiliate
from tests.factories import AffiliateFactory, LinkFactory, OrderFactory
from tests.queries import assert_same_queries

pytestmark = pytest.mark.django_db
SUGGEST = "/admin/affiliates/affiliate/suggest/"


@pytest.fixture
def joe() -> Affiliate:
    return AffiliateFactory(name="Joe's Coffee Blog", code="joe", email="joe@blog.example")


@pytest.mark.parametrize(
    "text", ["joe", "Joe's Coffee Blog (joe)", "Joe's Coffee Blog", "joe's coffee blog", "Joe@blog.example"]
)
def test_identify_code_name_or_address_finds_the_affiliate(joe: Affiliate, text: str) -> None:
    AffiliateFactory(name="joe", code="other")
    assert search.identify(text) == joe


@pytest.mark.parametrize(
    ("text", "code", "named"),
    [
        ("Coffee", "unknown_affiliate", "Joe's Coffee Blog (joe)"),  # no guessing
        ("Somebody Else (joe)", "unknown_affiliate", ""),
        ("nobody", "unknown_affiliate", ""),
        ("Twin", "several_affiliates", "Twin (twin-1), Twin (twin-2)"),
    ],
)
def test_identify_none_or_several_is_refused(joe: Affiliate, text: str, code: str, named: str) -> None:
    for number in (1, 2):
        AffiliateFactory(name="Twin", code=f"twin-{number}")
    with pytest.raises(ValidationError) as refused:
        search.identify(text)
    assert refused.value.code == code
    assert named in refused.value.messages[0]


def test_identify_name_that_ends_like_a_label_is_a_name(joe: Affiliate) -> None:
    other = AffiliateFactory(name="Not (joe)", code="other")
    assert search.identify("Not (joe)") == other


def test_suggestions_contain_what_was_typed_and_are_few(admin_client: Client, joe: Affiliate) -> None:
    AffiliateFactory.create_batch(30)

    def found(text: str) -> list[str]:
        return list(admin_client.get(SUGGEST, {"q": text}).json()["found"])

    for text in ("coff", "JOE", "@blog", "Joe's Coffee Blog (joe)"):
        assert "Joe's Coffee Blog (joe)" in found(text)
    assert found("nobody") == []
    assert len(found("")) == search.MAX_SUGGESTED


def test_identify_code_in_other_case_finds_the_affiliate_if_it_is_the_only_one(joe: Affiliate) -> None:
    assert search.identify("JOE") == joe
    other = AffiliateFactory(code="Joe")
    with pytest.raises(ValidationError) as refused:
        search.identify("JOE")
    assert refused.value.code == "several_affiliates"
    assert search.identify("Joe") == other


@pytest.mark.parametrize("text", ["{}", "#{}", "0{}", "{}.0"])
def test_identify_number_is_a_code_or_a_name_and_never_a_primary_key(joe: Affiliate, text: str) -> None:
    typed = text.format(joe.pk)
    with pytest.raises(ValidationError) as refused:
        search.identify(typed)
    assert refused.value.code == "unknown_affiliate"
    other = AffiliateFactory(code=str(joe.pk), name=f"#{joe.pk}")
    assert search.identify(str(joe.pk)) == search.identify(f"#{joe.pk}") == other


# --- codes that came with an order ---------------------------------------------
@pytest.mark.parametrize(
    "text",
    ["zed", "ZED", "Zed", "zed/", "/zed", "zed+", "zed ", " zed", "zed%20", "zed%2F", "zed%252F", "zed%3Futm=1",
     "zed?x=1", "zed&amp;x", "zed#top",
     "zed,", "zed.", '"zed"', "\u201czed\u201d", "'zed'", "(zed)", "zed\u200b", "\ufeffzed", "z\u200bed",
     "zed\u00a0", "\uff5a\uff45\uff44",
     "zed%", "zed%2", "zed\\", "zed;", "zed|", "<zed>", "zed!", "zed%E2%80%8B", "zed%00", "zed\0", "zed=",
     "zed/landing"],
)  # fmt: skip
def test_by_code_finds_the_only_one_that_can_be_meant(text: str) -> None:
    AffiliateFactory(code="ze")
    AffiliateFactory(code="zeds")
    zed = AffiliateFactory(code="zed")
    assert search.by_code(text) == zed


@pytest.mark.parametrize(
    "text", ["j\u00fcrgen", "ju\u0308rgen", "J\u00dcRGEN", "JU\u0308RGEN", "j%C3%BCrgen", "ju%CC%88rgen/"]
)
def test_by_code_in_another_unicode_form_is_the_same_code(text: str) -> None:
    jurgen = AffiliateFactory(code="j\u00fcrgen")
    assert search.by_code(text) == jurgen


@pytest.mark.parametrize(
    "text",
    ["", " ", "/", "%", "nobody", "zed smith", "zed%20smith", "zed+smith", "ze d", "x" * 100_000, "\ud800",
     "zed,joe", "zed/joe", "zed|joe", "zed%2Cjoe", "ZED;JOE"],
)  # fmt: skip
def test_by_code_means_nobody(joe: Affiliate, text: str) -> None:
    AffiliateFactory(code="zed")
    assert search.by_code(text) is None


def test_by_code_is_not_what_stands_in_parameters_behind_it(joe: Affiliate) -> None:
    zed = AffiliateFactory(code="zed")
    assert search.by_code("zed?utm_source=joe") == zed
    assert search.by_code("nobody/zed") is None


def test_by_code_that_may_mean_two_is_nobody_but_an_exact_one_is() -> None:
    zed, other = AffiliateFactory(code="zed"), AffiliateFactory(code="Zed")
    assert search.by_code("ZED") is None
    assert search.by_code("zed/") is None
    assert (search.by_code("zed"), search.by_code("Zed")) == (zed, other)


def test_by_code_takes_as_many_queries_for_a_thousand_affiliates() -> None:
    AffiliateFactory.create_batch(5)
    assert_same_queries(lambda: search.by_code("ZED/"), lambda: AffiliateFactory.create_batch(5))


def test_earlier_code_names_its_affiliate_everywhere(admin_client: Client, joe: Affiliate) -> None:
    joe.code = "joseph"
    joe.save()
    assert search.by_code("joe") == search.by_code("JOE/") == search.identify("joe") == joe
    assert search.named_by("https://shop.example/?ref=joe") == joe
    assert search.suggest("joe") == [joe]
    LinkFactory(affiliate=OrderFactory(affiliate=joe, number="#1").affiliate)
    assert "#1" in admin_client.get("/admin/orders/order/?q=joe").content.decode()
    assert "sub_id=fb" in admin_client.get("/admin/affiliates/link/?q=joe").content.decode()
    for url in ("/admin/affiliates/affiliate/?q=joe", f"/admin/affiliates/affiliate/{joe.pk}/settings/"):
        assert "Joe&#x27;s Coffee Blog" in admin_client.get(url).content.decode()
    for tab in ("settings", "change", "links"):
        assert "Earlier code" in admin_client.get(f"/admin/affiliates/affiliate/{joe.pk}/{tab}/").content.decode()
