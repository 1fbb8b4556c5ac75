"""Two people, or two tabs, with the form of one callback: what one saved is not overwritten unseen by the other."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from affiliates.models import Affiliate
from callbacks.models import CallbackSetting
from tests.callbacks.panel import URL, of
from tests.factories import CallbackSettingFactory

pytestmark = pytest.mark.django_db
MINE, THEIRS = URL + "&by=me", URL + "&by=bea"
CREATED = "created/"
SEEN = re.compile(r'name="seen" value="([0-9a-f]+)"')


@pytest.fixture
def bea() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("bea", first_name="Bea", last_name="Ng"))
    return client


def seen_in(page: str) -> str:
    found = SEEN.search(page)
    assert found
    return found.group(1)


def opened(client: Client, address: str) -> str:
    """What the form brings back of what it was opened with."""
    return seen_in(client.get(address).content.decode())


def saved() -> tuple[str, str]:
    setting = CallbackSetting.objects.get()
    return setting.method, setting.url


@pytest.mark.parametrize("headers", [{}, {"X-Requested-With": "fetch"}])
def test_form_after_somebody_else_saved_is_refused_once_and_keeps_what_was_typed(
    admin_client: Client, bea: Client, joe: Affiliate, headers: dict[str, str]
) -> None:
    form = of(joe, f"created/{CallbackSettingFactory(affiliate=joe, url=URL).pk}/")
    seen = opened(admin_client, form)
    bea.post(form, {"method": "POST", "body_format": "json", "url": THEIRS, "seen": opened(bea, form)})

    refused = admin_client.post(form, {"method": "GET", "url": MINE, "seen": seen}, headers=headers)
    text = refused.content.decode()
    assert (refused.status_code, saved()) == (422, ("POST", THEIRS))
    said = " ".join(re.sub(r"<[^>]+>", " ", text[text.index('role="alert"') : text.index("</table>")]).split())
    assert "Not saved. Bea Ng saved this callback" in said
    theirs, mine = THEIRS.replace("&", "&amp;"), MINE.replace("&", "&amp;")
    assert f"Field Saved now Yours HTTP method POST GET URL {theirs} {mine} POST body json none" in said
    assert MINE.replace("&", "&amp;") + "</textarea>" in text

    again = admin_client.post(form, {"method": "GET", "url": MINE, "seen": seen_in(text)}, headers=headers)
    assert (again.status_code, saved()) == (200 if headers else 302, ("GET", MINE))


def test_form_opened_before_somebody_else_set_the_callback_up_is_refused(
    admin_client: Client, bea: Client, joe: Affiliate
) -> None:
    seen = opened(admin_client, of(joe, CREATED))
    bea.post(of(joe, CREATED), {"method": "GET", "url": THEIRS, "seen": opened(bea, of(joe, CREATED))})
    text = admin_client.post(of(joe, CREATED), {"method": "GET", "url": MINE, "seen": seen}).content.decode()
    assert "Bea Ng saved this callback" in text
    assert saved() == ("GET", THEIRS)


def test_form_keeps_what_it_was_opened_with_while_it_is_corrected(
    admin_client: Client, bea: Client, joe: Affiliate
) -> None:
    form = of(joe, f"created/{CallbackSettingFactory(affiliate=joe, url=URL).pk}/")
    seen = opened(admin_client, form)
    bea.post(form, {"method": "GET", "url": THEIRS})
    typed = {"method": "GET", "url": URL + "&x={{clickid}}", "seen": seen}
    for button in ({}, {"look": "1"}, {"correct": "1"}):
        assert seen_in(admin_client.post(form, typed | button).content.decode()) == seen


@pytest.mark.parametrize("meanwhile", ["same", "paused", "rotated"])
def test_form_that_overwrites_nothing_of_what_was_done_meanwhile_is_saved(
    admin_client: Client, bea: Client, joe: Affiliate, meanwhile: str
) -> None:
    form = of(joe, f"created/{CallbackSettingFactory(affiliate=joe, url=URL).pk}/")
    seen = opened(admin_client, form)
    if meanwhile == "same":
        bea.post(form, {"method": "GET", "url": MINE})
    else:
        bea.post(form + {"paused": "pause/", "rotated": "secret/"}[meanwhile])
    assert admin_client.post(form, {"method": "GET", "url": MINE, "seen": seen}).status_code == 302
    assert saved() == ("GET", MINE)
