"""Repairs a pasted URL: undoes what pages, mails and editors do to text on its way through the clipboard.

It changes nothing that is allowed in a URL. Before the path it only removes what stands around the whole URL.
Whether the result can be sent is checked by `callbacks.editor.check`.
"""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from html.entities import html5
from urllib.parse import unquote

from callbacks.postback import syntax


@dataclass(frozen=True, slots=True)
class Repair:
    """One kind of damage that was repaired, and the sentence that says so."""

    kind: str
    message: str


# Vertical tab, form feed and the separators of ASCII and Unicode break lines too (str.splitlines).
# The look-behinds here and below make a long run match from its first character only, so that time stays linear.
LINE_BREAK = re.compile(
    "(?<![ \u00a0])[ \u00a0]*+[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+[ \u00a0\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]*"
)
# Controls, soft hyphen, zero-width characters, direction marks, byte order mark, lone surrogates: nobody can see them,
# they cannot be sent as they are, and PostgreSQL does not store NUL.
INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
ODD_SPACE = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")

MAX_ROUNDS = 16

QUOTES = "\"'`\u00b4\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2039\u203a\u00ab\u00bb"
OPENERS = {"”": "“„", "’": "‘‚", "»": "«", "«": "»", "“": "„“", "‘": "‚‘", "›": "‹", "‹": "›"}  # noqa: RUF001 - quotes
CURLY_ARGUMENT = re.compile('(?P<before>:\\s*)[“”„«»](?P<text>[^"“”„«»{}]*)[“”„«»]')
SINGLE_CURLY_ARGUMENT = re.compile("(?P<before>:\\s*)[‘’‚](?P<text>[^'‘’‚{}]*)[‘’‚]")  # noqa: RUF001 - quotes

# An entity ends in a semicolon or is none: `&copy=1` and `&order=2` are parameters.
AMPERSAND = re.compile(r"&(?:(?:amp|AMP|#0*38|#[xX]0*26);)+")
ENTITY = re.compile(r"&(?:#[0-9]{1,8}|#[xX][0-9a-fA-F]{1,7}|[A-Za-z][A-Za-z0-9]{1,31});")
# A browser reads an entity of Latin 1 without its semicolon, and so damages parameters whose names begin like one.
MANGLED = (
    (re.compile(r"¤(?=(?:cy|t)[\w.-]*=)"), "&curren"),
    (re.compile(r"¶(?=m[\w.-]*=)"), "&para"),
    (re.compile(r"×(?=tamp[\w.-]*=)"), "&times"),  # noqa: RUF001 - a browser makes this character
    (re.compile(r"®(?=ion[\w.-]*=)"), "&reg"),
    (re.compile(r"§(?=ion[\w.-]*=)"), "&sect"),
)

# The authority of RFC 3986, appendix B. A backslash in it stays, because without it the host could be another one.
AUTHORITY = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://)?[^/?#]*")
BACKSLASHES = re.compile(r"(?<!\\)\\++(?=[!-/:-@\[\]^_`{-~])")
JSON_ESCAPE = re.compile(r"\\u00([2-7][0-9a-fA-F])")
JSON_URL = re.compile(r"https?:\\/\\/", re.IGNORECASE)
ENCODED_URL = re.compile(r"https?%3A%2F%2F", re.IGNORECASE)
ENCODED_VARIABLE = re.compile(r"%7B%7B(?P<inside>[^{}&=?#/]{1,200}?)%7D%7D", re.IGNORECASE)


def repair(text: str) -> tuple[str, tuple[Repair, ...]]:
    """`text` repaired, and what was done, each kind once. To repair the result once more changes nothing.

    What would need more than `MAX_ROUNDS` is left as it is: nobody's clipboard does that, and time stays linear.
    """
    done: dict[str, Repair] = {}
    typed = text
    for _ in range(MAX_ROUNDS):
        before = text
        for kind, message, apply in REPAIRS:
            repaired = apply(text)
            if repaired != text:
                done.setdefault(kind, Repair(kind, message))
                text = repaired
        if text == before:
            return text, tuple(done.values())
    return typed, ()


