"""Corrects a template as a person would: writes the suggested variables, follows a tracker that has moved.

Whether the result can be saved is `callbacks.editor.check`; what a placeholder means is `callbacks.editor.macros`.
"""

from dataclasses import asdict, dataclass
from urllib.parse import urljoin, urlsplit

from callbacks.editor import check, macros, meanings, statuses, trackers, url_parts
from callbacks.postback import syntax

SIGNS_BEFORE = frozenset({"=$", "=#", "=%", "=@"})  # ${{payout}}
CLICK_ID = meanings.VARIABLE_OF[meanings.CLICK_ID]


@dataclass(frozen=True, slots=True)
class Correction(macros.Macro):
    """A macro, an empty value, a variable that does not exist or one that the tracker does not understand.

    Here `suggestion` has the variable that holds the click id in the links of this affiliate.
    """

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
    found = [] if send_as_typed else list(macros.find(template))
    expected = frozenset[str]().union(*(tracker.knows for tracker in trackers.recognise(template)))
    found += macros.empty(template, expected)
    result = [_of_macro(macro, click_id) for macro in found]
    result += [
        _of_unknown_variable(template, fault, click_id)
        for fault in syntax.scan(template)[1]
        if fault.code == "unknown_variable"
    ]
    if status := statuses.misunderstood(template):
        text = template[status.start : status.end]
        result.append(Correction(text, status.start, status.end, meanings.STATUS, status.suggestion, status.parameter))
    return sorted(result, key=lambda correction: correction.start)


def _of_macro(macro: macros.Macro, click_id: str) -> Correction:
    values = asdict(macro)
    if macro.meaning == meanings.CLICK_ID:
        values["suggestion"] = macro.suggestion.replace(CLICK_ID, click_id, 1)
    return Correction(**values)


def _of_unknown_variable(template: str, fault: syntax.Fault, click_id: str) -> Correction:
    suggestion = (
        macros.meant(template, fault).replace("{{" + CLICK_ID, "{{" + click_id, 1)
        if fault.name and macros.is_understood(template, fault)
        else ""
    )
    start, end = fault.start, fault.start + len(fault.fragment)
    while template[start - 1 : start] == "{" and template[end : end + 1] == "}":  # {{{payout}}}
        start, end = start - 1, end + 1
    if template[start - 2 : start] in SIGNS_BEFORE:
        start -= 1
    # NAME stands for what only a person knows.
    return Correction(template[start:end], start, end, suggestion="" if ".NAME" in suggestion else suggestion)


def redirected(template: str, sent: str, location: str) -> str:
    """`template` with the address that `sent` was redirected to.

    "" if the query changed, if the path changed and holds variables, or if the result is too long to be saved.
    `location` may be relative (RFC 9110, section 10.2.2). The variables stay, and so does the text of the query.
    """
    try:
        before, after = urlsplit(sent), urlsplit(urljoin(sent, location))
    except ValueError:
        return ""
    masked = syntax.masked(template)
    _, path_start = url_parts.authority_span(template)
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
