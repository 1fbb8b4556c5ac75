"""The pages on which people choose how often they are written to, and what the panel says of e-mails."""

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from affiliates.portal import access
from config.models import AlarmState, Email, EmailChoice
from config.monitoring import mail
from config.monitoring.mail import Notice
from tests.factories import AffiliateFactory, client_with

pytestmark = [pytest.mark.django_db, pytest.mark.once]
PANEL, PORTAL = "/admin/email-notifications/", "/portal/email-notifications/"


@pytest.fixture
def affiliate():
    affiliate = AffiliateFactory(email="joe@x.example")
    access.grant(affiliate, "a long passphrase")
    return affiliate


@pytest.mark.parametrize("path", [PANEL, PORTAL])
def test_person_chooses_and_sees_the_choice(client, administrator, affiliate, path):
    user = administrator if path == PANEL else affiliate.user
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    assert f"<strong>{user.email}</strong>" in client.get(path).content.decode()
    page = client.post(path, {"when": "daily"}, follow=True).content.decode()
    assert "Saved." in page
    assert mail.choice_of(user) == "daily"
    assert 'value="daily" required id="id_when_1" checked' in page
    assert "Error:" in client.post(path, {"when": "hourly"}).content.decode()
    assert mail.choice_of(user) == "daily"


def test_pages_say_that_we_write_only_if_we_do(client, administrator, affiliate, settings):
    def says(user, path):
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return "We write to" in client.get(path).content.decode()

    people = ((administrator, PANEL), (affiliate.user, PORTAL))
    assert not any(says(*each) for each in people)
    settings.EMAIL_URL = "smtp://127.0.0.1:1"
    assert all(says(*each) for each in people)
    for user, _ in people:
        mail.choose(user, EmailChoice.When.NEVER)
    assert not any(says(*each) for each in people)
    mail.choose(affiliate.user, EmailChoice.When.AT_ONCE)
    type(affiliate).objects.update(status="pending")  # nobody writes to them before they are approved
    assert not says(affiliate.user, PORTAL)
    assert not access.written_address(type(affiliate).objects.get())


def test_page_of_staff_who_may_see_no_deliveries_says_only_their_address(settings):
    settings.EMAIL_URL = "smtp://127.0.0.1:1"
    for permissions, said in (((), "Your e-mail address is"), (("view_delivery",), "We write to")):
        client = client_with(*permissions)
        User.objects.filter(pk=client.session["_auth_user_id"]).update(email="staff@x.example")
        assert f"{said} <strong>staff@x.example</strong>" in client.get(PANEL).content.decode()


def test_settings_tab_says_that_we_write_only_if_we_do(client, administrator, affiliate, settings):
    client.force_login(administrator, backend="django.contrib.auth.backends.ModelBackend")

    def says():
        return "E-mails go to joe@x.example" in client.get(affiliate.settings_url).content.decode()

    assert not says()
    settings.EMAIL_URL = "smtp://127.0.0.1:1"
    assert says()
    mail.choose(affiliate.user, EmailChoice.When.NEVER)
    assert not says()
    mail.choose(affiliate.user, EmailChoice.When.DAILY)
    assert says()
    User.objects.filter(pk=affiliate.user.pk).update(is_active=False)
    assert not says()
    User.objects.update(is_active=True)
    assert says()
    affiliate.refresh_from_db()
    access.revoke(affiliate)
    assert not says()


def test_overview_says_what_is_wrong_and_what_was_not_sent(client, administrator, settings):
    client.force_login(administrator, backend="django.contrib.auth.backends.ModelBackend")
    assert "not sent" not in client.get("/admin/").content.decode()
    AlarmState.objects.create(kind="worker", is_open=True, began_at=timezone.now())
    settings.EMAIL_URL = ""
    mail.tell([], Notice("A callback fails", ("Since today.",), "/admin/"))
    page = client.get("/admin/").content.decode()
    assert "<strong>No worker is running</strong> since" in page
    assert "A callback fails" in page
    assert "To nobody" in page
    Email.objects.update(status="refused", error="The mail server answered 550.")
    settings.EMAIL_URL = "smtp://127.0.0.1:1"
    assert "The mail server answered 550." in client.get("/admin/").content.decode()
