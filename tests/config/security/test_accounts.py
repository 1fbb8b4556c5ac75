"""Users: who may log in, and what each may do."""

import itertools
import re

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.urls import reverse

from config.security import accounts, roles
from tests.factories import AffiliateFactory
from tests.queries import assert_same_queries

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


@pytest.mark.parametrize(
    ("role", "is_staff", "is_superuser", "groups"),
    [
        ("none", False, False, []),
        ("support", True, False, ["Support"]),
        ("merchant", True, False, ["Merchant"]),
        ("administrator", True, True, []),
    ],
)
def test_user_added_has_the_role_at_once(admin_client, caplog, role, is_staff, is_superuser, groups):
    typed = {"username": "clerk", "email": "clerk@shop.example", "password1": PASSWORD, "password2": PASSWORD}
    response = admin_client.post(LIST + "add/", typed | {"role": role})
    user = User.objects.get(username="clerk")
    assert response.url == change_url(user)
    assert user.email == "clerk@shop.example"
    assert user.check_password(PASSWORD)
    assert (user.is_staff, user.is_superuser) == (is_staff, is_superuser)
    assert [group.name for group in user.groups.all()] == groups
    assert f" role={role} " in caplog.text


@pytest.mark.parametrize("role", ["", "chosen", "owner"])
def test_user_added_without_a_role_that_is_offered_is_refused(admin_client, role):
    typed = {"username": "clerk", "password1": PASSWORD, "password2": PASSWORD, "role": role}
    assert "role" in admin_client.post(LIST + "add/", typed).context["adminform"].form.errors
    assert not User.objects.filter(username="clerk").exists()


def test_user_added_without_a_password_is_refused_beside_the_field(admin_client):
    typed = {"username": "clerk", "email": "", "password1": "", "password2": "", "role": "support"}
    assert page(admin_client.post(LIST + "add/", typed)).count('data-code="required"') == 2
    assert not User.objects.filter(username="clerk").exists()


def typed_for(user, role, **more):
    return {"username": user.username, "email": user.email, "is_active": "on", "role": role} | more


# --- the role -----------------------------------------------------------------
@pytest.mark.parametrize(
    ("role", "is_staff", "is_superuser", "groups", "shown"),
    [
        ("none", False, False, [], "None"),
        ("support", True, False, ["Support"], "Support"),
        ("merchant", True, False, ["Merchant"], "Merchant"),
        ("administrator", True, True, [], "Administrator"),
        ("chosen", True, False, [], "Custom"),
    ],
)
def test_user_is_given_a_role(admin_client, clerk, role, is_staff, is_superuser, groups, shown):
    assert admin_client.post(change_url(clerk), typed_for(clerk, role)).status_code == 302
    clerk.refresh_from_db()
    assert (clerk.is_staff, clerk.is_superuser) == (is_staff, is_superuser)
    assert [group.name for group in clerk.groups.all()] == groups
    assert clerk.check_password(PASSWORD)
    assert f">{shown}</td>" in row_of(admin_client, clerk)
    form = page(admin_client.get(change_url(clerk)))
    assert re.search(r'value="(\w+)"[^>]*checked', form.partition('id="id_role"')[2])[1] == role


def row_of(client, user):
    rows = page(client.get(LIST)).partition("<tbody")[2].split("<tr")
    return next(row for row in rows if f">{user.username}</a>" in row)


def test_user_who_changes_role_leaves_the_other_group_and_keeps_what_an_operator_gave(admin_client, clerk):
    own = Group.objects.create(name="Night shift")
    clerk.groups.add(own)
    for role in ("merchant", "support"):
        admin_client.post(change_url(clerk), typed_for(clerk, role))
    assert {group.name for group in clerk.groups.all()} == {"Night shift", "Support"}


