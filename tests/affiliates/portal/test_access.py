"""The portal login that a merchant gives to an affiliate, changes and takes away."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from affiliates.models import Affiliate
from affiliates.portal import access
from tests.factories import AffiliateFactory

pytestmark = pytest.mark.django_db

LIST = "/admin/affiliates/affiliate/"
PASSWORD = "a long enough passphrase"
PASSWORDS = {"new_password1": PASSWORD, "new_password2": PASSWORD}


def of(affiliate: Affiliate, rest: str = "change/") -> str:
    return f"{LIST}{affiliate.pk}/{rest}"


def test_portal_password_lets_the_affiliate_in(admin_client: Client, client: Client) -> None:
    affiliate = AffiliateFactory(email="joe@blog.example")
    answer = admin_client.post(of(affiliate, "settings/portal/"), PASSWORDS, follow=True)
    assert answer.redirect_chain == [(of(affiliate, "settings/#portal-access"), 302)]
    assert "can now log in to the portal as joe@blog.example." in answer.content.decode()
    affiliate.refresh_from_db()
    assert affiliate.user
    assert (affiliate.user.username, affiliate.user.is_staff) == ("joe@blog.example", False)
    signed_in = Client().post("/portal/login/", {"username": "joe@blog.example", "password": PASSWORD})
    assert signed_in.headers["Location"] == "/portal/"


def test_portal_password_changed_ends_the_session_with_the_old_one(admin_client: Client) -> None:
    affiliate = AffiliateFactory()
    access.grant(affiliate, "the first passphrase")
    portal = Client()
    portal.post("/portal/login/", {"username": affiliate.email, "password": "the first passphrase"})
    assert portal.get("/portal/").status_code == 200
    admin_client.post(of(affiliate, "settings/portal/"), PASSWORDS)
    assert portal.get("/portal/").status_code == 302
    assert User.objects.filter(username=affiliate.email).count() == 1


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"new_password1": "short", "new_password2": "short"}, "new_password1", "password_too_short"),
        ({"new_password1": "password", "new_password2": "password"}, "new_password1", "password_too_common"),
        ({"new_password1": "joe@blog.example", "new_password2": "joe@blog.example"}, "new_password1",
         "password_too_similar"),
        ({"new_password1": PASSWORD, "new_password2": PASSWORD + "x"}, "new_password2", "password_mismatch"),
        ({"new_password1": "", "new_password2": ""}, "new_password1", "required"),
    ],
)  # fmt: skip
def test_portal_password_refused_says_why_beside_the_field(
    admin_client: Client, fields: dict[str, str], field: str, code: str
) -> None:
    affiliate = AffiliateFactory(email="joe@blog.example")
    answer = admin_client.post(of(affiliate, "settings/portal/"), fields)
    assert answer.status_code == 422
    assert code in [error.code for error in answer.context["form"].errors.as_data()[field]]
    assert f'data-code="{code}"' in answer.content.decode()
    affiliate.refresh_from_db()
    assert affiliate.user is None


def test_portal_login_of_somebody_else_is_refused(admin_client: Client) -> None:
    User.objects.create_user("JOE@blog.example")
    affiliate = AffiliateFactory(email="joe@blog.example")
    answer = admin_client.post(of(affiliate, "settings/portal/"), PASSWORDS)
    assert answer.status_code == 422
    assert "Another user already logs in as joe@blog.example." in answer.content.decode()
    assert 'data-code="login_taken"' in answer.content.decode()


def test_portal_login_too_long_is_refused(admin_client: Client) -> None:
    affiliate = AffiliateFactory(email=f"joe@{'a' * 60}.{'b' * 60}.{'c' * 60}.example")
    answer = admin_client.post(of(affiliate, "settings/portal/"), PASSWORDS)
    assert (answer.status_code, 'data-code="login_too_long"' in answer.content.decode()) == (422, True)


def test_portal_form_asked_by_script_is_the_form_alone(admin_client: Client) -> None:
    affiliate = AffiliateFactory()
    by_script = {"X-Requested-With": "fetch"}
    form = admin_client.get(of(affiliate, "settings/portal/"), headers=by_script).content.decode().strip()
    assert form.startswith("<form")
    assert form.endswith("</form>")
    answer = admin_client.post(of(affiliate, "settings/portal/"), PASSWORDS, headers=by_script)
    assert answer.json() == {"location": of(affiliate, "settings/#portal-access")}


def test_portal_off_asks_and_then_deletes_the_login(admin_client: Client) -> None:
    affiliate = AffiliateFactory()
    assert admin_client.get(of(affiliate, "settings/portal/off/")).status_code == 302  # there is none
    access.grant(affiliate, PASSWORD)
    assert "Turn off portal access?" in admin_client.get(of(affiliate, "settings/portal/off/")).content.decode()
    assert User.objects.filter(username=affiliate.email).exists()
    answer = admin_client.post(of(affiliate, "settings/portal/off/"), follow=True)
    assert "can no longer log in to the portal." in answer.content.decode()
    assert not User.objects.filter(username=affiliate.email).exists()


def test_portal_revoked_from_staff_leaves_their_account() -> None:
    affiliate = AffiliateFactory(user=User.objects.create_user("owner", is_staff=True))
    access.revoke(affiliate)
    assert affiliate.user is None
    assert User.objects.filter(username="owner").exists()


def test_portal_row_says_when_they_signed_in(admin_client: Client) -> None:
    affiliate = AffiliateFactory()
    settings = of(affiliate, "settings/")
    assert "With a password, the affiliate can log in at" in admin_client.get(settings).content.decode()
    user = access.grant(affiliate, PASSWORD)
    assert "Has not logged in yet." in admin_client.get(settings).content.decode()
    user.last_login = timezone.now()
    user.save()
    text = admin_client.get(settings).content.decode()
    assert "Last log-in:" in text
    assert "http://testserver/portal/" in text


def test_portal_login_follows_the_e_mail(admin_client: Client) -> None:
    affiliate = AffiliateFactory()
    user = access.grant(affiliate, PASSWORD)
    User.objects.create_user("taken@e.example")
    fields = {"name": "A", "code": affiliate.code, "status": "approved", "commission_rate": "0"}
    refused = admin_client.post(of(affiliate), fields | {"email": "taken@e.example"})
    assert "Another user already logs in as" in refused.content.decode()
    admin_client.post(of(affiliate), fields | {"email": "moved@e.example"})
    user.refresh_from_db()
    assert (user.username, user.email) == ("moved@e.example", "moved@e.example")


def test_affiliate_deleted_takes_the_login_along(admin_client: Client) -> None:
    one, *others = AffiliateFactory.create_batch(3)
    for affiliate in (one, *others):
        access.grant(affiliate, PASSWORD)
    admin_client.post(of(one, "delete/"), {"post": "yes"})
    picked = [affiliate.pk for affiliate in others]
    admin_client.post(LIST, {"action": "delete_selected", "_selected_action": picked, "post": "yes"})
    assert not Affiliate.objects.exists()
    assert not User.objects.filter(is_staff=False).exists()
