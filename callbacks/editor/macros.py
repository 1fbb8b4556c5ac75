"""Other systems' placeholders in a pasted URL: where they stand, what they mean, and which of our variables says that.

Networks and trackers write `{sub1}`, `[CLICKID]`, `#s2#`, `##X##`, `${x}`, `%x%`, `<x>`, `!!!x!!!`, `__X__`, or leave
`REPLACE` and `OPTIONAL` behind. Only what stands in the place of a value or of the host is a placeholder:
`data[amount]=` is an ordinary name.
"""

import difflib
import re
from bisect import bisect_right
from collections.abc import Container
from dataclasses import dataclass
from urllib.parse import unquote

from callbacks.editor import statuses, trackers, url_parts
from callbacks.editor.meanings import CLICK_ID, STATUS, VARIABLE_OF, meaning_of, without_punctuation
from callbacks.editor.trackers import Tracker
from callbacks.postback import syntax, variables

HOST = "host"  # the meaning of a placeholder that stands in the host's place, where no variable may
ANYWHERE = re.compile(
    r"[$%@]?(?<!\{)\{[^{}]*\}(?!\})"
    r"|(?i:%7B){1,2}[A-Za-z_][\w.-]*(?i:%7D){1,2}"  # {x}, encoded on its way
    r"|<{1,2}[A-Za-z_][^<>{}&=/?#]*>{1,2}"
    r"|\#{1,3}[A-Za-z_][\w.-]*\#{1,3}|\#{3,}"
    r"|!{2,3}[A-Za-z_][\w.-]*!{2,3}"  # !!!clickref!!!
    r"|%%[A-Za-z_][\w.-]*%%|\[%[A-Za-z_][\w.-]*%\]"
    r"|%(?![0-9A-Fa-f]{2})[A-Za-z_][\w.-]*%"  # %click_id%: no escape begins there
    r"|(?<=[=/])%[A-Za-z_][\w.-]{2,}%(?=[&/\#;]|\Z)"  # %affid%: begins like an escape, but ends like none
)
IN_VALUE = re.compile(r"\[{1,2}[A-Za-z_][\w .-]*\]{1,2}|(?i:%5B){1,2}[A-Za-z_][\w .-]*(?i:%5D){1,2}")
IN_HOST = re.compile(r"\[(?=[^\[\]]*[G-Zg-z_])[A-Za-z_][^\[\]:]*\]")
WHOLE_VALUE = re.compile(
    r"REPLACE(?:_?[A-Z0-9])*|OPTIONAL(?:_[A-Z0-9]+)*|X{3,}|MACRO|(?:YOUR|INSERT|ENTER|PASTE)[_-][A-Z0-9_-]+|[A-Z][A-Z0-9_]*_HERE"
    r"|__[A-Z][A-Z0-9_]*__"
    r"|(?:CLICK|TRANSACTION|TRANS|SUB|ORDER|EXTERNAL|CONVERSION|AFF_CLICK|TX)_?ID|AFF_SUB[0-9]?|SUB[1-9]"
    r"|(?:SALE_|ORDER_|COMMISSION_)?AMOUNT|PAYOUT|REVENUE|COMMISSION|CURRENCY|STATUS|EVENT_(?:TYPE|NAME)"
)
LEFTOVER = re.compile("replace|optional", re.IGNORECASE)  # in small letters only as the value of a known parameter
NUMBERED = re.compile(r"(?:aff_?)?sub_?(?:id)?_?[0-9]+", re.IGNORECASE)


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
    values = sorted(url_parts.values(template), key=lambda value: value.start)
    # Braces around nothing but a variable of ours are a brace too many, not a placeholder.
    spans = {m.span() for m in ANYWHERE.finditer(masked) if set(m.group().strip("${} ")) != {syntax.FILLER}}
    for value in values:
        spans.update(match.span() for match in IN_VALUE.finditer(masked, value.start, value.end))
        is_leftover = LEFTOVER.fullmatch(masked, value.start, value.end) and meaning_of(value.parameter)
        if is_leftover or WHOLE_VALUE.fullmatch(masked, value.start, value.end):
            spans.add((value.start, value.end))
    host_start, host_end = url_parts.authority_span(template)
    spans.update(match.span() for match in IN_HOST.finditer(masked, host_start, host_end))
    recognised = trackers.recognise(template)
    found: list[Macro] = []
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        if found and start < found[-1].end:
            continue
        if start < host_end:
            found.append(Macro(template[start:end], start, end, HOST))
            continue
        at = bisect_right(values, start, key=lambda value: value.start) - 1
        parameter = values[at].parameter if at >= 0 and start <= values[at].end else ""
        found.append(_macro(template, start, end, parameter, recognised))
    return tuple(found)


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
    plain = without_punctuation(name)
    for variable in sorted(variables.NAMES):
        if plain and plain in {without_punctuation(part) for part in (variable, variable.partition(".")[2])}:
            return variable
    return VARIABLE_OF.get(meaning_of(name))


def _macro(template: str, start: int, end: int, parameter: str, recognised: tuple[Tracker, ...]) -> Macro:
    text = template[start:end]
    name, bar, filters = unquote(text).strip("${}[]#%<>!@ ").partition("|")
    meaning, variable = _meaning(name.strip(), parameter, recognised)
    is_status = meaning == STATUS and parameter and parameter in {tracker.status for tracker in recognised}
    words = statuses.map_filter(template) if is_status and not bar else ""
    if words:
        bar, filters = "|", words
    suggestion = "{{" + variable + bar + filters + "}}" if variable else ""
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
    of_trackers = (tracker.meanings[parameter] for tracker in recognised if parameter in tracker.meanings)
    meaning = next(of_trackers, "") or meaning_of(name) or meaning_of(parameter)
    if not meaning and NUMBERED.fullmatch(name):
        return "link parameter", variables.LINK_QUERY + name
    return meaning, VARIABLE_OF[meaning] if meaning else ""
