"""What a new installation is given: a login, once, and demo data."""

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.core.management import call_command

from affiliates.models import Affiliate
from callbacks.models import CallbackSetting, Delivery
from config.stack import first_start
from orders.models import Order
from tests.factories import AffiliateFactory

pytestmark = pytest.mark.django_db


def test_login_is_made_once_and_works(rf):
    assert first_start.is_first_start()
    login = first_start.add_merchant()
    user = authenticate(rf.post("/admin/login/"), username=login.username, password=login.password)
    assert user
    assert user.is_superuser
    assert first_start.add_merchant() is None
    assert not first_start.is_first_start()


def test_login_takes_another_name_where_an_affiliate_has_it():
    get_user_model().objects.create_user("merchant", password="x")
    assert first_start.add_merchant().username == "merchant2"


def test_login_is_made_anew_when_nobody_is_staff_any_more():
    first = first_start.add_merchant()
    get_user_model().objects.filter(username=first.username).update(is_active=False)
    assert first_start.add_merchant().username == "merchant2"


def test_login_of_support_is_made_once_and_sees_without_changing(rf):
    login = first_start.add_support()
    user = authenticate(rf.post("/admin/login/"), username=login.username, password=login.password)
    assert (user.is_staff, user.is_superuser) == (True, False)
    assert user.has_perm("callbacks.resend_delivery")
    assert not user.has_perm("callbacks.change_callbacksetting")
    assert first_start.add_support() is None


def test_database_with_affiliates_is_not_new():
    AffiliateFactory()
    assert not first_start.is_first_start()


def test_demo_makes_a_small_programme(settings):
    settings.DEMO = True
    call_command("demo")
    assert Affiliate.objects.count() == 3
    assert Order.objects.count() == 12
    setting = CallbackSetting.objects.get()
    assert setting.event == "order.created"
    assert setting.affiliate.code == "joe"
    assert Delivery.objects.filter(status="pending").count() == setting.affiliate.orders.count() == 6
    assert not first_start.is_first_start()


def test_demo_without_loopback_leaves_the_callback_out(capsys):
    call_command("demo")
    assert "The demo's callback was left out: " in capsys.readouterr().err
    assert Order.objects.count() == 12
    assert not CallbackSetting.objects.exists()


def test_demo_on_a_database_with_data_makes_none(capsys):
    AffiliateFactory()
    call_command("demo")
    assert "There are affiliates or orders already" in capsys.readouterr().err
    assert not Order.objects.exists()
