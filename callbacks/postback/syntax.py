"""The syntax of a template: text, and variables in double braces with filters in Django's notation.

It says what stands where and what cannot be read, and never raises. The names of the variables are in
`callbacks.postback.variables`; what a person is told is in `callbacks.editor.problems`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count

from callbacks.postback import variables

# Braces inside a filter's quoted argument are text. The quantifiers are possessive, so nothing causes backtracking. One
# that is not closed is passed over as a whole: if the search went on inside of it, many would take quadratic time.
_OPENED = re.compile(r"""\{\{(?!\{)(?P<inside>(?>:\s*+"[^"]*+"|:\s*+'[^']*+'|[^{}])*+)(?P<closed>\}\})?""")
_FILTER = re.compile(
    r"""\|\s*+(?P<name>[^\s|:"']*+)\s*+"""
    r"""(?P<argument>:\s*+(?:"(?P<double>[^"]*+)"|'(?P<single>[^']*+)'))?+\s*+(?=\||\Z)"""
)
_MARK = re.compile("q([0-9]+)z")
STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
FILLER = "\ue000"  # a character of the private use area
NOT_IN_A_NAME = re.compile(r"""[\s"']""")


@dataclass(frozen=True, slots=True)
class Text:
    """Text that is sent as typed."""

    source: str


@dataclass(frozen=True, slots=True)
class Filter:
    """`map:"new=hold,approved=sale"`: these texts are sent for some values; any other value is sent as it is.

    `default:"none"` is a filter with a text for the empty value.
    """

    texts: Mapping[str, str] = field(hash=False)

    def __call__(self, value: str) -> str:
        return self.texts.get(value, value)


@dataclass(frozen=True, slots=True)
class VariableRef:
    """A variable as it stands in a template. `source` holds the braces too."""

    source: str
    name: str
    filters: tuple[Filter, ...] = ()

    def value_in(self, values: Mapping[str, str]) -> str:
        """Its value in a snapshot, after the filters; a parameter that the link did not have is empty."""
        value = values.get(self.name, "")
        for apply in self.filters:
            value = apply(value)
        return value


Piece = Text | VariableRef


@dataclass(frozen=True, slots=True)
class Fault:
    """A part that cannot be read: its start, the fragment around it, and the name that is wrong ("" if none)."""

    code: str
    start: int
    fragment: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Outline:
    """A template as a URL: each variable is replaced by `mark`, which occurs nowhere else in it."""

    url: str
    mark: str
    variables: tuple[VariableRef, ...]


@lru_cache(maxsize=1024)
def scan(template: str) -> tuple[tuple[Piece, ...], tuple[Fault, ...]]:
    """All pieces of `template` in order, and all its faults. The sources of the pieces joined are the template."""
    pieces: list[Piece] = []
    faults: list[Fault] = []
    end = 0
    for match in _variables(template):
        _add_text(template, end, match.start(), pieces, faults)
        piece, its_faults = _variable(match)
        pieces.append(piece)
        faults += its_faults
        end = match.end()
    _add_text(template, end, len(template), pieces, faults)
    return tuple(pieces), tuple(faults)


def outline(pieces: tuple[Piece, ...]) -> Outline:
    """The pieces as a URL that can be read before the values are known.

    A `%` that begins no escape becomes `%25`, as it is sent. Otherwise it could form an escape together with a value,
    and `requests` would encode all other escapes a second time, also those of the values.
    """
    # A mark has different letters at its ends, so that a part of it and the text beside it never form another mark.
    taken = set(_MARK.findall("".join(piece.source for piece in pieces).lower()))
    mark = next(f"q{number}z" for number in count() if str(number) not in taken)
    texts = (mark if isinstance(piece, VariableRef) else STRAY_PERCENT.sub("%25", piece.source) for piece in pieces)
    return Outline("".join(texts), mark, tuple(piece for piece in pieces if isinstance(piece, VariableRef)))


@lru_cache(maxsize=1024)
def masked(template: str) -> str:
    """`template` with FILLER for every character of a variable. The positions of all other text stay the same."""
    return with_variables(template, lambda source: FILLER * len(source))


def with_variables(template: str, replace: Callable[[str], str]) -> str:
    """`template` with what `replace` makes of each variable, braces and all."""
    return _OPENED.sub(lambda match: replace(match.group()) if match["closed"] else match.group(), template)


def is_name(name: str) -> bool:
    """Whether `name` is that of a variable and can be written between braces."""
    return variables.is_known(name) and not NOT_IN_A_NAME.search(name)


def excerpt(template: str, at: int) -> str:
    """The text around position `at`, between the separators before and after it; at most 60 characters."""
    first, last = max(0, at - 20), min(at + 40, len(template))
    start = max(template.rfind(sign, first, at) for sign in "=&?/;") + 1
    stops = [stop for sign in "&?/#;" if (stop := template.find(sign, at, last)) >= 0]
    return template[max(start, first) : min([*stops, last])]


def _variables(template: str) -> Iterator[re.Match[str]]:
    return (match for match in _OPENED.finditer(template) if match["closed"])


def _add_text(template: str, start: int, end: int, pieces: list[Piece], faults: list[Fault]) -> None:
    text = template[start:end]
    if not text:
        return
    pieces.append(Text(text))
    for braces in ("{{", "}}"):
        at = text.find(braces)
        if at >= 0:
            faults.append(Fault("unbalanced_braces", start + at, excerpt(template, start + at)))
            return


def _variable(match: re.Match[str]) -> tuple[VariableRef, list[Fault]]:
    source, start = match.group(), match.start()
    name, bar, rest = match["inside"].partition("|")
    name = name.strip()
    faults = [] if is_name(name) else [Fault("unknown_variable", start, source, name)]
    filters: list[Filter] = []
    rest, at = bar + rest, 0
    while at < len(rest):
        written = _FILTER.match(rest, at)
        made = _filter(written) if written else None
        if written is None or made is None:
            wrong = re.split(r"[\s|:]", rest[at:].lstrip("| \t"), maxsplit=1)[0]
            faults.append(Fault("unknown_filter", start, source, wrong))
            break
        filters.append(made)
        at = written.end()
    return VariableRef(source, name, tuple(filters)), faults


def _filter(match: re.Match[str]) -> Filter | None:
    if match["argument"] is None:
        return None
    argument = match["double"] if match["double"] is not None else match["single"]
    if match["name"] == "default":
        return Filter({"": argument})
    return _map(argument) if match["name"] == "map" else None


def _map(argument: str) -> Filter | None:
    texts: dict[str, str] = {}
    for pair in argument.split(","):
        value, equals, text = pair.partition("=")
        if not equals or value.strip() in texts:
            return None
        texts[value.strip()] = text.strip()
    return Filter(texts)