def test_user_with_permissions_chosen_one_by_one_gets_those_and_loses_them_with_a_role(admin_client, clerk):
    text = page(admin_client.get(change_url(clerk)))
    assert "View order" in text
    assert "Resend delivery" in text
    assert "Add delivery" not in text
    assert "user</label>" not in text
    wanted = Permission.objects.get(codename="view_order")
    admin_client.post(change_url(clerk), typed_for(clerk, "chosen", user_permissions=[wanted.pk]))
    assert list(clerk.user_permissions.all()) == [wanted]
    admin_client.post(change_url(clerk), typed_for(clerk, "support", user_permissions=[wanted.pk]))
    assert list(clerk.user_permissions.all()) == []


def test_user_permission_that_opens_no_page_is_refused(admin_client, clerk):
    other = Permission.objects.exclude(pk__in=accounts.grantable()).first()
    response = admin_client.post(change_url(clerk), typed_for(clerk, "chosen", user_permissions=[other.pk]))
    assert 'data-code="invalid_choice"' in page(response)


@pytest.mark.parametrize("role", ["", "owner", "chosen,administrator"])
def test_user_role_that_does_not_exist_is_refused(admin_client, clerk, role):
    response = admin_client.post(change_url(clerk), typed_for(clerk, role))
    assert response.status_code == 200
    assert 'data-code="invalid_choice"' in page(response) or 'data-code="required"' in page(response)
    clerk.refresh_from_db()
    assert not clerk.is_staff


def test_user_list_says_what_each_is(admin_client, clerk):
    User.objects.create_user("staff", is_staff=True, is_active=False)
    AffiliateFactory(user=User.objects.create_user("joe"))
    text = page(admin_client.get(LIST))
    for role in ("Administrator", "Custom", "Affiliate", "None"):
        assert f">{role}</td>" in text
    assert text.count('data-state="off"') == 1


@pytest.mark.parametrize(
    ("role", "found"),
    [("none", "clerk"), ("support", "sue"), ("merchant", "max"), ("administrator", "admin"), ("chosen", "sam")],
)
def test_user_list_is_filtered_by_role(admin_client, clerk, role, found):
    for name in ("sue", "max", "sam"):
        User.objects.create_user(name, is_staff=True)
    roles.set_role(User.objects.get(username="sue"), roles.SUPPORT)
    roles.set_role(User.objects.get(username="max"), roles.MERCHANT)
    shown = admin_client.get(LIST, {"role": role}).context["cl"].result_list
    assert [user.username for user in shown] == [found]


def test_user_list_asks_no_more_for_more_users(admin_client):
    numbers = itertools.count()

    def add():
        roles.set_role(User.objects.create_user(f"user{next(numbers)}", is_staff=True), roles.SUPPORT)

    assert_same_queries(lambda: admin_client.get(LIST), add)


# --- nobody shuts themselves out ---------------------------------------------------
def test_administrator_cannot_take_their_own_role_or_log_in_away(admin_client, admin_user):
    response = admin_client.post(change_url(admin_user), {"username": "admin", "role": "merchant"})
    assert 'data-code="own_role"' in page(response)
    assert 'data-code="own_log_in"' in page(response)
    admin_user.refresh_from_db()
    assert (admin_user.is_superuser, admin_user.is_active) == (True, True)


def test_administrator_cannot_delete_themselves(admin_client, admin_user, clerk):
    assert admin_client.get(reverse("admin:auth_user_delete", args=[admin_user.pk])).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [admin_user.pk, clerk.pk], "post": "yes"}
    assert admin_client.post(LIST, chosen).status_code == 403
    assert User.objects.count() == 2


# --- nobody makes themselves more than they are -------------------------------------
@pytest.mark.parametrize("codename", ["change_user", "add_user", "delete_user", "view_user"])
def test_staff_with_a_permission_on_users_still_may_not_come_here(client, clerk, codename):
    clerk.is_staff = True
    clerk.save()
    clerk.user_permissions.add(Permission.objects.get(codename=codename))
    client.force_login(clerk)
    for url in (LIST, LIST + "add/", change_url(clerk)):
        assert client.get(url).status_code == 403
        assert client.post(url, typed_for(clerk, "administrator")).status_code == 403
    assert "/admin/auth/user/" not in page(client.get("/admin/"))
    clerk.refresh_from_db()
    assert not clerk.is_superuser


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
