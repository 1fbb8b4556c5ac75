"""A changed code leaves its old one behind, and nobody else can take that."""

from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError

from affiliates.models import Affiliate, AffiliateAlias
from tests.factories import AffiliateFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def joe() -> Affiliate:
    return AffiliateFactory(code="joe", name="Joe")


def renamed(affiliate: Affiliate, code: str, **kwargs) -> Affiliate:
    affiliate.code = code
    affiliate.save(**kwargs)
    return affiliate


@pytest.mark.parametrize("fields", [None, ["code"], ["code", "name"]])
def test_changed_code_keeps_the_old_one(joe: Affiliate, fields) -> None:
    renamed(joe, "joseph", update_fields=fields and iter(fields))
    assert (joe.earlier_codes, Affiliate.objects.get().code) == (["joe"], "joseph")


def test_code_that_is_not_saved_leaves_no_alias(joe: Affiliate) -> None:
    renamed(joe, "joseph", update_fields=["name"])
    deferred = Affiliate.objects.defer("code").get()
    deferred.save()
    assert not AffiliateAlias.objects.exists()


def test_code_changed_back_is_no_alias_any_more(joe: Affiliate) -> None:
    renamed(renamed(joe, "joseph"), "joe")
    assert joe.earlier_codes == ["joseph"]


def test_code_that_another_had_is_refused(joe: Affiliate) -> None:
    renamed(joe, "joseph")
    marta = AffiliateFactory(code="marta")
    for refused in (Affiliate(name="New", email="new@x.example", code="joe"), marta):
        refused.code = "joe"
        for check in (refused.full_clean, refused.save):
            with pytest.raises(ValidationError) as caught:
                check()
            assert caught.value.error_dict["code"][0].code == "alias_of_another"
    assert Affiliate.objects.get(pk=marta.pk).code == "marta"


def test_form_refuses_a_code_that_another_had(admin_client, joe: Affiliate) -> None:
    renamed(joe, "joseph")
    typed = {"name": "New", "email": "new@x.example", "code": "joe", "status": "approved", "commission_rate": "10"}
    answer = admin_client.post("/admin/affiliates/affiliate/add/", typed)
    assert answer.context["adminform"].form.errors.as_data()["code"][0].code == "alias_of_another"


def rated(client, joe: Affiliate, rate: str):
    typed = {"name": "Joe", "email": "joe@x.example", "code": "joe", "status": "approved", "commission_rate": rate}
    return client.post(f"/admin/affiliates/affiliate/{joe.pk}/change/", typed)


@pytest.mark.parametrize(
    ("rate", "code"),
    [
        *(
            (rate, "invalid")
            for rate in ("1_0", "\u0661", "1e-1", "+1", "NaN", "1." + "1" * 200_000, "1,5,0", ".1", "%")
        ),
        *((rate, "not_a_share") for rate in ("150", "-1", "100.0001", "-0.5 %")),
        *((rate, "fraction") for rate in ("0.15", "0,15", "0.5")),
        *((rate, "spaces") for rate in ("1 5", "1\N{NO-BREAK SPACE}5 %", "12. 5", "1\n5")),
        ("12.34567", "too_many_decimals"),
        ("", "required"),
    ],
)
def test_form_refuses_a_rate_that_is_no_percentage(admin_client, joe: Affiliate, rate: str, code: str) -> None:
    answer = rated(admin_client, joe, rate)
    assert [error.code for error in answer.context["adminform"].form.errors.as_data()["commission_rate"]] == [code]
    if rate == "0.15":
        assert "For 15\N{NO-BREAK SPACE}%, enter 15." in answer.content.decode()


@pytest.mark.parametrize(
    ("rate", "kept"),
    [("12.5", "0.125"), ("12,5", "0.125"), ("12.5 %", "0.125"), (" 12,5\N{NO-BREAK SPACE}%", "0.125"), ("0", "0"),
     ("100", "1"), ("0.15 %", "0.0015"), ("33.3333", "0.333333"), ("1", "0.01"), ("7%", "0.07")],
)  # fmt: skip
def test_form_takes_a_rate_in_percent_and_shows_it_so(admin_client, joe: Affiliate, rate: str, kept: str) -> None:
    assert rated(admin_client, joe, rate).status_code == 302
    joe.refresh_from_db()
    assert joe.commission_rate == Decimal(kept)
    form = admin_client.get(f"/admin/affiliates/affiliate/{joe.pk}/change/").context["adminform"].form
    shown = str(form["commission_rate"].value())
    assert rated(admin_client, joe, shown).status_code == 302
    joe.refresh_from_db()
    assert joe.commission_rate == Decimal(kept)
