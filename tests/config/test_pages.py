"""Pages that stand for themselves: locked out, what is not in the admin, and that the overview's cost does not grow."""

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext

from callbacks.models import Delivery
from tests.factories import CallbackSettingFactory, OrderFactory

pytestmark = pytest.mark.django_db

INDEX, LOGIN = "/admin/", "/admin/login/"


def test_login_wrong_too_often_is_locked_out_and_told_so(client, admin_user, settings):
    typed = {"username": admin_user.username, "password": "wrong"}
    for _ in range(settings.AXES_FAILURE_LIMIT - 1):
        assert client.post(LOGIN, typed).status_code == 200
    answer = client.post(LOGIN, typed)
    assert answer.status_code == 429
    assert "Too many wrong passwords" in answer.content.decode()
    assert f'href="{LOGIN}"' in answer.content.decode()
    assert client.post(LOGIN, typed | {"password": "password"}).status_code == 429


def test_admin_holds_our_models_and_users_only():
    assert {model.__name__ for model in admin.site._registry} == {
        "Affiliate", "Link", "Order", "ApiToken", "Delivery", "Errand", "User",
    }  # fmt: skip


def test_overview_of_thirty_failures_asks_as_often_as_of_one(admin_client, django_assert_num_queries):
    setting = CallbackSettingFactory()

    def fail(count):
        OrderFactory.create_batch(count, affiliate=setting.affiliate)
        Delivery.objects.update(status="failed", next_attempt_at=None)

    fail(1)
    admin_client.get(INDEX)  # what is asked once per process is asked now
    with CaptureQueriesContext(connection) as of_one:
        admin_client.get(INDEX)
    fail(29)
    with django_assert_num_queries(len(of_one)):
        admin_client.get(INDEX)
    assert len(of_one) <= 25  # a figure each, none of which grows


@pytest.mark.parametrize("url", ["/admin/orders/order/", "/admin/callbacks/delivery/", "/admin/affiliates/affiliate/"])
def test_list_page_asks_few_questions(admin_client, django_assert_max_num_queries, url):
    OrderFactory.create_batch(3, affiliate=CallbackSettingFactory().affiliate)
    admin_client.get(url)
    with django_assert_max_num_queries(10):
        admin_client.get(url)


def test_user_added_gets_an_e_mail_address_and_a_password(admin_client, django_user_model):
    words = "a long enough passphrase"
    typed = {"username": "clerk", "email": "clerk@shop.example", "password1": words, "password2": words}
    assert admin_client.post("/admin/auth/user/add/", typed).status_code == 302
    clerk = django_user_model.objects.get(username="clerk")
    assert clerk.email == "clerk@shop.example"
    assert clerk.check_password(words)


def test_user_added_without_a_password_is_refused_beside_the_field(admin_client, django_user_model):
    typed = {"username": "clerk", "email": "", "password1": "", "password2": ""}
    text = admin_client.post("/admin/auth/user/add/", typed).content.decode()
    assert text.count('data-code="required"') == 2
    assert not django_user_model.objects.filter(username="clerk").exists()
