"""Puts an event's values into a template. The result is the URL exactly as it goes on the wire.

The rule: quote each value with no safe characters, put it into its place, prepare the whole with `requests`. A template
renders thousands of times, so its own text is prepared once, with marks in the places of the variables.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, unquote

from callbacks.egress import targets
from callbacks.egress.wording import Sentence
from callbacks.egress.wording import Sentence as _
from callbacks.postback import syntax
from callbacks.postback.syntax import VariableRef

# For a template that was saved without a check. The form explains more, with `callbacks.editor.problems`.
UNUSABLE = {
    "unknown_variable": _("The URL of this callback cannot be sent: the variable {found} does not exist."),
    "unbalanced_braces": _("The URL of this callback cannot be sent: the braces do not match at {found}."),
    "unknown_filter": _("The URL of this callback cannot be sent: the filter in {found} is unknown or misspelled."),
    "variable_in_host": _("The URL of this callback cannot be sent: {found} is in the host."),
}
DOTS = frozenset({".", ".."})
_is_plain = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch  # nothing to quote, as with most values


class RenderError(Exception):
    """The postback cannot be sent, and another attempt does not help. The message is a sentence that says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class _Step:
    """The text before a variable, and the variable."""

    before: str
    variable: VariableRef
    in_path: bool


@dataclass(frozen=True, slots=True)
class _Plan:
    """A template prepared for rendering.

    `dotted` are the segments of the path that may become `.` or `..`, as texts and numbers of variables.
    `is_prepared`: the texts are canonical already and only need to be joined with the values.
    """

    steps: tuple[_Step, ...]
    tail: str
    dotted: tuple[tuple[str | int, ...], ...]
    is_prepared: bool
    is_query_all_variables: bool


def render(template: str, values: Mapping[str, str]) -> str:
    """The URL exactly as it goes on the wire, without fragment; raises RenderError and nothing else."""
    plan = _plan(template)
    parts: list[str] = []
    plain: list[str] = []
    for step in plan.steps:
        value = step.variable.value_in(values)
        if step.in_path and value in DOTS:
            raise _dots(step.variable.source, value)
        plain.append(value)
        parts += (step.before, value if _is_plain(value) else quote(value, safe="", errors="replace"))
    for segment in plan.dotted:
        joined = "".join(plain[item] if isinstance(item, int) else item for item in segment)
        if joined in DOTS:
            raise _dots("a part of the path", joined)
    parts.append(plan.tail)
    url = "".join(parts)
    if plan.is_prepared:
        return url[:-1] if plan.is_query_all_variables and url.endswith("?") else url
    return _sent(url)


@lru_cache(maxsize=1024)
def _plan(template: str) -> _Plan:
    pieces, faults = syntax.scan(template)
    if faults:
        raise _unusable(faults[0].code, faults[0].fragment)
    outline = syntax.outline(pieces)
    sent = _sent(outline.url)
    mark, typed = outline.mark, outline.url.partition("#")[0]
    parts = targets.split(typed)
    in_path, in_query = parts.path.count(mark), parts.query.count(mark)
    variables = outline.variables[: in_path + in_query]
    if typed.count(mark) != len(variables):
        raise _unusable("variable_in_host", outline.variables[0].source)
    # `requests` resolves dot segments that were typed, together with what stands around them, so values come first.
    segments = parts.path.split("/")
    is_prepared = DOTS.isdisjoint(segments) and sent.count(mark) == len(variables)
    *texts, tail = (sent if is_prepared else typed).split(mark)
    return _Plan(
        steps=tuple(
            _Step(before, variable, number < in_path)
            for number, (before, variable) in enumerate(zip(texts, variables, strict=True))
        ),
        tail=tail,
        dotted=_dotted(segments, mark),
        is_prepared=is_prepared,
        is_query_all_variables=bool(in_query) and not parts.query.replace(mark, ""),
    )


def _sent(url: str) -> str:
    try:
        return targets.read(url).url
    except targets.TargetError as error:
        sentence = _("The URL of this callback cannot be sent. {problem}", problem=error.problem.message)
        raise RenderError(error.problem.code, sentence) from error


def _dotted(segments: list[str], mark: str) -> tuple[tuple[str | int, ...], ...]:
    """The segments made of dots and variables, except those of a single variable, which `render` checks itself."""
    found: list[tuple[str | int, ...]] = []
    number = 0
    for segment in segments:
        first, *others = segment.split(mark)
        items: list[str | int] = [unquote(first)]
        for text in others:
            items += (number, unquote(text))
            number += 1
        texts = "".join(item for item in items if isinstance(item, str))
        if len(items) > 1 and texts.strip(".") == "" and (texts or len(items) > 3):
            found.append(tuple(items))
    return tuple(found)


def _unusable(code: str, found: str) -> RenderError:
    return RenderError(code, Sentence(UNUSABLE[code], found=found))


def _dots(what: str, value: str) -> RenderError:
    message = _(
        "Not sent: {what} became “{value}”, which changes the path of the URL. Use the variable after the ? instead.",
        what=what,
        value=value,
    )
    return RenderError("dot_segment", message)
