"""The API's routes of affiliates."""

from typing import Any

import pytest
from django.test import Client

from affiliates.models import Affiliate, Coupon
from affiliates.portal import access
from tests.factories import AffiliateFactory
from tests.orders.api.asking import client, refused, send

pytestmark = pytest.mark.django_db
JOE = {"name": "Joe", "email": "joe@blog.example", "commission_rate": 0.15, "coupons": ["JOE10", "joe20"]}


@pytest.fixture
def api() -> Client:
    return client("affiliates:write")


def test_save_affiliate_makes_one_and_then_changes_what_is_named_only(api: Client) -> None:
    response = send(api, "PUT", "/affiliates/joe", JOE)
    assert response.status_code == 201
    made = response.json()
    assert made | {"created_at": ""} == {
        "code": "joe", "name": "Joe", "email": "joe@blog.example", "status": "approved", "commission_rate": "0.15",
        "coupons": ["JOE10", "joe20"], "created_at": "", "warnings": [],
    }  # fmt: skip
    response = send(api, "PUT", "/affiliates/joe", {"status": "blocked", "coupons": ["Joe10", "NEW"]})
    assert (response.status_code, response.json()) == (200, made | {"status": "blocked", "coupons": ["JOE10", "NEW"]})
    assert send(api, "GET", "/affiliates/JOE").json() == response.json()
    assert send(api, "PUT", "/affiliates/joe", {"coupons": []}).json()["coupons"] == []
    assert Affiliate.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": ""}, [("name", "blank")]),
        ({"email": "nonsense"}, [("email", "invalid")]),
        ({"email": None}, [("email", "blank")]),
        ({"email": "\ud800@x.example"}, [("email", "invalid")]),
        ({"name": "a\0"}, [("name", "control_character")]),
        ({"commission_rate": "15"}, [("commission_rate", "max_value"), ("commission_rate", "max_whole_digits")]),
        ({"commission_rate": "1.5"}, [("commission_rate", "max_value")]),
        ({"commission_rate": "-0.1"}, [("commission_rate", "min_value")]),
        ({"commission_rate": "15 %"}, [("commission_rate", "invalid")]),
        ({"status": "gone"}, [("status", "enum")]),
        ({"coupons": ["TAKEN"]}, [("coupons", "unique")]),
        ({"coupons": ["x" * 101]}, [("coupons", "max_length")]),
        ({"coupons": ["\ud800"]}, [("coupons", "control_character")]),
        ({"coupons": 5}, [("coupons", "invalid")]),
        ({"code": "jim"}, [("code", "unknown_field")]),
    ],
)
def test_save_affiliate_bad_field_is_refused_and_nothing_is_saved(
    api: Client, change: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    Coupon.objects.create(affiliate=AffiliateFactory(code="jane"), code="taken")
    assert refused(send(api, "PUT", "/affiliates/joe", JOE | change)) == (422, expected)
    assert not Affiliate.objects.filter(code="joe").exists()


@pytest.mark.parametrize("code", ["a%20b", "x" * 65, "%00", "%ED%A0%80", "a%0Ab"])
def test_affiliate_code_that_nobody_can_have_is_no_error(api: Client, code: str) -> None:
    assert send(api, "GET", f"/affiliates/{code}").status_code in {400, 404}
    assert send(api, "PUT", f"/affiliates/{code}", JOE).status_code in {400, 404, 422}
    assert not Affiliate.objects.exists()


def test_save_affiliate_with_the_coupon_of_another_is_told_which_and_whose(api: Client) -> None:
    Coupon.objects.create(affiliate=AffiliateFactory(name="Jane"), code="taken")
    answer = send(api, "PUT", "/affiliates/joe", JOE | {"coupons": ["JOE10", "Taken"]})
    assert [each["message"] for each in answer.json()["errors"]] == ["Taken: Jane already has this coupon."]


def test_save_affiliate_code_that_another_had_before_finds_that_one(api: Client) -> None:
    jane = AffiliateFactory(code="old")
    jane.code = "jane"
    jane.save()
    assert send(api, "PUT", "/affiliates/old", {"name": "Jane"}).json()["code"] == "jane"


def test_save_affiliate_with_portal_access_renames_the_login(api: Client, admin_user) -> None:
    joe = AffiliateFactory(code="joe", email="joe@blog.example")
    access.grant(joe, "a-long-password-indeed", admin_user)
    AffiliateFactory(code="other")
    assert send(api, "PUT", "/affiliates/joe", {"email": "new@blog.example"}).json()["warnings"] == []
    joe.refresh_from_db()
    assert joe.user.username == "new@blog.example"
    admin_user.email = "boss@shop.example"
    admin_user.save()
    taken = send(api, "PUT", "/affiliates/joe", {"email": "boss@shop.example"})
    assert refused(taken) == (422, [("email", "login_taken")])


def test_list_affiliates_goes_from_page_to_page(api: Client) -> None:
    for code in "abc":
        AffiliateFactory(code=code)
    page = send(api, "GET", "/affiliates?limit=2").json()
    assert [affiliate["code"] for affiliate in page["affiliates"]] == ["c", "b"]
    page = send(api, "GET", f"/affiliates?limit=2&after={page['next']}").json()
    assert ([affiliate["code"] for affiliate in page["affiliates"]], page["next"]) == (["a"], None)
