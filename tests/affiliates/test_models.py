"""A changed code leaves its old one behind, and nobody else can take that."""

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
    typed = {"name": "New", "email": "new@x.example", "code": "joe", "status": "approved", "commission_rate": "0.1"}
    answer = admin_client.post("/admin/affiliates/affiliate/add/", typed)
    assert answer.context["adminform"].form.errors.as_data()["code"][0].code == "alias_of_another"


@pytest.mark.parametrize("rate", ["1_0", "\u0661", "1e-1", "+0.1", "NaN", "0." + "1" * 200_000, "0,1", ".1"])
def test_form_refuses_a_rate_that_is_no_plain_decimal(admin_client, joe: Affiliate, rate: str) -> None:
    typed = {"name": "Joe", "email": "joe@x.example", "code": "joe", "status": "approved", "commission_rate": rate}
    answer = admin_client.post(f"/admin/affiliates/affiliate/{joe.pk}/change/", typed)
    assert answer.context["adminform"].form.errors.as_data()["commission_rate"][0].code == "invalid"
