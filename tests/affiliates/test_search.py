"""Finding the affiliate that was typed into a form, and suggesting some."""

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from affiliates import search
from affiliates.models import Affiliate
from tests.factories import AffiliateFactory

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


def test_identify_primary_key_finds_the_affiliate_if_nobody_has_it_as_a_code(joe: Affiliate) -> None:
    assert search.identify(str(joe.pk)) == joe
    other = AffiliateFactory(code=str(joe.pk))
    assert search.identify(str(joe.pk)) == other