def _without_outer_encoding(text: str) -> str:
    return unquote(text) if ENCODED_URL.match(text) and "://" not in text else text


def _without_invisible(text: str) -> str:
    return ODD_SPACE.sub(" ", INVISIBLE.sub("", text))


def _decoded(text: str) -> str:
    return ENTITY.sub(_entity, AMPERSAND.sub("&", text))


def _entity(match: re.Match[str]) -> str:
    source = match.group()
    if source[1] == "#":
        return html.unescape(source)
    character = html5.get(source[1:], source)
    # In HTML `&order;` and `&int;` are mathematical symbols, but in a URL they are parameters.
    plain = all(ord(sign) < 0x100 or 0x2000 <= ord(sign) <= 0x206F for sign in character)
    return character if plain else source


def _unmangled(text: str) -> str:
    for pattern, beginning in MANGLED:
        text = pattern.sub(beginning, text)
    return text


def _without_backslashes(text: str) -> str:
    if JSON_URL.match(text):
        text = text.replace("\\/", "/")
    authority = AUTHORITY.match(text)
    start = authority.end() if authority else 0
    rest = JSON_ESCAPE.sub(lambda match: chr(int(match[1], 16)), text[start:])
    return text[:start] + BACKSLASHES.sub("", rest)


def _without_surroundings(text: str) -> str:
    text = text.strip()
    if text.startswith("<") and text.endswith(">"):
        text = text[1:-1].strip()
    for _ in range(MAX_ROUNDS):
        if not text or text[0] not in QUOTES:
            break
        opener, text = text[0], text[1:].lstrip()
        if text and text[-1] in QUOTES and (text[-1] == opener or opener in OPENERS.get(text[-1], "")):
            text = text[:-1].rstrip()
    # A single quote character at the end came with the paste, except an apostrophe, which a URL may end in.
    for _ in range(MAX_ROUNDS):
        if not text or text[-1] not in QUOTES or text[-1] == "'" or _is_paired(text):
            break
        text = text[:-1].rstrip()
    return text


def _is_paired(text: str) -> bool:
    """Whether the quote at the end of `text` belongs to one before it."""
    rest = text[:-1]
    if text[-1] in OPENERS:
        return any(opener in rest for opener in OPENERS[text[-1]])
    return rest.count(text[-1]) % 2 == 1


def _with_straight_quotes(text: str) -> str:
    def straighten(source: str) -> str:
        inside = CURLY_ARGUMENT.sub(r'\g<before>"\g<text>"', source)
        return SINGLE_CURLY_ARGUMENT.sub(r"\g<before>'\g<text>'", inside)

    return syntax.with_variables(text, straighten)


def _with_plain_braces(text: str) -> str:
    def decode(match: re.Match[str]) -> str:
        source = "{{" + unquote(match["inside"]) + "}}"
        pieces, faults = syntax.scan(source)
        return match.group() if faults or len(pieces) != 1 else source

    return ENCODED_VARIABLE.sub(decode, text)


REPAIRS: tuple[tuple[str, str, Callable[[str], str]], ...] = (
    ("entities", "HTML codes such as &amp; were turned back into the characters they stand for.", _decoded),
    ("line_breaks", "Line breaks and tabs from the paste were removed.", partial(LINE_BREAK.sub, "")),
    ("invisible", "Invisible characters and unusual spaces from the paste were replaced.", _without_invisible),
    ("surroundings", "Spaces and quotes around the URL were removed.", _without_surroundings),
    ("encoded_url", "The percent-encoding of the whole URL was undone.", _without_outer_encoding),
    ("backslashes", "Backslashes before punctuation were removed.", _without_backslashes),
    (
        "mangled_parameters",
        "Signs that a web page had made of parameter names were turned back: ¤cy= into &currency=, ¶m= into &param=.",
        _unmangled,
    ),
    ("encoded_braces", "Percent-encoded braces around variables were turned back into {{ and }}.", _with_plain_braces),
    ("quotes", "Typographic quotes in filters were replaced by straight ones.", _with_straight_quotes),
)
