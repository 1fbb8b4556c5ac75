"""Which affiliate is meant by what somebody typed: a code, a name, an e-mail address, or what was suggested."""

import re

from django.core.exceptions import ValidationError
from django.db.models import Case, Q, When

from affiliates.models import Affiliate

SUGGESTED, NAMED = 20, 3  # in the list below the field; in the sentence of a refusal
LONGEST = 400
PRIMARY_KEY = re.compile(r"[0-9]{1,18}")
WRITTEN = re.compile(r"\((?P<code>[\w.~-]+)\)\Z")


def written(affiliate: Affiliate) -> str:
    """`Joe's Coffee Blog (joe)`: names may be shared, codes are not."""
    return f"{affiliate.name} ({affiliate.code})"


def suggest(text: str) -> list[Affiliate]:
    """Those whose name, code or e-mail address holds `text`, who may be `written` so; who has it as a code is first."""
    text = text.strip().replace("\0", "")  # which PostgreSQL takes in no text
    part = WRITTEN.sub("", text).strip() or text
    held = Q(name__icontains=part) | Q(code__icontains=part) | Q(email__icontains=part)
    is_code = Case(When(code__iexact=part, then=0), default=1)
    return list(Affiliate.objects.filter(held).order_by(is_code, "name", "pk")[:SUGGESTED])


def meant_by(text: str) -> Affiliate:
    """The one that is meant. Raises `ValidationError` with code `unknown_affiliate` or `several_affiliates`.

    Nobody is guessed at: what goes to a tracker is not taken back.
    """
    in_brackets = WRITTEN.search(text)
    codes = [text, *([in_brackets["code"]] if in_brackets else [])]
    for affiliate in Affiliate.objects.filter(code__in=codes):
        if text in {affiliate.code, written(affiliate)}:
            return affiliate
    called_so = Q(name__iexact=text) | Q(email__iexact=text) | Q(code__iexact=text)
    named = list(Affiliate.objects.filter(called_so).order_by("pk")[: NAMED + 1])
    if len(named) == 1:
        return named[0]
    if not named and PRIMARY_KEY.fullmatch(text) and (by_key := Affiliate.objects.filter(pk=text).first()):
        return by_key  # as scripts fill in a form of Django's
    if named:
        sentence, code = "Several have this name or code; type the code of one: %(names)s.", "several_affiliates"
    elif named := suggest(text):
        sentence, code = "Nobody has this code, name or e-mail. Is one of them meant: %(names)s?", "unknown_affiliate"
    else:
        sentence, code = "Nobody has this code, name or e-mail.", "unknown_affiliate"
    names = ", ".join(written(affiliate) for affiliate in named[:NAMED]) + (" …" if len(named) > NAMED else "")
    raise ValidationError(sentence, code=code, params={"names": names})
