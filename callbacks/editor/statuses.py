"""The words by which a tracker knows what became of an order, where it does not know ours.

Pure. Keitaro counts a conversion by `lead`, `sale` and `rejected`, and by the words that the lists in its own URL
(`lead_status=new,hold`) translate to these: https://docs.keitaro.io, "Postback", status transformations.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote_plus

from callbacks.postback import syntax

STATUS = "order.status"
KEITARO = re.compile(r"/postback/?\?(?:[^#]*&)?subid=")
LISTS = {
    "new": ("lead", "lead_status"),
    "approved": ("sale", "sale_status"),
    "rejected": ("rejected", "rejected_status"),
}
PARAMETER = re.compile(r"[?&]status=(?P<value>[^&#]*)")
# What can be written in a map, and stands for no value.
WORD = re.compile(rf"""(?!(?:REPLACE|OPTIONAL)\b)[^\s"'{{}}<>\[\]#%,=|{syntax.FILLER}]+""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Misunderstood:
    """A variable at template[start:end] that sends `words` the tracker does not know, and what to write instead."""

    start: int
    end: int
    words: tuple[str, ...]
    suggestion: str


def known(template: str) -> dict[str, tuple[str, ...]]:
    """For each of our statuses the words that the tracker of this URL takes for it, the best first; {} if unknown."""
    masked = syntax.masked(template)
    if not KEITARO.search(masked):
        return {}
    words = {}
    for ours, (name, parameter) in LISTS.items():
        listed = re.search(rf"[?&]{parameter}=([^&#]*)", masked)
        own = [word.strip() for word in unquote_plus(listed[1]).split(",")] if listed else []
        words[ours] = (*filter(WORD.fullmatch, own), name)
    return words


def filters(template: str) -> str:
    """The filter that says a status in the tracker's words; "" if it knows ours, or nobody knows which it knows."""
    if not _unknown(template, ()):
        return ""
    pairs = (f"{ours}={words[0]}" for ours, words in known(template).items())
    return f'map:"{",".join(pairs)}"'


def misunderstood(template: str) -> Misunderstood | None:
    """The variable that is all that is sent as the status, if the tracker does not know what some of it means."""
    value = PARAMETER.search(syntax.masked(template))
    if value is None:
        return None
    start, end = value.span("value")
    pieces, faults = syntax.scan(template[start:end])
    piece = pieces[0] if len(pieces) == 1 and not faults else None
    if not isinstance(piece, syntax.VariableRef) or piece.name != STATUS:
        return None
    words = _unknown(template, piece.filters)
    told = "|".join(part for part in (STATUS, filters(template)) if part)
    return Misunderstood(start, end, words, f"{{{{{told}}}}}") if words else None


def is_empty(template: str) -> bool:
    """Whether there is the parameter of the status, and nothing in it."""
    value = PARAMETER.search(syntax.masked(template))
    return value is not None and not value["value"]


def _unknown(template: str, through: tuple[syntax.Filter, ...]) -> tuple[str, ...]:
    """What is sent for our statuses `through` these filters, and is none of the tracker's words for it."""
    unknown = []
    for ours, words in known(template).items():
        said = ours
        for filter_ in through:
            said = filter_(said)
        if said not in words:
            unknown.append(said)
    return tuple(unknown)
