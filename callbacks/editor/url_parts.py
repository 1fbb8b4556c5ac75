"""Where the parts of a template stand: its host, and the values of its path and parameters.

It only gives positions. What is called is read by `callbacks.egress.targets`.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from callbacks.postback import syntax

PARTS = re.compile(  # RFC 3986, appendix B
    r"(?P<scheme>[^:/?#]+:)?(?://(?P<authority>[^/?#]*))?(?P<path>[^?#]*)(?P<rest>.*)", re.DOTALL
)
PARAMETER = re.compile(r"(?:^|[?&;/])([^=?&;/#]+)=")


@dataclass(frozen=True, slots=True)
class Value:
    """A value at template[start:end]. `parameter` is the name before it; "" for a segment of the path."""

    start: int
    end: int
    parameter: str


def authority_span(template: str) -> tuple[int, int]:
    """Where user info, host and port stand, with or without a scheme before them; (0, 0) if there are none."""
    masked = syntax.masked(template)
    parts = _parts(masked)
    if parts["authority"] is not None:
        return parts.span("authority")
    return (0, 0) if parts["scheme"] else (0, len(re.split("[/?#]", masked, maxsplit=1)[0]))


@lru_cache(maxsize=256)
def values(template: str) -> tuple[Value, ...]:
    """Each segment of the path, and what follows the `=` of a parameter, also in the path and in the fragment."""
    return tuple(_values(template))


def value_at(template: str, position: int) -> Value | None:
    """The value that begins at or before this position and ends at or after it."""
    found = values(template)
    at = bisect_right(found, position, key=lambda value: value.start) - 1
    return found[at] if at >= 0 and position <= found[at].end else None


def _values(template: str) -> Iterator[Value]:
    masked = syntax.masked(template)
    parts = _parts(masked)
    for separators, group in (("/;", "path"), ("?&;#", "rest")):
        for match in re.finditer(f"[^{separators}]+", masked[slice(*parts.span(group))]):
            start, end = (parts.start(group) + position for position in match.span())
            equals = masked.find("=", start, end)
            if equals >= 0:
                yield Value(equals + 1, end, masked[start:equals])
            elif group == "path":
                yield Value(start, end, "")


def value_span(template: str, parameter: str) -> tuple[int, int] | None:
    """Where the first value of this query parameter stands; None if there is no such parameter."""
    found = re.search(rf"[?&]{re.escape(parameter)}=([^&#]*)", syntax.masked(template))
    return found.span(1) if found else None


def parameters_of(template: str) -> frozenset[str]:
    """The names of the parameters in a template's path and query."""
    _, end = authority_span(template)
    return frozenset(PARAMETER.findall(syntax.masked(template)[end:].partition("#")[0]))


def _parts(masked: str) -> re.Match[str]:
    parts = PARTS.match(masked)
    assert parts  # the pattern matches any text, because each part may be empty
    return parts
