"""What a page says that is not marked for translation, found with a language that wraps every text in ⟦…⟧.

What comes out of the database is data, and so is code. The rest is a text that somebody forgot to mark.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from gettext import NullTranslations
from html.parser import HTMLParser

from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import Permission
from django.utils.translation import trans_real
from django.utils.translation.trans_real import CONTEXT_SEPARATOR

from callbacks.postback.variables import NAMES

OPEN, CLOSE = "⟦", "⟧"
SEEN = ("alt", "aria-label", "aria-description", "placeholder", "title", "data-label")
NOT_READ = {"script", "style", "template", "code", "pre", "kbd"}
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr", "use"}
# Names, and units that are the same everywhere.
SAME_EVERYWHERE = (
    *("Affiliate Postbacks", "Standard Webhooks", "English", "Español", "Python", "Node", "PHP", "GET", "POST", "JSON"),
    *("HMAC-SHA256", "UTC", "URL", "CSV", "API", "TLS", "DNS", "ms", "md5", *NAMES),
)
# Dates, addresses, and what Django shows of the hash of a password.
NO_TEXT = re.compile(r"\b\d{1,2} [A-Z][a-z]{2} \d{4}\b|https?://\S+|\b[0-9A-Za-z]{2,6}\*+")
WORD = re.compile(r"[^\W\d_]{2,}")


class Marked(NullTranslations):
    """Every text is translated into itself, between marks."""

    def gettext(self, message):
        text = message.rpartition(CONTEXT_SEPARATOR)[2]
        return f"{OPEN}{text}{CLOSE}" if text else text

    def ngettext(self, singular, plural, number):
        return self.gettext(singular if number == 1 else plural)

    def language(self):
        return settings.LANGUAGE_CODE

    def to_language(self):
        return settings.LANGUAGE_CODE


@contextmanager
def marked_language() -> Iterator[None]:
    """English and Spanish are this language meanwhile."""
    before, default = dict(trans_real._translations), trans_real._default
    trans_real._translations.update({code: Marked() for code, _ in settings.LANGUAGES})
    trans_real._default = None
    try:
        yield
    finally:
        trans_real._translations.clear()
        trans_real._translations.update(before)
        trans_real._default = default
        trans_real.deactivate()


class _Outside(HTMLParser):
    """Collects what is read outside of the marks, a text after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.depth = 0
        self.not_read: list[str] = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        names = [*SEEN, *(["value"] if tag == "input" and given.get("type") in {"submit", "button"} else [])]
        self.texts += [outside(given[name])[0] for name in names if given.get(name)]
        if tag not in VOID and (self.not_read or tag in NOT_READ or given.get("translate") == "no"):
            self.not_read.append(tag)

    def handle_endtag(self, tag):
        if self.not_read and tag not in VOID:
            self.not_read.pop()

    def handle_data(self, data):
        text, self.depth = outside(data, self.depth)
        if not self.not_read:
            self.texts.append(text)


def outside(text: str, depth: int = 0) -> tuple[str, int]:
    kept = []
    for letter in text:
        depth += (letter == OPEN) - (letter == CLOSE)
        if not depth and letter != CLOSE:
            kept.append(letter)
    return "".join(kept), depth


def stored() -> set[str]:
    """Every text in the database, but for words of ours: the values of choices, and the names of models."""
    found: set[str] = set()
    for model in apps.get_models():
        if model._meta.app_label not in {"contenttypes", "sessions"} and model is not Permission:
            columns = [field.attname for field in model._meta.concrete_fields if not field.choices]
            for row in model._default_manager.values_list(*columns):
                found.update(_texts(row))
    # Permissions are listed by the names that Django made of those of the models.
    found.update(name.removeprefix("Can ").capitalize() for name in Permission.objects.values_list("name", flat=True))
    return found


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from (*_texts(key), *_texts(each))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str) and WORD.search(value):
        yield value


def untranslated(page: str, data: Iterable[str]) -> list[str]:
    """The texts of this HTML that are neither marked nor `data`."""
    parser = _Outside()
    parser.feed(page)
    known = sorted({*data, *SAME_EVERYWHERE}, key=len, reverse=True)
    found = []
    for text in parser.texts:
        left = NO_TEXT.sub(" ", text)
        for each in known:
            if WORD.search(left) is None:
                break
            if each in left:
                left = re.sub(rf"(?<!\w){re.escape(each)}(?!\w)", " ", left)
        if WORD.search(left):
            found.append(" ".join(left.split()).strip(" ·,;"))
    return list(dict.fromkeys(found))
