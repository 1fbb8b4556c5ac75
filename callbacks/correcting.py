"""Corrects a template as a person would: takes the variables that were suggested, follows a tracker that has moved.

Pure. Whether the result can be saved is `callbacks.templating`; what a word means is `callbacks.placeholders`.
"""

from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

from callbacks import grammar, placeholders, templating


def corrected(template: str) -> str:
    """`template` with every suggestion taken that can be taken without asking; unchanged if there is none."""
    for start, end, text in sorted(_replacements(template), reverse=True):
        template = template[:start] + text + template[end:]
    return template


def _replacements(template: str) -> Iterator[tuple[int, int, str]]:
    for found in placeholders.find(template):
        if found.suggestion:
            yield found.start, found.end, found.suggestion
    for fault in grammar.scan(template)[1]:
        if fault.code == "unknown_variable" and fault.name:
            variable = placeholders.nearest(fault.name)
            if not variable.endswith(".NAME"):  # there NAME stands for what only a person knows
                end = fault.start + len(fault.fragment)
                yield fault.start, end, fault.fragment.replace(fault.name, variable, 1)


def redirected(template: str, sent: str, location: str) -> str:
    """`template` with the address that `sent` was redirected to; "" where nobody can tell which part is which.

    Nor is there one where the result would be too long to be saved. `location` may be relative (RFC 9110, section
    10.2.2). The variables stay: what follows the question mark is only moved, and so is a path that is the same.
    """
    try:
        before, after = urlsplit(sent), urlsplit(urljoin(sent, location))
    except ValueError:
        return ""
    masked = grammar.masked(template)
    _, path_start = placeholders.authority_span(template)
    query_start = masked.find("?") if "?" in masked else len(masked)
    if after.query != before.query or after.scheme not in {"http", "https"} or not after.netloc:
        return ""
    path = template[path_start:query_start]
    if after.path != before.path:
        if grammar.FILLER in masked[path_start:query_start]:
            return ""
        path = after.path
    moved = f"{after.scheme}://{after.netloc}{path}{template[query_start:]}"
    return moved if moved != template and len(moved) <= templating.MAX_LENGTH else ""
