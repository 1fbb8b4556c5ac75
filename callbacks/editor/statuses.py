"""Whether a tracker understands our statuses, and how to say them in its words.

Most trackers take any word as a status. The others have `statuses` in their record (`callbacks.editor.trackers`).
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote_plus

from callbacks.editor import trackers, url_parts
from callbacks.editor.meanings import STATUS, VARIABLE_OF
from callbacks.postback import syntax

VARIABLE = VARIABLE_OF[STATUS]
# A word that can be written in the filter `map`, and is no placeholder.
WORD = re.compile(rf"""(?!(?:REPLACE|OPTIONAL)\b)[^\s"'{{}}<>\[\]#%,=|{syntax.FILLER}]+""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Misunderstood:
    """A variable at template[start:end] that sends `words` the tracker does not know, and what to write instead."""

    start: int
    end: int
    words: tuple[str, ...]
    suggestion: str
    parameter: str


@lru_cache(maxsize=256)
def known_words(template: str) -> dict[str, tuple[str, ...]]:
    """For each of our statuses the words that the tracker of this URL takes for it, the best first.

    {} if it takes any word, or if nobody knows which tracker it is.
    """
    tracker = _tracker(template)
    masked = syntax.masked(template)
    words = {}
    for ours, (name, parameter) in tracker.statuses.items() if tracker else ():
        span = url_parts.value_span(template, parameter)
        listed = unquote_plus(masked[slice(*span)]).split(",") if span else []
        words[ours] = (*filter(WORD.fullmatch, (word.strip() for word in listed)), name)
    return words


def map_filter(template: str) -> str:
    """The filter that translates our statuses into the tracker's words; "" if it needs none."""
    if not _unknown_words(template, syntax.VariableRef("", VARIABLE)):
        return ""
    pairs = (f"{ours}={words[0]}" for ours, words in known_words(template).items())
    return f'map:"{",".join(pairs)}"'


def misunderstood(template: str) -> Misunderstood | None:
    """The variable of the status, if it is sent alone and the tracker does not know all words that it sends."""
    tracker = _tracker(template)
    span = url_parts.value_span(template, tracker.status) if tracker else None
    if tracker is None or span is None:
        return None
    pieces, faults = syntax.scan(template[slice(*span)])
    piece = pieces[0] if len(pieces) == 1 and not faults else None
    if not isinstance(piece, syntax.VariableRef) or piece.name != VARIABLE:
        return None
    words = _unknown_words(template, piece)
    return Misunderstood(*span, words, _variable(template), tracker.status) if words else None


def missing(template: str) -> str:
    """The parameter to add to the URL of a tracker that is sent no status, as in `status={{...}}`; "" for others."""
    tracker = _tracker(template)
    if tracker is None:
        return ""
    span = url_parts.value_span(template, tracker.status)
    is_sent = tracker.status in url_parts.parameters_of(template) and (span is None or span[0] < span[1])
    return "" if is_sent else f"{tracker.status}={_variable(template)}"


def _tracker(template: str) -> trackers.Tracker | None:
    """The tracker of this URL that takes only certain words as a status."""
    return next((tracker for tracker in trackers.recognise(template) if tracker.statuses), None)


def _variable(template: str) -> str:
    return "{{" + "|".join(filter(None, (VARIABLE, map_filter(template)))) + "}}"


def _unknown_words(template: str, variable: syntax.VariableRef) -> tuple[str, ...]:
    """The words that `variable` sends for our statuses and that the tracker does not know."""
    sent = ((variable.value_in({VARIABLE: ours}), words) for ours, words in known_words(template).items())
    return tuple(word for word, words in sent if word not in words)
