"""Several people set, change and take away one affiliate's portal login in the same moment."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from affiliates.models import Affiliate
from affiliates.portal import access
from tests.callbacks.panel import at_once
from tests.factories import AffiliateFactory

pytestmark = pytest.mark.django_db(transaction=True)

AT_ONCE = 4
PASSWORD = "a long enough passphrase"
PASSWORDS = {"new_password1": PASSWORD, "new_password2": PASSWORD}


def administrator() -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.get_or_create(username="root", is_staff=True, is_superuser=True)[0])
    return client


def settings_of(affiliate: Affiliate) -> str:
    return f"/admin/affiliates/affiliate/{affiliate.pk}/settings/portal/"


def test_parallel_portal_passwords_all_answer_and_make_one_login() -> None:
    affiliate = AffiliateFactory()
    clients = [administrator() for _ in range(AT_ONCE)]
    answers = at_once([lambda c=client: c.post(settings_of(affiliate), PASSWORDS) for client in clients])
    assert [answer.status_code for answer in answers] == [302] * AT_ONCE
    affiliate.refresh_from_db()
    assert User.objects.filter(username=affiliate.email).get() == affiliate.user
    assert affiliate.user
    assert affiliate.user.check_password(PASSWORD)


def test_parallel_portal_passwords_of_two_affiliates_with_one_e_mail_make_one_login() -> None:
    affiliates = [AffiliateFactory(email="one@blog.example") for _ in range(AT_ONCE)]
    clients = [administrator() for _ in affiliates]
    posts = [
        lambda c=client, a=affiliate: c.post(settings_of(a), PASSWORDS)
        for client, affiliate in zip(clients, affiliates, strict=True)
    ]
    codes = sorted(answer.status_code for answer in at_once(posts))
    assert codes == [302, 422, 422, 422]
    assert Affiliate.objects.filter(user__isnull=False).count() == 1


def test_access_given_and_taken_at_once_leaves_a_login_or_none() -> None:
    affiliate = AffiliateFactory()
    access.grant(affiliate, PASSWORD)
    clients = [administrator() for _ in range(AT_ONCE)]
    path = settings_of(affiliate)
    posts = [
        lambda c=client, p=path if number % 2 else f"{path}off/": c.post(p, PASSWORDS)
        for number, client in enumerate(clients)
    ]
    assert [answer.status_code for answer in at_once(posts)] == [302] * AT_ONCE
    affiliate.refresh_from_db()
    assert list(User.objects.filter(username=affiliate.email)) == ([affiliate.user] if affiliate.user else [])


def test_e_mail_changed_and_password_set_at_once_end_with_the_same_name() -> None:
    affiliate = AffiliateFactory(email="old@blog.example")
    access.grant(affiliate, PASSWORD)
    profile = f"/admin/affiliates/affiliate/{affiliate.pk}/change/"
    fields = {"name": "Ann", "email": "new@blog.example", "code": "ann", "status": "approved", "commission_rate": "0"}
    first, second = administrator(), administrator()
    answers = at_once([lambda: first.post(profile, fields), lambda: second.post(settings_of(affiliate), PASSWORDS)])
    assert [answer.status_code for answer in answers] == [302, 302]
    affiliate.refresh_from_db()
    assert affiliate.user
    assert affiliate.user.username == affiliate.email == "new@blog.example"


def test_e_mail_that_two_affiliates_get_at_once_is_the_login_of_one() -> None:
    affiliates = [AffiliateFactory() for _ in range(2)]
    for affiliate in affiliates:
        access.grant(affiliate, PASSWORD)
    clients = [administrator() for _ in affiliates]
    posts = [
        lambda c=client, a=affiliate: c.post(
            f"/admin/affiliates/affiliate/{a.pk}/change/",
            {"name": a.name, "email": "one@blog.example", "code": a.code, "status": "approved", "commission_rate": "0"},
        )
        for client, affiliate in zip(clients, affiliates, strict=True)
    ]
    assert {answer.status_code for answer in at_once(posts)} <= {200, 302}
    assert User.objects.filter(username="one@blog.example").count() == 1
