"""Other systems' placeholders in a pasted URL: where they stand, what they mean, and which of our variables says that.

Networks and trackers write `{sub1}`, `[CLICKID]`, `#s2#`, `##X##`, `${x}`, `%x%`, `<x>`, `!!!x!!!`, `__X__`, or leave
`REPLACE` and `OPTIONAL` behind. Only what stands in the place of a value or of the host is a placeholder:
`data[amount]=` is an ordinary name.
"""

import difflib
import re
from collections.abc import Container
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from callbacks.editor import spellings, statuses, trackers, url_parts
from callbacks.editor.meanings import (
    AMOUNT,
    CLICK_ID,
    CURRENCY,
    ORDER,
    PAYOUT,
    STATUS,
    VARIABLE_OF,
    meaning_of,
    without_punctuation,
)
from callbacks.editor.trackers import Tracker
from callbacks.postback import syntax, variables

FAMILIES = frozenset({"link", "query", *(name.partition(".")[0] for name in variables.NAMES)})
FILTERS = re.compile(r"\|\s*+(?:default|map)\s*+:.*", re.DOTALL)
PLAIN_NAMES = frozenset(map(without_punctuation, variables.NAMES))
# By their name without punctuation, and by what follows its dot; of two the first in the alphabet.
VARIABLE_LIKE = {
    without_punctuation(part): variable
    for variable in sorted(variables.NAMES, reverse=True)
    for part in (variable.partition(".")[2], variable)
    if part and part != "source"  # which is where the visitor came from, in other systems
}
HOST = "host"  # the meaning of a placeholder that stands in the host's place, where no variable may


@dataclass(frozen=True, slots=True)
class Macro:
    """A placeholder of another system at template[start:end]; `text` is "" where `empty` found none.

    `meaning` is what it is for, `suggestion` what to write instead; "" if that is not known. `parameter` is the name of
    the parameter it is the value of; "" in the path. `can_go`: that parameter can be left out; `should_go`: that is
    better than to send something.
    """

    text: str
    start: int
    end: int
    meaning: str = ""
    suggestion: str = ""
    parameter: str = ""
    can_go: bool = False
    should_go: bool = False


def find(template: str) -> tuple[Macro, ...]:
    """All other systems' placeholders in `template`, in order; they do not overlap."""
    masked = syntax.masked(template)
    values = url_parts.values(template)
    spans = {*spellings.in_text(masked)}.union(*(spellings.in_value(masked, value) for value in values))
    host_start, host_end = url_parts.authority_span(template)
    spans.update(match.span() for match in spellings.IN_HOST.finditer(masked, host_start, host_end))
    recognised = trackers.recognise(template)
    kept: list[tuple[int, int]] = []
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        if not kept or start >= kept[-1][1]:
            kept.append((start, end))
    # Of several in one value no one is what the parameter is for.
    joined = {
        span for pair in pairwise(kept) if spellings.JOINTS.fullmatch(template, pair[0][1], pair[1][0]) for span in pair
    }
    return tuple(
        Macro(template[start:end], start, end, HOST)
        if start < host_end
        else _macro(template, start, end, "" if (start, end) in joined else _parameter_at(template, start), recognised)
        for start, end in kept
    )


def empty(template: str, parameters: Container[str]) -> tuple[Macro, ...]:
    """The empty values of these `parameters` for which we have a variable."""
    recognised = trackers.recognise(template)
    found = (
        _macro(template, value.start, value.end, value.parameter, recognised)
        for value in url_parts.values(template)
        if value.start == value.end
        and value.parameter in parameters
        and template[value.end : value.end + 1] in {"", "&"}  # `s1=###` is not empty
    )
    return tuple(macro for macro in found if macro.suggestion and not macro.should_go)


def meant(template: str, fault: syntax.Fault) -> str:
    """What to write for a variable that does not exist, `fault`, with its filters; NAME is what only a person knows."""
    recognised = trackers.recognise(template)
    parameter = _parameter_at(template, fault.start)
    name = fault.name
    variable = ""
    if name and not _is_like_ours(name):
        meaning = _meaning_of(name, parameter, recognised)
        variable = VARIABLE_OF[meaning] if meaning else ""
        if not meaning and spellings.NUMBERED.fullmatch(name):
            variable = variables.LINK_QUERY + name
    inside = fault.fragment.partition("|")
    filters = inside[1] + inside[2].removesuffix("}}")
    return _suggestion(template, variable or nearest(name), filters, parameter, recognised)


def is_understood(template: str, fault: syntax.Fault) -> bool:
    """Whether `meant` says what was meant; else it is only the name that looks most like it."""
    name = fault.name.strip().lower()
    written = meant(template, fault).strip("{}").partition("|")[0].strip()
    return bool(
        _meaning_of(name, _parameter_at(template, fault.start), trackers.recognise(template))
        or spellings.NUMBERED.fullmatch(name)
        or _variable_like(name)
        or written.startswith(variables.LINK_QUERY)
        or difflib.get_close_matches(name, [written.lower()], n=1, cutoff=0.8)
    )


