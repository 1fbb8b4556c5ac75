"""Checks a URL that was typed or pasted: repairs it, and finds everything that is wrong with it.

`repair` repairs the paste, `postback.syntax` reads it, `macros` finds other systems' placeholders, `egress.targets`
judges the host and port, `problems` has the sentences of what forbids saving. No name is looked up here: the guard at
the socket does that.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from callbacks.editor import macros, problems, repair, safe_links, url_parts
from callbacks.editor.problems import joined
from callbacks.editor.repair import Repair
from callbacks.egress import addresses, targets
from callbacks.egress.targets import Problem
from callbacks.egress.wording import Sentence as _
from callbacks.postback import syntax
from callbacks.postback.syntax import Piece, VariableRef

MAX_LENGTH = 2048
# A URL, white space and another URL: the white space does not come from one URL that was broken into lines.
SEVERAL = re.compile(r"\s*\S{0,3}https?://.*?[^\s=&?/#]\s+https?://", re.DOTALL | re.IGNORECASE)
WEB_URL = re.compile(r"https?://(?P<host>[^/?#]*?)(?::(?:80|443))?(?P<rest>[/?#].*|)\Z", re.DOTALL | re.IGNORECASE)
FREE_TEXT = ("order.number", "link.", "affiliate.code")  # variables whose value may hold a /
APPS_SCRIPT = "script.google.com"
SHORTENERS = frozenset({"bit.ly", "tinyurl.com", "t.co", "goo.gl", "rebrand.ly", "cutt.ly", "is.gd", "ow.ly", "t.ly"})
MAX_PASTE = 8 * MAX_LENGTH  # a longer text is not repaired: it does not shrink to MAX_LENGTH by that


@dataclass(frozen=True, slots=True)
class Finding:
    """A typed template after its repairs. It can be saved if there are no `problems`, also with `warnings`.

    `suggests_json`: it has no variable, so that only a POST with a JSON body would tell one order from another.
    """

    template: str
    repairs: tuple[Repair, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    suggests_json: bool = False


def check(text: str, policy: addresses.Policy, *, send_as_typed: bool = False, sends_json: bool = False) -> Finding:
    """Repair `text` and say all that is wrong with it. Never raises.

    `send_as_typed`: other systems' placeholders are text like any other. `sends_json`: the body has the whole order and
    link. The findings of the last texts are remembered, so that a text which was checked before a lock was taken costs
    no time while it is held.
    """
    if len(text) > MAX_PASTE:
        return Finding(text, problems=(_too_long(len(text)),))
    return _check(text, policy, send_as_typed=send_as_typed, sends_json=sends_json)


def is_same_url(template: str, other: str) -> bool:
    """Whether two templates call the same URL: with http or https, a variable with or without blanks inside."""
    return _comparable(template) == _comparable(other)


@lru_cache(maxsize=1024)
def _check(text: str, policy: addresses.Policy, *, send_as_typed: bool, sends_json: bool) -> Finding:
    if SEVERAL.match(text):  # before repairs, which join lines
        return Finding(text, problems=(_several(),))
    template, repairs = repair.repair(text)
    if SEVERAL.match(template):
        return Finding(template, repairs, (_several(),))
    if not template:
        message = _("Enter the postback URL of the tracker.")
        return Finding(template, repairs, (Problem("required", message),))
    if len(template) > MAX_LENGTH:
        return Finding(template, repairs, (_too_long(len(template)),))
    pieces, faults = syntax.scan(template)
    found = () if send_as_typed else macros.find(template)
    if not send_as_typed:
        faults += _single_braces(template, found, faults)
    wrong = list(problems.from_faults(template, faults))
    if found:
        wrong.append(problems.from_macros(found))
    path_start = url_parts.authority_span(template)[1]
    starts = [fault.start for fault in faults] + [macro.start for macro in found]
    if min(starts, default=path_start) >= path_start:  # else the host is not known yet
        wrong += _target_problems(pieces, path_start, policy)
    if wrong:
        return Finding(template, repairs, tuple(wrong))
    suggests_json = not sends_json and not any(isinstance(piece, VariableRef) for piece in pieces)
    return Finding(template, repairs, (), tuple(_warnings(pieces, sends_json=sends_json)), suggests_json)


def _several() -> Problem:
    message = _("This is more than one URL. Keep one here, and add each of the others with “Add another URL”.")
    return Problem("several_urls", message)


def _too_long(length: int) -> Problem:
    message = _(
        "The URL has {length:,} characters; the limit is {limit:,}. Shorten it.", length=length, limit=MAX_LENGTH
    )
    return Problem("too_long", message)


def _comparable(template: str) -> tuple[str, str, str]:
    """What is alike for two templates that call the same URL: host, path and query without what makes no difference."""
    masked = syntax.with_variables(template, lambda source: source.replace(" ", ""))
    parts = WEB_URL.match(masked)
    host, rest = (parts["host"].lower(), parts["rest"]) if parts else ("", masked)
    path, _mark, query = rest.partition("#")[0].partition("?")
    return host, path.rstrip("/"), query


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


def _warnings(pieces: tuple[Piece, ...], *, sends_json: bool) -> Iterator[Problem]:
    outline = syntax.outline(pieces)
    before, _mark, fragment = outline.url.partition("#")
    sent = before.count(outline.mark)
    unsent = tuple(variable.source for variable in outline.variables[sent:])
    if unsent:
        message = _("Nothing after # is sent, so {variables} does not reach the tracker.", variables=joined(unsent))
        yield Problem("variable_in_fragment", message, unsent)
    elif fragment:
        message = _("“#{fragment}” is not sent. Nothing after # reaches the tracker.", fragment=fragment)
        yield Problem("text_in_fragment", message)
    parts = targets.split(outline.url)
    if parts.scheme == "http":
        message = _("http:// sends the postback unencrypted. Use https:// if the tracker supports it.")
        yield Problem("plain_http", message)
    yield from _of_host(parts.hostname or "")
    in_path = outline.variables[: before.partition("?")[0].count(outline.mark)]
    if free := tuple(dict.fromkeys(one.source for one in in_path if one.name.startswith(FREE_TEXT))):
        yield Problem("variable_in_path", _in_path(free), free)
    if sends_json:
        return
    if not outline.variables:
        message = _(
            "The URL has no variable, so every postback would be the same. Choose POST with JSON to send the whole "
            "order, or add variables."
        )
        yield Problem("no_variables", message)
    elif not any(variable.name.startswith("link.") for variable in outline.variables[:sent]):
        message = _(
            "Add the click ID (usually {click_id}), or the tracker cannot match this order to a click.",
            click_id="{{link.sub_id}}",
        )
        yield Problem("no_click_id", message, suggestions=("{{link.sub_id}}",))


def _in_path(variables: tuple[str, ...]) -> str:
    return _(
        "The path contains {variables}. A / in the value is sent as %2F, which many servers (Tomcat and Apache by "
        "default) refuse. Use a parameter after the ? if the tracker allows it.",
        variables=joined(variables),
    )


def _of_host(host: str) -> Iterator[Problem]:
    """Say that this host is known not to answer as a tracker does."""
    if host == APPS_SCRIPT:
        message = _(
            "Google Apps Script answers with a redirect. Redirects are not followed, so every delivery would fail and "
            "be retried, although the script runs each time. Use a service that answers 200, such as Zapier or Make."
        )
        yield Problem("redirecting_host", message)
    elif host.removeprefix("www.") in SHORTENERS:
        message = _(
            "{host} answers with a redirect, and redirects are not followed. Enter the URL that it leads to.", host=host
        )
        yield Problem("redirecting_host", message)
    elif any(f".{host}".endswith(f".{owner}") for owner in safe_links.CLOSED):
        message = _(
            "{host} belongs to an e-mail filter, not to the tracker. Copy the URL from the tracker itself.", host=host
        )
        yield Problem("wrapped_link", message)
