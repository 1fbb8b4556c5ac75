"""The languages of the portal: which one a page is in, and that its catalogues are complete."""

import gettext

import pytest

from callbacks.egress.wording import Sentence
from config.language import translated
from tests import messages


@pytest.mark.parametrize("path", messages.catalogues(), ids=lambda path: path.parent.parent.name)
def test_catalogue_has_every_text_of_the_portal_translated(path):
    translated = {(message.id, message.context) for message in messages.read(path) if all(_strings(message))}
    missing = [message.id for message in messages.wanted() if (message.id, message.context) not in translated]
    assert missing == []  # `make messages` adds them to the catalogue


@pytest.mark.parametrize("path", messages.catalogues(), ids=lambda path: path.parent.parent.name)
def test_compiled_catalogue_follows_from_its_source(path, tmp_path):
    (tmp_path / "django.mo").write_bytes(messages.compiled(messages.read(path)))
    assert _texts(path.with_suffix(".mo")) == _texts(tmp_path / "django.mo")  # `make messages` compiles it


def test_catalogue_placeholders_are_those_of_the_text():
    for path in messages.catalogues():
        for message in messages.read(path):
            for string in _strings(message):
                assert placeholders(string) <= placeholders(*_ids(message)), message.id


def _ids(message):
    return message.id if isinstance(message.id, tuple) else (message.id,)


def _strings(message):
    return message.string if isinstance(message.string, tuple) else (message.string,)


def placeholders(*texts):
    return {found for text in texts for found in messages.PLACEHOLDER.findall(text)}


def _texts(path):
    with path.open("rb") as file:
        texts = gettext.GNUTranslations(file)._catalog
    return {key: value for key, value in texts.items() if key}


# --- which language a page is in --------------------------------------------------------
SPANISH = {"Accept-Language": "es-MX,es;q=0.9,en;q=0.5"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("headers", "cookie", "language"),
    [
        ({}, "", "en"),
        (SPANISH, "", "es"),
        ({"Accept-Language": "de"}, "", "en"),
        (SPANISH, "en", "en"),
        ({}, "es", "es"),
        (SPANISH, "xx", "es"),
    ],
)
def test_portal_is_in_the_language_chosen_or_of_the_browser(client, headers, cookie, language):
    if cookie:
        client.cookies["django_language"] = cookie
    for path in ("/portal/login/", "/portal/nothing-here/"):
        answer = client.get(path, headers=headers)
        assert f'<html lang="{language}"' in answer.content.decode()
        assert answer.headers["Content-Language"] == language
        assert {"Accept-Language", "Cookie"} <= set(answer.headers["Vary"].split(", "))


@pytest.mark.django_db
def test_language_chosen_at_the_foot_is_kept(client):
    chosen = client.post("/portal/language/", {"language": "es", "next": "/portal/login/?next=/portal/verify/"})
    assert chosen.headers["Location"] == "/portal/login/?next=/portal/verify/"
    assert '<html lang="es"' in client.get("/portal/login/").content.decode()
    away = client.post("/portal/language/", {"language": "en", "next": "https://elsewhere.example/"})
    assert "elsewhere" not in away.headers["Location"]


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/admin/login/", "/admin/", "/admin/affiliates/affiliate/add/", "/nothing-here"])
def test_panel_stays_in_english(admin_client, path):
    page = admin_client.get(path, headers=SPANISH, follow=True)
    assert '<html lang="en"' in page.content.decode()
    assert page.headers["Content-Language"] == "en"
    refused = admin_client.post("/admin/affiliates/affiliate/add/", {}, headers=SPANISH).content.decode()
    assert "This field is required." in refused


def test_sentence_is_filled_in_once_whatever_its_values_hold():
    filled = Sentence("Order {number} of {shop}", number="{shop}{0.__class__}%(x)s", shop=Sentence("{{link.sub_id}}"))
    assert translated(filled) == filled == "Order {shop}{0.__class__}%(x)s of {{link.sub_id}}"
    assert translated("{a stored text}") == "{a stored text}"
