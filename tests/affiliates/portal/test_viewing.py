"""*View portal*: staff see the portal as an affiliate, change nothing, and stay who they are."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client

from affiliates.models import Affiliate
from affiliates.portal import access
from config.monitoring import mail
from tests.affiliates.portal.test_views import URL, delivered
from tests.factories import AffiliateFactory, callbacks_for

pytestmark = pytest.mark.django_db


@pytest.fixture
def joe() -> Affiliate:
    affiliate = AffiliateFactory(name="Joe")
    callbacks_for(affiliate, URL)
    return affiliate


def pages_of(affiliate: Affiliate) -> list[str]:
    delivery = delivered(affiliate, f"J-{affiliate.pk}")
    rests = ("", "verify/", "email-notifications/", f"deliveries/{delivery.pk}/")
    return [f"/portal/as/{affiliate.pk}/{rest}" for rest in rests]


def test_staff_see_every_page_as_the_affiliate_under_a_banner(admin_client: Client, joe: Affiliate) -> None:
    access.grant(joe, "a long enough passphrase")
    for path in pages_of(joe):
        page = admin_client.get(path).content.decode()
        assert "You are viewing the portal as Joe." in page
        assert f'href="/admin/affiliates/affiliate/{joe.pk}/settings/#portal-access"' in page
        assert "Log out" not in page
        links = [part.partition('"')[0] for part in page.split('href="')[1:]]
        inside = [link for link in links if link.startswith("/portal/")]
        assert inside
        assert all(link.startswith(f"/portal/as/{joe.pk}/") for link in inside)  # none leads to one's own portal


def test_viewing_refuses_every_post_and_leaves_no_trace_of_the_affiliate(admin_client: Client, joe: Affiliate) -> None:
    user = access.grant(joe, "a long enough passphrase")
    sessions = set(Session.objects.values_list("pk", flat=True))
    for path in pages_of(joe):
        assert admin_client.get(path).status_code == 200
        for method in ("post", "put", "patch", "delete"):
            assert getattr(admin_client, method)(path, {"when": "never"}).status_code == 405
    user.refresh_from_db()
    assert user.last_login is None
    assert mail.choice_of(user) == "at_once"
    assert set(Session.objects.values_list("pk", flat=True)) == sessions
    assert admin_client.get("/admin/").context["user"].is_superuser
    assert admin_client.get("/portal/")["Location"] == "/portal/login/"  # they have no portal of their own


def test_viewing_is_noted_once_a_session_in_the_history_and_each_time_in_the_log(
    admin_client: Client, joe: Affiliate, caplog: pytest.LogCaptureFixture
) -> None:
    for path in pages_of(joe):
        admin_client.get(path)
    noted = LogEntry.objects.filter(object_id=str(joe.pk)).values_list("change_message", flat=True)
    assert list(noted) == ["Viewed the portal as this affiliate."]
    assert caplog.text.count("portal_viewed") == 4
    assert f"affiliates.affiliate:{joe.pk}" in caplog.text


def test_affiliate_without_access_or_blocked_can_be_viewed_and_the_banner_says_so(
    admin_client: Client, joe: Affiliate
) -> None:
    home, _, emails, _ = pages_of(joe)
    assert (
        "This affiliate has no portal access; this is what they would see." in admin_client.get(home).content.decode()
    )
    page = admin_client.get(emails).content.decode()
    assert "The shop has no e-mail address for you." in page
    assert "Save" not in page
    Affiliate.objects.update(status="blocked")
    assert "This affiliate is blocked and cannot log in." in admin_client.get(home).content.decode()


def test_viewing_is_for_staff_who_may_see_affiliates_and_deliveries(client: Client, joe: Affiliate) -> None:
    path = f"/portal/as/{joe.pk}/"
    assert client.get(path)["Location"].startswith("/admin/login/?next=/portal/as/")
    client.force_login(access.grant(joe, "a long enough passphrase"))
    assert client.get(path)["Location"].startswith("/admin/login/")
    client.force_login(User.objects.create_user("clerk", is_staff=True))
    assert client.get(path).status_code == 403
    assert client.get("/portal/as/999999/").status_code == 403


def test_delivery_of_another_affiliate_is_not_shown(admin_client: Client, joe: Affiliate) -> None:
    other = AffiliateFactory()
    callbacks_for(other, URL)
    theirs = delivered(other, "SECRET-1")
    assert admin_client.get(f"/portal/as/{joe.pk}/deliveries/{theirs.pk}/").status_code == 404
    assert admin_client.get("/portal/as/999999/").status_code == 404
