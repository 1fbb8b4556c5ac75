"""Coupons of an affiliate: added one or several at a time, removed, and refused beside their field."""

import html

import pytest
from django.contrib.admin.models import LogEntry
from django.db import IntegrityError

from affiliates.forms import CouponsForm
from affiliates.models import Coupon
from tests.factories import AffiliateFactory, client_with

pytestmark = pytest.mark.django_db


@pytest.fixture
def joe():
    return AffiliateFactory(name="Joe")


def add(client, affiliate, codes, follow=True):
    return client.post(f"{affiliate.settings_url}coupons/", {"codes": codes}, follow=follow)


def text_of(response):
    return html.unescape(response.content.decode())


def codes_of(affiliate):
    return sorted(affiliate.coupons.values_list("code", flat=True))


@pytest.mark.parametrize("typed", ["JOE10, joe20", "JOE10\r\njoe20\n", " JOE10 ,\n, joe20;joe10"])
def test_coupons_are_added_one_or_several_each_once(admin_client, joe, typed):
    page = text_of(add(admin_client, joe, typed))
    assert codes_of(joe) in (["JOE10", "joe20"], ["joe10", "joe20"])
    assert "joe20" in page
    assert "Coupons added:" in LogEntry.objects.get().change_message


def test_coupon_of_another_is_refused_beside_its_field_and_nothing_typed_is_lost(admin_client, joe):
    Coupon.objects.create(affiliate=AffiliateFactory(name="Marta"), code="Summer")
    answer = add(admin_client, joe, "SUMMER")
    assert answer.status_code == 422
    page = text_of(answer)
    assert '<li data-code="unique">Marta already has this coupon.</li>' in page
    assert "SUMMER</textarea>" in page
    page = text_of(add(admin_client, joe, "NEW, SUMMER"))
    assert "SUMMER: Marta already has this coupon." in page
    assert "NEW, SUMMER</textarea>" in page
    assert codes_of(joe) == []


@pytest.mark.parametrize("typed", ["", " , \n", "\0", "a" * 101])
def test_what_is_no_coupon_is_refused(admin_client, joe, typed):
    assert add(admin_client, joe, typed).status_code == 422
    assert codes_of(joe) == []


def test_coupon_that_somebody_else_adds_at_the_same_moment_is_refused(admin_client, joe, monkeypatch):
    marta, save = AffiliateFactory(name="Marta"), CouponsForm.save

    def too_late(form):
        Coupon.objects.create(affiliate=marta, code="SUMMER")
        with pytest.raises(IntegrityError):
            save(form)
        raise IntegrityError

    monkeypatch.setattr(CouponsForm, "save", too_late)
    assert "Marta already has this coupon." in text_of(add(admin_client, joe, "summer"))


def test_coupon_is_removed_and_that_of_another_is_not(admin_client, joe):
    own = Coupon.objects.create(affiliate=joe, code="JOE10")
    other = Coupon.objects.create(affiliate=AffiliateFactory(), code="MARTA")
    for pk in (own.pk, other.pk, "nonsense"):
        admin_client.post(f"{joe.settings_url}coupons/remove/", {"coupon": pk})
    assert list(Coupon.objects.all()) == [other]
    assert LogEntry.objects.get().change_message == "Coupon removed: JOE10."


def test_who_may_only_look_sees_coupons_without_buttons(joe):
    Coupon.objects.create(affiliate=joe, code="JOE10")
    viewer = client_with("view_affiliate")
    page = text_of(viewer.get(joe.settings_url))
    assert "JOE10" in page
    assert "Remove JOE10" not in page
    assert "Add coupons" not in page