def _parameter_at(template: str, position: int) -> str:
    """The name of the parameter whose value holds this position; "" if there is none."""
    value = url_parts.value_at(template, position)
    return value.parameter if value else ""


def _is_like_ours(name: str) -> bool:
    """Whether this is one of our names with a fault in it, whatever the parameter is for."""
    lowered = name.lower()
    family = lowered.partition(".")[0]
    plain = without_punctuation(lowered)
    return (
        ("." in lowered and family in FAMILIES)
        or plain in PLAIN_NAMES
        or bool(difflib.get_close_matches(lowered, variables.NAMES, n=1, cutoff=0.85))
    )


@lru_cache(maxsize=1024)
def nearest(name: str) -> str:
    """The variable that somebody who wrote `name` most likely meant."""
    lowered = name.strip().lower() or "order.number"
    if lowered in variables.NAMES:
        return lowered
    if lowered.startswith(variables.LINK_QUERY):
        parameter = syntax.NOT_IN_A_NAME.sub("", name.strip()[len(variables.LINK_QUERY) :])
        return variables.LINK_QUERY + (parameter or "NAME")
    for candidate in (lowered, lowered.partition(".")[2]):
        if known := _variable_like(candidate):
            return known
    family, _, rest = lowered.partition(".")
    if family in {"link", "query"} and rest and not syntax.NOT_IN_A_NAME.search(rest):
        close = difflib.get_close_matches(lowered, variables.NAMES, n=1, cutoff=0.8)
        return close[0] if close else variables.LINK_QUERY + name.strip().partition(".")[2]
    return difflib.get_close_matches(lowered, sorted(variables.NAMES), n=1, cutoff=0.0)[0]


def _variable_like(name: str) -> str | None:
    """The variable whose name this is but for punctuation, or whose meaning it has."""
    return VARIABLE_LIKE.get(without_punctuation(name)) or VARIABLE_OF.get(meaning_of(name))


def _macro(template: str, start: int, end: int, parameter: str, recognised: tuple[Tracker, ...]) -> Macro:
    text = template[start:end]
    filters = FILTERS.search(spellings.decoded(text).rstrip("}% "))
    name = spellings.name_in(text[: text.find("|")] if filters else text)
    meaning, variable = _meaning(name, parameter, recognised)
    suggestion = _suggestion(template, variable, filters[0] if filters else "", parameter, recognised)
    words = variable == statuses.VARIABLE and "map:" in suggestion
    can_go = meaning != CLICK_ID and _is_whole_parameter(template, start, end, parameter)
    should_go = can_go and (
        any(parameter in tracker.dispensable for tracker in recognised)
        or (text.upper() in {"", "OPTIONAL"} and meaning in {"", STATUS} and not words)
    )
    return Macro(text, start, end, meaning, suggestion, parameter, can_go, should_go)


def _is_whole_parameter(template: str, start: int, end: int, parameter: str) -> bool:
    """Whether template[start:end] is the whole value of a parameter of the query."""
    begins = start - len(f"{parameter}=")
    return bool(parameter) and template[begins - 1 : begins] in {"?", "&"} and template[end : end + 1] in {"", "&", "#"}


def _meaning(name: str, parameter: str, recognised: tuple[Tracker, ...]) -> tuple[str, str]:
    """What a placeholder of this name in this parameter is for, and the variable that says it; "" if not known."""
    for own in (name, name.lower()):
        if syntax.is_name(own):
            return "variable in other signs", own
    meaning = _meaning_of(name, parameter, recognised)
    if not meaning and spellings.NUMBERED.fullmatch(name):
        return "link parameter", variables.LINK_QUERY + name
    return meaning, VARIABLE_OF[meaning] if meaning else ""


def _meaning_of(name: str, parameter: str, recognised: tuple[Tracker, ...]) -> str:
    """What the tracker says of this parameter, or else the name of the placeholder, or else that of the parameter."""
    of_tracker = next((one.meanings[parameter] for one in recognised if parameter in one.meanings), "")
    if not of_tracker and parameter in {one.click_id for one in recognised if one.click_id}:
        of_tracker = CLICK_ID  # whatever the other system calls it: `subid=$tid`
    named = meaning_of(name)
    if not named and meaning_of(parameter):
        named = meaning_of(spellings.WORDS_AROUND.sub("", name))  # `tid=REPLACE_CLICK_ID` is the click
    # What is no money is not sent as such: `adv_sub={order_id}` is the order's number.
    if named in {ORDER, STATUS, CURRENCY} and of_tracker in {PAYOUT, AMOUNT}:
        return named
    return of_tracker or named or meaning_of(parameter)


def _suggestion(template: str, variable: str, filters: str, parameter: str, recognised: tuple[Tracker, ...]) -> str:
    """The variable as it is written in a template, with the words that this tracker knows for a status."""
    if not variable:
        return ""
    suggestion = "{{" + variable + filters + "}}"
    if filters and not syntax.scan(suggestion)[1]:
        return suggestion
    is_status = variable == statuses.VARIABLE and parameter in {one.status for one in recognised if one.status}
    words = statuses.map_filter(template) if is_status else ""
    return "{{" + "|".join(filter(None, (variable, words))) + "}}"
