"""Corrects a template as a person would: takes the variables that were suggested, follows a tracker that has moved.

Pure. Whether the result can be saved is `callbacks.editor.check`; what a word means is `callbacks.editor.macros`.
"""

from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from callbacks.editor import check, macros, statuses, trackers
from callbacks.postback import syntax

CLICK_ID = macros.VARIABLE_OF[macros.CLICK_ID]


@dataclass(frozen=True, slots=True)
class Correction:
    """What stands at template[start:end] and is not ours, or nothing, and what to write instead ("" if nobody knows).

    `parameter` is the name of the parameter it is the value of, `meaning` what it is for; "" where that is not known.
    `can_go`: the parameter can be left out; `should_go`: that is better than to write the suggestion.
    """

    start: int
    end: int
    text: str
    suggestion: str
    parameter: str = ""
    meaning: str = ""
    can_go: bool = False
    should_go: bool = False

    def taken(self, template: str) -> str:
        """`template` with the suggestion in its place; unchanged if there is none."""
        return template[: self.start] + self.suggestion + template[self.end :] if self.suggestion else template

    def left_out(self, template: str) -> str:
        """`template` without the parameter; unchanged if that may not go."""
        if not self.can_go:
            return template
        start, end = self.start - len(f"{self.parameter}="), self.end
        if template[end : end + 1] == "&":
            return template[:start] + template[end + 1 :]
        return template[: start - 1] + template[end:]


def corrected(
    template: str,
    *,
    send_as_typed: bool = False,
    only_at: int | None = None,
    leave_out: bool = False,
    click_id: str = CLICK_ID,
) -> str:
    """`template` with every suggestion taken that can be taken without asking; unchanged if there is none.

    With `only_at` the one that starts there, or its parameter left out; with `send_as_typed` other systems'
    placeholders stay. `click_id` is the variable that holds it in this affiliate's links.
    """
    for found in reversed(corrections(template, send_as_typed=send_as_typed, click_id=click_id)):
        if only_at in {None, found.start}:
            goes = leave_out if only_at is not None else found.should_go
            template = found.left_out(template) if goes else found.taken(template)
    return template


def corrections(template: str, *, send_as_typed: bool = False, click_id: str = CLICK_ID) -> list[Correction]:
    """What is to be corrected, in the order in which it stands there."""
    found = [] if send_as_typed else [_of_foreign(foreign, click_id) for foreign in macros.find(template)]
    found += [_of_unknown(fault) for fault in syntax.scan(template)[1] if fault.code == "unknown_variable"]
    expected = frozenset[str]().union(*(tracker.knows for tracker in trackers.recognise(template)))
    found += [_of_foreign(blank, click_id) for blank in macros.empty(template, expected)]
    if unknown := statuses.misunderstood(template):
        found.append(_of_status(template, unknown))
    return sorted(found, key=lambda correction: correction.start)


def _of_foreign(found: macros.Macro, click_id: str) -> Correction:
    suggestion = found.suggestion or ""
    if found.meaning == macros.CLICK_ID:
        suggestion = suggestion.replace(CLICK_ID, click_id, 1)
    return Correction(
        found.start,
        found.end,
        found.text,
        suggestion,
        found.parameter,
        found.meaning or "",
        found.can_go,
        found.should_go,
    )


def _of_unknown(fault: syntax.Fault) -> Correction:
    variable = macros.nearest(fault.name) if fault.name else ".NAME"
    # NAME stands for what only a person knows.
    suggestion = "" if variable.endswith(".NAME") else fault.fragment.replace(fault.name, variable, 1)
    return Correction(fault.start, fault.start + len(fault.fragment), fault.fragment, suggestion)


def _of_status(template: str, unknown: statuses.Misunderstood) -> Correction:
    text = template[unknown.start : unknown.end]
    return Correction(unknown.start, unknown.end, text, unknown.suggestion, "status", macros.STATUS)


def redirected(template: str, sent: str, location: str) -> str:
    """`template` with the address that `sent` was redirected to; "" where nobody can tell which part is which.

    Nor is there one where the result would be too long to be saved. `location` may be relative (RFC 9110, section
    10.2.2). The variables stay: what follows the question mark is only moved, and so is a path that is the same.
    """
    try:
        before, after = urlsplit(sent), urlsplit(urljoin(sent, location))
    except ValueError:
        return ""
    masked = syntax.masked(template)
    _, path_start = macros.authority_span(template)
    query_start = masked.find("?") if "?" in masked else len(masked)
    if after.query != before.query or after.scheme not in {"http", "https"} or not after.netloc:
        return ""
    path = template[path_start:query_start]
    if after.path != before.path:
        if syntax.FILLER in masked[path_start:query_start]:
            return ""
        path = after.path
    moved = f"{after.scheme}://{after.netloc}{path}{template[query_start:]}"
    return moved if moved != template and len(moved) <= check.MAX_LENGTH else ""
