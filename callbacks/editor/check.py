"""Checks a URL that was typed or pasted: repairs it, and finds everything that is wrong with it.

`repair` repairs the paste, `postback.syntax` reads it, `macros` finds other systems' placeholders, `egress.targets`
judges the host and port, `problems` has the sentences. No name is looked up here: the guard at the socket does that.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from callbacks.editor import macros, problems, repair, url_parts
from callbacks.editor.repair import Repair
from callbacks.egress import addresses, targets
from callbacks.egress.targets import Problem
from callbacks.postback import syntax
from callbacks.postback.syntax import Piece, VariableRef

MAX_LENGTH = 2048
# A URL, white space and another URL: the white space does not come from one URL that was broken into lines.
SEVERAL = re.compile(r"\s*\S{0,3}https?://.*?[^\s=&?/#]\s+https?://", re.DOTALL | re.IGNORECASE)
MAX_PASTE = 8 * MAX_LENGTH  # a longer text is not repaired: it does not shrink to MAX_LENGTH by that


@dataclass(frozen=True, slots=True)
class Finding:
    """A typed template after its repairs. It can be saved if there are no `problems`, also with `warnings`."""

    template: str
    repairs: tuple[Repair, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def check(text: str, policy: addresses.Policy, *, send_as_typed: bool = False) -> Finding:
    """Repair `text` and say all that is wrong with it. Never raises.

    `send_as_typed`: other systems' placeholders are text like any other. The findings of the last texts are remembered,
    so that a text which was checked before a lock was taken costs no time while it is held.
    """
    if len(text) > MAX_PASTE:
        return Finding(text, problems=(_too_long(len(text)),))
    return _check(text, policy, send_as_typed=send_as_typed)


@lru_cache(maxsize=1024)
def _check(text: str, policy: addresses.Policy, *, send_as_typed: bool) -> Finding:
    if SEVERAL.match(text):  # before repairs, which join lines
        return Finding(text, problems=(_several(),))
    template, repairs = repair.repair(text)
    if SEVERAL.match(template):
        return Finding(template, repairs, (_several(),))
    if not template:
        message = "Enter the URL that the tracker gives for postbacks."
        return Finding(template, repairs, (Problem("required", message),))
    if len(template) > MAX_LENGTH:
        return Finding(template, repairs, (_too_long(len(template)),))
    pieces, faults = syntax.scan(template)
    found = () if send_as_typed else macros.find(template)
    if not send_as_typed:
        faults += _single_braces(template, found, faults)
    wrong = list(problems.from_faults(faults))
    if found:
        wrong.append(problems.from_macros(found))
    _, path_start = url_parts.authority_span(template)
    starts = [fault.start for fault in faults] + [macro.start for macro in found]
    if min(starts, default=path_start) >= path_start:  # else the host is not known yet
        wrong += _target_problems(pieces, path_start, policy)
    return Finding(template, repairs, tuple(wrong), () if wrong else tuple(_warnings(pieces)))


def _several() -> Problem:
    message = (
        "This is more than one URL. Leave one of them here; each of the others is a callback of its own, under "
        "“Add another URL”."
    )
    return Problem("several_urls", message)


def _too_long(length: int) -> Problem:
    return Problem("too_long", f"The URL has {length:,} characters; at most {MAX_LENGTH:,} are kept. Shorten it.")


def _single_braces(
    template: str, found: tuple[macros.Macro, ...], faults: tuple[syntax.Fault, ...]
) -> tuple[syntax.Fault, ...]:
    """The first brace outside of variables and macros; none if `faults` has a fault of braces already."""
    if any(fault.code == "unbalanced_braces" for fault in faults):
        return ()
    rest = syntax.masked(template)
    for macro in found:
        rest = rest[: macro.start] + syntax.FILLER * len(macro.text) + rest[macro.end :]
    single = re.search("[{}]", rest)
    if single is None:
        return ()
    return (syntax.Fault("unbalanced_braces", single.start(), syntax.excerpt(template, single.start())),)


def _target_problems(pieces: tuple[Piece, ...], path_start: int, policy: addresses.Policy) -> tuple[Problem, ...]:
    early: list[VariableRef] = []
    position = 0
    for piece in pieces:
        if isinstance(piece, VariableRef) and position < path_start:
            early.append(piece)
        position += len(piece.source)
    if early:
        return (problems.from_variables_in_host(early),)
    try:
        target = targets.read(syntax.outline(pieces).url)
    except targets.TargetError as error:
        return (error.problem,)
    return tuple(targets.problems(target, policy))


def _warnings(pieces: tuple[Piece, ...]) -> Iterator[Problem]:
    outline = syntax.outline(pieces)
    before, _, fragment = outline.url.partition("#")
    sent = before.count(outline.mark)
    unsent = tuple(variable.source for variable in outline.variables[sent:])
    if unsent:
        message = f"What follows # is never sent, so {problems.joined(unsent)} will not reach the tracker."
        yield Problem("variable_in_fragment", message, unsent)
    elif fragment:
        yield Problem("text_in_fragment", f"“#{fragment}” is never sent: a URL is sent up to the # only.")
    if targets.split(outline.url).scheme == "http":
        message = "With http:// the postback travels unencrypted. Use https:// if the tracker has it."
        yield Problem("plain_http", message)
    if not any(variable.name.startswith("link.") for variable in outline.variables[:sent]):
        message = (
            "The tracker will not know which click this was: no variable of the link is sent. "
            "Most trackers want {{link.sub_id}}."
        )
        yield Problem("no_click_id", message, suggestions=("{{link.sub_id}}",))
