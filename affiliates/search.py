"""Finds the affiliate that somebody typed: by code, name, e-mail address or label."""

import re

from django.core.exceptions import ValidationError
from django.db.models import Case, Q, When

from affiliates.models import Affiliate

MAX_SUGGESTED = 20  # below the field
MAX_NAMED = 3  # in an error
MAX_LENGTH = 400  # of what is typed
LABEL = re.compile(r"\((?P<code>[\w.~-]+)\)\Z")


def label_of(affiliate: Affiliate) -> str:
    """`Joe's Coffee Blog (joe)`: names may be shared, codes are not."""
    return f"{affiliate.name} ({affiliate.code})"


def suggest(text: str) -> list[Affiliate]:
    """Those whose name, code or e-mail address contains `text`, which may be a label; exact codes come first."""
    text = text.strip().replace("\0", "")  # PostgreSQL refuses NUL in texts
    part = LABEL.sub("", text).strip() or text
    matches = Q(name__icontains=part) | Q(code__icontains=part) | Q(email__icontains=part)
    is_code = Case(When(code__iexact=part, then=0), default=1)
    return list(Affiliate.objects.filter(matches).order_by(is_code, "name", "pk")[:MAX_SUGGESTED])


def identify(text: str) -> Affiliate:
    """The only affiliate that `text` names. Raises `ValidationError` (`unknown_affiliate`, `several_affiliates`).

    There is no guessing, because a postback cannot be taken back.
    """
    in_brackets = LABEL.search(text)
    codes = [text, *([in_brackets["code"]] if in_brackets else [])]
    for affiliate in Affiliate.objects.filter(code__in=codes):
        if text in {affiliate.code, label_of(affiliate)}:
            return affiliate
    matches = Q(name__iexact=text) | Q(email__iexact=text) | Q(code__iexact=text)
    named = list(Affiliate.objects.filter(matches).order_by("pk")[: MAX_NAMED + 1])
    if len(named) == 1:
        return named[0]
    if named:
        sentence, code = "Several have this name or code; type the code of one: %(names)s.", "several_affiliates"
    elif named := suggest(text):
        sentence, code = "Nobody has this code, name or e-mail. Is one of them meant: %(names)s?", "unknown_affiliate"
    else:
        sentence, code = "Nobody has this code, name or e-mail.", "unknown_affiliate"
    names = ", ".join(label_of(affiliate) for affiliate in named[:MAX_NAMED]) + (" …" if len(named) > MAX_NAMED else "")
    raise ValidationError(sentence, code=code, params={"names": names})
