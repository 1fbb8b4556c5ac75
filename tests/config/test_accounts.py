"""Users: who may log in, and what each may do."""

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from config import accounts

pytestmark = pytest.mark.django_db

LIST = "/admin/auth/user/"
PASSWORD = "a long enough passphrase"


def page(response):
    return response.content.decode()


@pytest.fixture
def clerk():
    return User.objects.create_user("clerk", "clerk@shop.example", PASSWORD)


def change_url(user):
    return reverse("admin:auth_user_change", args=[user.pk])


def test_user_added_is_asked_for_permissions_next(admin_client):
    typed = {"username": "clerk", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    response = admin_client.post(LIST + "add/", typed)
    assert response.url == change_url(User.objects.get(username="clerk"))


def test_user_is_given_permissions_that_open_pages(admin_client, clerk):
    text = page(admin_client.get(change_url(clerk)))
    assert "View order" in text
    assert "Resend delivery" in text
    assert "Add delivery" not in text
    assert "pbkdf2" not in text or "Reset password" in text
    wanted = Permission.objects.get(codename="view_order")
    typed = {"username": "clerk", "email": "clerk@shop.example", "is_active": "on", "is_staff": "on"}
    response = admin_client.post(change_url(clerk), typed | {"user_permissions": [wanted.pk]})
    assert response.status_code == 302
    clerk.refresh_from_db()
    assert clerk.is_staff
    assert list(clerk.user_permissions.all()) == [wanted]
    assert clerk.check_password(PASSWORD)


def test_user_permission_that_opens_no_page_is_refused(admin_client, clerk):
    other = Permission.objects.exclude(pk__in=accounts.grantable()).first()
    typed = {"username": "clerk", "user_permissions": [other.pk]}
    response = admin_client.post(change_url(clerk), typed)
    assert 'data-code="invalid_choice"' in page(response)


def test_user_list_says_what_each_is(admin_client, clerk):
    User.objects.create_user("staff", is_staff=True, is_active=False)
    text = page(admin_client.get(LIST))
    assert [role in text for role in ("Administrator", "Staff", "Affiliate")] == [True, True, True]
    assert text.count('data-state="off"') == 1


def test_user_password_can_be_set_anew(admin_client, clerk):
    url = reverse("admin:auth_user_password_change", args=[clerk.pk])
    assert "Password of clerk" in page(admin_client.get(url))
    bad = {"password1": "short", "password2": "short", "usable_password": "true", "set-password": "1"}
    assert 'data-code="password_too_short"' in page(admin_client.post(url, bad))
    new = "another long passphrase"
    good = bad | {"password1": new, "password2": new}
    assert admin_client.post(url, good).status_code == 302
    clerk.refresh_from_db()
    assert clerk.check_password(new)
