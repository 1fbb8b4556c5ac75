"""API tokens in the admin: made, shown once, revoked; for superusers only."""

import re

import pytest
from django.contrib.auth.models import Permission

from orders.api import tokens
from orders.models import ApiToken

pytestmark = pytest.mark.django_db

LIST, ADD = "/admin/orders/apitoken/", "/admin/orders/apitoken/add/"


def test_token_made_in_the_admin_is_shown_once_and_works(admin_client):
    answer = admin_client.post(ADD, {"name": "shop", "allowed": ["orders:write"]})
    assert "no-store" in answer["Cache-Control"]
    (token,) = set(re.findall(r'value="(apb_[\w-]+)"', answer.content.decode()))
    assert tokens.find(token) == ApiToken.objects.get(name="shop")
    assert token not in admin_client.get(LIST).content.decode()
    assert not any(token in str(cookie) for cookie in admin_client.cookies.values())


def test_token_of_a_taken_name_is_refused_and_the_old_one_stays(admin_client):
    token = tokens.create("shop")
    answer = admin_client.post(ADD, {"name": "shop", "allowed": ["orders:write"]})
    assert 'data-code="unique"' in answer.content.decode()
    assert tokens.find(token)


def test_token_revoked_is_known_no_more(admin_client):
    token = tokens.create("shop")
    url = f"{LIST}{ApiToken.objects.get().pk}/delete/"
    assert url in admin_client.get(LIST).content.decode()
    assert "Revoke the token shop?" in admin_client.get(url).content.decode()
    assert admin_client.post(url, {"post": "yes"}).status_code == 302
    assert tokens.find(token) is None


def test_tokens_of_staff_with_all_other_permissions_are_hidden(client, django_user_model):
    staff = django_user_model.objects.create_user("sam", password="x", is_staff=True)
    staff.user_permissions.set(Permission.objects.exclude(codename__endswith="_apitoken"))
    client.force_login(staff)
    assert LIST not in client.get("/admin/").content.decode()
    assert client.get(LIST).status_code == 403
    assert client.post(ADD, {"name": "mine"}).status_code == 403
    assert not ApiToken.objects.exists()
