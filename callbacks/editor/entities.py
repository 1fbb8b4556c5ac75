"""HTML's character references in a pasted URL: those that are written out, and those that a browser has read already.

A browser reads 106 of them without their semicolon, so that `&notify_url=` arrives as `¬ify_url=`. All names come
from the standard's own list, `html.entities`.
"""

import html
import re
from html.entities import html5

from callbacks.postback import syntax

# An entity ends in a semicolon or is none: `&copy=1` and `&order=2` are parameters.
AMPERSAND = re.compile(r"&(?:(?:amp|AMP|#0*38|#[xX]0*26);)+")
ENTITY = re.compile(r"&(?:#[0-9]{1,8}|#[xX][0-9a-fA-F]{1,7}|[A-Za-z][A-Za-z0-9]{1,31});")

BLANKS = {"\u00a0": " ", "\u00ad": ""}  # written out with their semicolon they are no parameters
# The sign that a browser makes of each name that it reads without a semicolon, and the names: `®` of reg and REG.
NAMES: dict[str, list[str]] = {}
for _name in sorted((name for name in html5 if not name.endswith(";")), key=str.swapcase):
    NAMES.setdefault(html5[_name], []).append(_name)
_SIGNS = "".join(re.escape(sign) for sign in NAMES)
# A sign, and the rest of the parameter's name up to its `=`. The name is ASCII, and so no sign is looked at twice.
EATEN = re.compile(rf"[{_SIGNS}](?=(?P<rest>[A-Za-z0-9_.\[\]-]*)=)")
SEPARATOR = re.compile(rf"{EATEN.pattern}|[?&#=<>]")
ALONE = "\u00a0\u00ad«»&"  # of nbsp, shy, laquo, raquo and amp: no parameter has a name that goes on after them


def decoded(text: str) -> str:
    """`text` with the characters that its references stand for."""
    return ENTITY.sub(_character, AMPERSAND.sub("&", text))


def restored(text: str) -> str:
    """`text` with the names of parameters that a browser has read as characters: `&region=` for `®ion=`.

    Only what is followed by the rest of a name and `=` can have been one. A letter (`é` of `eacute`), a bracket or a
    blank is left alone unless a value comes to its end there: `?prénom=x` is a name of its own. So are signs at the
    beginning of a name, and brackets around something.
    """
    masked = syntax.masked(text)
    last_bracket = masked.rfind(">")
    parts: list[str] = []
    end, value_start, in_brackets = 0, -1, False  # no value begins before its `=`
    for match in SEPARATOR.finditer(masked, _start_of_query(masked)):
        sign, rest, at = match.group(), match["rest"], match.start()
        if sign in "?#=" or (sign == "&" and (rest or rest is None or value_start < 0)):
            value_start, in_brackets = match.end() if sign == "=" else -1, False
            continue
        may_be = masked[at - 1 : at] not in {"?", "&"} and not (sign == ">" and in_brackets)
        may_be &= not (sign == "<" and at < last_bracket) and not (sign == '"' and value_start == at)
        in_brackets = sign == "<" or (in_brackets and sign != ">")
        if rest is None or not may_be:
            continue
        if value_start < 0 and (sign.isalpha() or sign in '<>"' + ALONE):
            continue
        if rest and sign in ALONE:
            continue
        parts += [text[end:at], f"&{_name_for(sign, rest)}"]
        end, value_start = match.end(), -1
    return "".join([*parts, text[end:]]) if parts else text


def _name_for(sign: str, rest: str) -> str:
    """The name that a browser has read as `sign`, in capitals if those of the `rest` of the name are."""
    letters = "".join(filter(str.isalpha, rest))
    alike = [name for name in NAMES[sign] if name.isupper() == letters.isupper()]
    return (alike or NAMES[sign])[0]


def _start_of_query(masked: str) -> int:
    """Where what follows the host begins."""
    scheme = masked.find("://")
    found = re.compile("[/?#]").search(masked, scheme + 3 if scheme >= 0 else 0)
    return found.start() if found else len(masked)


def _character(match: re.Match[str]) -> str:
    source = match.group()
    character = html.unescape(source) if source[1] == "#" else html5.get(source[1:], source)
    if character in BLANKS:
        return BLANKS[character]
    if source[1] == "#":
        return character
    # In HTML `&order;` and `&int;` are mathematical symbols, but in a URL they are parameters.
    plain = all(ord(sign) < 0x100 or 0x2000 <= ord(sign) <= 0x206F for sign in character)
    return character if plain else source
