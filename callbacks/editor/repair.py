"""Repairs a pasted URL: undoes what pages, mails and editors do to text on its way through the clipboard.

It changes nothing that is allowed in a URL. Before the path it only removes what stands around the whole URL.
Whether the result can be sent is checked by `callbacks.editor.check`.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from callbacks.editor import entities, safe_links, spellings
from callbacks.egress.wording import Sentence as _
from callbacks.postback import syntax


@dataclass(frozen=True, slots=True)
class Repair:
    """One kind of damage that was repaired, and the sentence that says so."""

    kind: str
    message: str


# Vertical tab, form feed and the separators of ASCII and Unicode break lines too (str.splitlines).
# The look-behinds here and below make a long run match from its first character only, so that time stays linear.
# In Markdown a line ends in a backslash.
LINE_BREAK = re.compile(
    r"(?<![ \u00a0\\])[ \u00a0\\]*+"
    "[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+[ \u00a0\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]*"
)
BREAK_OF_HTML = re.compile(r"<br ?/?>", re.IGNORECASE)
# Controls, soft hyphen, zero-width characters, direction marks, byte order mark, lone surrogates: nobody can see them,
# they cannot be sent as they are, and PostgreSQL does not store NUL.
INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
# Signs of East Asian keyboards, and the small forms. In a text with other such characters only those that a URL is
# made of are changed.
WIDE = re.compile("[\uff01-\uff5e\ufe50-\ufe6b]")
OF_URLS = frozenset("｛｝？＝＆／：＃％｜．＿﹛﹜﹖﹦﹠﹕﹟﹪")  # noqa: RUF001 - full width
IDEOGRAPHIC_STOPS = "。｡"
ODD_SPACE = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")

MAX_ROUNDS = 16

QUOTES = "\"'`\u00b4\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2039\u203a\u00ab\u00bb"
OPENERS = {"”": "“„", "’": "‘‚", "»": "«", "«": "»", "“": "„“", "‘": "‚‘", "›": "‹", "‹": "›"}  # noqa: RUF001 - quotes
CURLY_ARGUMENT = re.compile('(?P<before>:\\s*)[“”„«»](?P<text>[^"“”„«»{}]*)[“”„«»]')
SINGLE_CURLY_ARGUMENT = re.compile("(?P<before>:\\s*)[‘’‚](?P<text>[^'‘’‚{}]*)[‘’‚]")  # noqa: RUF001 - quotes

# The authority of RFC 3986, appendix B. A backslash in it stays, because without it the host could be another one.
AUTHORITY = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://)?[^/?#]*")
BACKSLASHES = re.compile(r"(?<!\\)\\++(?=[!-/:-@\[\]^_`{-~])")
JSON_ESCAPE = re.compile(r"\\u00([2-7][0-9a-fA-F])")
JSON_URL = re.compile(r"https?:\\/\\/", re.IGNORECASE)
ESCAPED_SCHEME = re.compile(r"(https?)\\:\\?/\\?/", re.IGNORECASE)
ESCAPED_LINE = re.compile(r"(?<=[?&])\\++(?=[A-Za-z])|(?<!\\)\\++\Z")
ENCODED_URL = re.compile(r"https?%3A%2F%2F", re.IGNORECASE)
ENCODED_VARIABLE = re.compile(
    rf"{spellings.OPEN}{{2}}(?P<inside>[^{{}}&=?#/]{{1,200}}?){spellings.CLOSE}{{2}}", re.IGNORECASE
)

BULLET = re.compile(r"(?:[-*•–>]|[0-9]{1,3}[.)]|GET|POST)[ ]+(?=[\"'<`“]?https?:)")  # noqa: RUF001 - a dash
MARKDOWN_LINK = re.compile(r"\[[^\[\]]*\]\(<?(?P<url>https?://[^\s()<>]*)>?\)", re.IGNORECASE)
WEB = re.compile(r"https?:", re.IGNORECASE)
STOPS = re.compile(rf"(?<=[^.,/])[.,，、．{IDEOGRAPHIC_STOPS}]\Z")  # noqa: RUF001 - full width
BLANKS = re.compile(r"(?<! ) ++(?=[=&]|\?(?!>))|(?<=[=&?])(?<!<[?%]=)(?<!<\?) ++")
QUERY_SIGN = re.compile(r"\?(?=[A-Za-z_][A-Za-z0-9_.\[\]-]*=)|[&=#]")


def repair(text: str) -> tuple[str, tuple[Repair, ...]]:
    """`text` repaired, and what was done, each kind once. To repair the result once more changes nothing.

    What would need more than `MAX_ROUNDS` is left as it is: nobody's clipboard does that, and time stays linear.
    """
    done: dict[str, Repair] = {}
    typed = text
    for _round in range(MAX_ROUNDS):
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


def _without_line_breaks(text: str) -> str:
    return LINE_BREAK.sub("", BREAK_OF_HTML.sub("\n", text))


def _with_narrow_signs(text: str) -> str:
    if not WIDE.search(text):
        return text
    is_all = all(sign.isascii() or WIDE.match(sign) or sign in IDEOGRAPHIC_STOPS for sign in text)

    def narrow(match: re.Match[str]) -> str:
        sign = match.group()
        return unicodedata.normalize("NFKC", sign) if is_all or sign in OF_URLS else sign

    return WIDE.sub(narrow, text)


def _without_backslashes(text: str) -> str:
    if JSON_URL.match(text):
        text = text.replace("\\/", "/")
    if scheme := ESCAPED_SCHEME.match(text):
        text = f"{scheme[1]}://{text[scheme.end() :]}"
    start = _end_of_authority(text)
    rest = JSON_ESCAPE.sub(lambda match: chr(int(match[1], 16)), text[start:])
    return text[:start] + ESCAPED_LINE.sub("", BACKSLASHES.sub("", rest))


def _end_of_authority(text: str) -> int:
    authority = AUTHORITY.match(text)
    return authority.end() if authority else 0


def _without_surroundings(text: str) -> str:
    text = _without_brackets(BULLET.sub("", text.strip(), count=1) if BULLET.match(text.strip()) else text.strip())
    for _round in range(MAX_ROUNDS):
        if not text or text[0] not in QUOTES:
            break
        opener, text = text[0], text[1:].lstrip()
        if text and text[-1] in QUOTES and (text[-1] == opener or opener in OPENERS.get(text[-1], "")):
            text = text[:-1].rstrip()
    # A single quote character at the end came with the paste, except an apostrophe, which a URL may end in.
    for _round in range(MAX_ROUNDS):
        if not text or text[-1] not in QUOTES or text[-1] == "'" or _is_paired(text):
            break
        text = text[:-1].rstrip()
    return text


def _without_brackets(text: str) -> str:
    """`text` without brackets around all of it, and without those of Markdown around its beginning."""
    if link := MARKDOWN_LINK.match(text):
        return (link["url"] + text[link.end() :]).strip()
    if text.startswith("<"):
        inside, closing, rest = text[1:].partition(">")
        if closing and WEB.match(inside) and "<" not in inside:  # <https://host>?a=1
            return (inside + rest).strip()
        if text.endswith(">"):
            return text[1:-1].strip()
    if text[:1] + text[-1:] in {"()", "[]"} and WEB.match(text, 1):
        return text[1:-1].strip()
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
        if match.group().startswith("{{") and match.group().endswith("}}"):
            return match.group()
        source = "{{" + spellings.decoded(match["inside"]) + "}}"
        pieces, faults = syntax.scan(source)
        return match.group() if faults or len(pieces) != 1 else source

    return ENCODED_VARIABLE.sub(decode, text)


def _without_stop(text: str) -> str:
    return STOPS.sub("", text) if "://" in text else text


def _without_blanks(text: str) -> str:
    """`text` without blanks beside the `=` and `&` of its parameters."""
    masked = syntax.masked(text)
    parts: list[str] = []
    end = 0
    for match in BLANKS.finditer(masked, _end_of_authority(text)) if " " in masked else ():
        parts.append(text[end : match.start()])
        end = match.end()
    return "".join([*parts, text[end:]])


def _with_one_question_mark(text: str) -> str:
    """`text` with `&` for a further `?` between parameters. One in the URL that a parameter holds stays."""
    masked = syntax.masked(text)
    first = masked.find("?", _end_of_authority(text))
    if first < 0 or masked.find("?", first + 1) < 0:
        return text
    signs = list(text)
    value_start, is_nested = -1, False
    for match in QUERY_SIGN.finditer(masked, first + 1):
        sign, at = match.group(), match.start()
        if sign == "#":
            break
        if sign == "=":
            value_start = match.end() if value_start < 0 else value_start
            continue
        if sign == "?":
            value = text[value_start:at].lower() if value_start >= 0 and not is_nested else ""
            is_nested = is_nested or "/" in value or "%2f" in value or "link.path" in value
            if is_nested:
                continue
            signs[at] = "&" if at > first + 1 and masked[at - 1] not in "?&" else ""
        value_start, is_nested = -1, False
    return "".join(signs)


REPAIRS: tuple[tuple[str, str, Callable[[str], str]], ...] = (
    ("entities", _("HTML codes such as &amp; were decoded."), entities.decoded),
    ("line_breaks", _("Line breaks and tabs were removed."), _without_line_breaks),
    (
        "mangled_parameters",
        _("Parameter names damaged by a web page were restored, such as ¬ify= to &notify=."),
        entities.restored,
    ),
    ("invisible", _("Invisible characters were removed, and unusual spaces replaced."), _without_invisible),
    ("full_width", _("Full-width characters were replaced by ordinary ones."), _with_narrow_signs),
    ("surroundings", _("Spaces, quotes and brackets around the URL were removed."), _without_surroundings),
    ("full_stop", _("The full stop or comma after the URL was removed."), _without_stop),
    ("encoded_url", _("The whole URL was percent-encoded, and was decoded."), _without_outer_encoding),
    ("backslashes", _("Backslashes were removed."), _without_backslashes),
    (
        "safe_link",
        _("The URL was extracted from a link of a mail program or another site."),
        safe_links.unwrapped,
    ),
    ("blanks", _("Spaces around =, & and ? were removed."), _without_blanks),
    ("question_mark", _("A second ? between parameters was replaced by &."), _with_one_question_mark),
    ("encoded_braces", _("Percent-encoded braces around variables were decoded."), _with_plain_braces),
    ("quotes", _("Typographic quotes in filters were replaced by straight ones."), _with_straight_quotes),
)
