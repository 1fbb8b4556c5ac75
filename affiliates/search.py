"""Finds the affiliate that is meant: by what somebody typed, by the code that came with an order, or by a link."""

import html
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator
from urllib.parse import unquote

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import Case, Q, When
from django.utils.translation import gettext as _

from affiliates import referral
from affiliates.models import Affiliate, AffiliateAlias, validate_text

MAX_SUGGESTED = 20  # below the field
MAX_NAMED = 3  # in an error
MAX_LENGTH = 400  # of what is typed
LABEL = re.compile(r"\((?P<code>[\w.~-]+)\)\Z")
_CODE = re.compile(r"[\w.~-]+")
_NO_CODE = re.compile(r"[^\w.~-]+")
_INVISIBLE = str.maketrans("", "", referral.BLANKS.replace(" ", ""))


def label_of(affiliate: Affiliate) -> str:
    """`Joe's Coffee Blog (joe)`: names may be shared, codes are not."""
    return f"{affiliate.name} ({affiliate.code})"


def suggest(text: str) -> list[Affiliate]:
    """Those whose name, code, earlier code or e-mail contains `text`, which may be a label; exact codes come first."""
    text = text.strip().replace("\0", "")  # PostgreSQL refuses NUL in texts
    part = LABEL.sub("", text).strip() or text
    is_code = Case(When(code__iexact=part, then=0), default=1)
    return list(Affiliate.objects.filter(matches(part)).order_by(is_code, "name", "pk")[:MAX_SUGGESTED])


def matches(part: str) -> Q:
    """That the name, code, earlier code or e-mail of an affiliate contains `part`."""
    aliased = AffiliateAlias.objects.filter(code__icontains=part).values("affiliate")
    return Q(name__icontains=part) | Q(code__icontains=part) | Q(email__icontains=part) | Q(pk__in=aliased)


def identify(text: str) -> Affiliate:
    """The only affiliate that `text` names. Raises `ValidationError` (`unknown_affiliate`, `several_affiliates`).

    There is no guessing, because a postback cannot be taken back.
    """
    in_brackets = LABEL.search(text)
    codes = [text, *([in_brackets["code"]] if in_brackets else [])]
    for affiliate in Affiliate.objects.filter(code__in=codes):
        if text in {affiliate.code, label_of(affiliate)}:
            return affiliate
    aliased = AffiliateAlias.objects.filter(code__iexact=text).values("affiliate")
    exactly = Q(name__iexact=text) | Q(email__iexact=text) | Q(code__iexact=text) | Q(pk__in=aliased)
    named = list(Affiliate.objects.filter(exactly).order_by("pk")[: MAX_NAMED + 1])
    if len(named) == 1:
        return named[0]
    if named:
        sentence, code = _("Several affiliates match. Enter the code of one: %(names)s."), "several_affiliates"
    elif named := suggest(text):
        sentence, code = _("No affiliate has this code, name or e-mail. Did you mean %(names)s?"), "unknown_affiliate"
    else:
        sentence, code = _("No affiliate has this code, name or e-mail."), "unknown_affiliate"
    names = ", ".join(label_of(affiliate) for affiliate in named[:MAX_NAMED]) + (" …" if len(named) > MAX_NAMED else "")
    raise ValidationError(sentence, code=code, params={"names": names})


# --- codes that came with an order ---------------------------------------------
def by_code(text: str) -> Affiliate | None:
    """The affiliate whose code, or earlier code, `text` is; else the only one that it can mean; else None.

    It can mean a code in spite of its letter case, of how its characters are composed, and of what sticks to it:
    slashes, quotes, white space, a percent-encoded tail.
    """
    return by_codes([text]).get(text)


def by_codes(texts: Collection[str]) -> dict[str, Affiliate]:
    """As `by_code` for each, in at most five queries; what names nobody is not in it."""
    begun = {text: text[:MAX_LENGTH] for text in texts}
    storable = {code for code in begun.values() if _is_storable(code)}
    found = {affiliate.code: affiliate for affiliate in Affiliate.objects.filter(code__in=storable)} if storable else {}
    if missing := storable - found.keys():
        aliases = AffiliateAlias.objects.filter(code__in=missing).select_related("affiliate")
        found |= {alias.code: alias.affiliate for alias in aliases}
    if meant := _meant_by({code for code in begun.values() if code not in found}):
        affiliates = Affiliate.objects.in_bulk(set(meant.values()))
        found |= {code: affiliates[pk] for code, pk in meant.items() if pk in affiliates}
    return {text: found[code] for text, code in begun.items() if code in found}


def _is_storable(text: str) -> bool:
    """Whether a column can hold it."""
    try:
        validate_text(text)
    except ValidationError:
        return False
    return True


def _meant_by(texts: Collection[str]) -> dict[str, int]:
    """The keys of the affiliates that these mean though no code is exactly like them."""
    readings = {text: _readings(text) for text in texts}
    meant = {text: codes for text in texts if (codes := {*_meant(readings[text])} - {""})}
    if not meant:
        return {}
    # In Python, because SQLite folds the case of ASCII only, and no database folds what is composed otherwise.
    known = [*Affiliate.objects.values_list("pk", "code"), *AffiliateAlias.objects.values_list("affiliate", "code")]
    owners: dict[str, set[int]] = defaultdict(set)
    for pk, code in known:
        owners[_folded(code)].add(pk)
    only = {}
    for text, codes in meant.items():
        found = set().union(*(owners.get(code, ()) for code in codes))
        if found:
            found = found.union(*(owners.get(code, ()) for code in _beside(readings[text][-1])))
        if len(found) == 1:
            only[text] = found.pop()
    return only


def code_in(url: str) -> str:
    """The code in one of the link's referral parameters; "" if there is none."""
    return referral.value_in(url, settings.REFERRAL_PARAMETERS)


def named_by(url: str) -> Affiliate | None:
    """The affiliate whose code is in a referral parameter of the link, or None."""
    code = code_in(url)
    return by_code(code) if code else None


def _readings(text: str) -> list[str]:
    """`text`, folded, and what it is decoded, the last one completely."""
    readings = [_folded(text)]
    for _again in range(3):  # as often as software on the way encodes once more
        readings.append(_folded(html.unescape(unquote(readings[-1]))))
    return readings


def _meant(readings: list[str]) -> Iterator[str]:
    """The codes that may be meant."""
    for reading in readings:
        core = _NO_CODE.sub(" ", reading).strip(" ")
        if " " not in core:
            yield from (core, core.strip("._~-"))
    # A tail behind a character that no code has. Behind a space it may be the rest of a name, so that is no tail.
    begun = _CODE.match(readings[-1].lstrip("\"'`\u201c\u2018\u00ab<([{/ "))
    if begun and not begun.string.startswith((" ", "+"), begun.end()):
        yield from (begun.group(), begun.group().strip("._~-"))


def _beside(text: str) -> list[str]:
    """What else in `text` could be a code, as in `joe,marta`. What begins like parameters of a link is none."""
    return _CODE.findall(re.split("[?&#=%]", text, maxsplit=1)[0])


def _folded(code: str) -> str:
    composed = unicodedata.normalize("NFKC", code).translate(_INVISIBLE).casefold()
    return unicodedata.normalize("NFKC", composed)
