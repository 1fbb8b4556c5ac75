"""Repairs a pasted URL: undoes what pages, mails and editors do to text on its way through the clipboard.

It changes nothing that is allowed in a URL. Before the path it only removes what stands around the whole URL.
Whether the result can be sent is checked by `callbacks.editor.check`.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from callbacks.editor import entities, safe_links, spellings, surroundings
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
    "[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+[ \u00a0\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]*(?:>[> ]* )?"
)
BREAK_OF_HTML = re.compile(r"<w?br ?/?>", re.IGNORECASE)
SOFT_BREAK = re.compile(r"=[ \t]*\r?\n")
# Controls, soft hyphen, zero-width characters, direction marks, byte order mark, lone surrogates: nobody can see them,
# they cannot be sent as they are, and PostgreSQL does not store NUL.
INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u00ad\u180e\u034f\u061c\u115f\u1160\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffc\ud800-\udfff\U000e0000-\U000e007f]"
)
# Signs of East Asian keyboards, and the small forms. In a text with other such characters only those that a URL is
# made of are changed.
WIDE = re.compile("[\uff01-\uff5e\ufe50-\ufe6b]")
OF_URLS = frozenset("｛｝？＝＆／：＃％｜．＿﹛﹜﹖﹦﹠﹕﹟﹪")  # noqa: RUF001 - full width
IDEOGRAPHIC_STOPS = "。｡"
ODD_SPACE = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u2800\u3000]")

MAX_ROUNDS = 16

CURLY_ARGUMENT = re.compile('(?P<before>:\\s*)[“”„«»](?P<text>[^"“”„«»{}]*)[“”„«»]')
SINGLE_CURLY_ARGUMENT = re.compile("(?P<before>:\\s*)[‘’‚](?P<text>[^'‘’‚{}]*)[‘’‚]")  # noqa: RUF001 - quotes

# The authority of RFC 3986, appendix B. A backslash in it stays, because without it the host could be another one.
AUTHORITY = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://)?[^/?#]*")
BACKSLASHES = re.compile(r"(?<!\\)\\++(?=[!-/:-@\[\]^_`{-~])")
JSON_ESCAPE = re.compile(r"\\(?:u00|x)([2-7][0-9a-fA-F])")
JSON_URL = re.compile(r"https?:\\/\\/", re.IGNORECASE)
ESCAPED_SCHEME = re.compile(r"(https?)\\:\\?/\\?/", re.IGNORECASE)
ESCAPED_LINE = re.compile(r"(?<=[?&])\\++(?=[A-Za-z])|(?<!\\)\\++(?:[rnt](?=&|\Z)|\Z)")
# What programs do to a link so that nobody clicks it, and a scheme that was typed before one.
DEFANGED = re.compile(r"h(?:xx|tt)p(?P<s>s?)(?:\[:\]|:| ?: ?)//(?P<host>[^/?#]*+)", re.IGNORECASE)
SCHEME_TWICE = re.compile(r"https?://(?=https?://)", re.IGNORECASE)
ENCODED_URL = re.compile(r"https?%(?:25){0,3}3A%(?:25){0,3}2F%(?:25){0,3}2F", re.IGNORECASE)
URL_IN_VALUE = re.compile(r"https?%(?:25)*3A", re.IGNORECASE)
ENCODED_MARK = re.compile(r"%3F(?=[A-Za-z_][\w.-]*+(?:=|%3D))", re.IGNORECASE)
NAMES_ENCODED = re.compile(r"[A-Za-z_][\w.-]*+%3D", re.IGNORECASE)
ENCODED_AMPERSAND = re.compile(r"\}\}%26(?=[A-Za-z_][\w.-]*+=)")
BRACES_APART = re.compile(r"\{ \{(?P<inside> ?[A-Za-z_][\w.]*+ ?)\} \}")
ENCODED_VARIABLE = re.compile(
    rf"{spellings.OPEN}{{2}}(?P<inside>[^{{}}&=?#/]{{1,200}}?){spellings.CLOSE}{{2}}",
    re.IGNORECASE,
)

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


def _with_plain_scheme(text: str) -> str:
    text = SCHEME_TWICE.sub("", text, count=1) if SCHEME_TWICE.match(text) else text
    link = DEFANGED.match(text)
    if link is None or (link.group().lower().startswith(("https://", "http://")) and "[.]" not in link["host"]):
        return text
    return f"http{link['s']}://" + link["host"].replace("[.]", ".") + text[link.end() :]


def _without_outer_encoding(text: str) -> str:
    if ENCODED_URL.match(text) and "://" not in text:
        return unquote(text)
    if URL_IN_VALUE.search(text):
        return text
    start = _end_of_authority(text)
    rest = text[start:]
    if "?" not in rest:
        rest = ENCODED_MARK.sub("?", rest, count=1)
    path, mark, query = rest.partition("?")
    masked = syntax.masked(query)
    if "=" not in masked and NAMES_ENCODED.match(masked):
        query = query.replace("%3D", "=").replace("%3d", "=").replace("%26", "&")
    elif f"{syntax.FILLER}%26" in masked:
        query = ENCODED_AMPERSAND.sub("}}&", query)
    return text[:start] + path + mark + query


def _without_mail_codes(text: str) -> str:
    """`text` without the codes of quoted-printable, if each `=` of its parameters is written so (RFC 2045, 6.7)."""
    if "=3D" not in text:
        return text
    joined = SOFT_BREAK.sub("", text)
    return joined.replace("=3D", "=") if joined.count("=") == joined.count("=3D") else text


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
    if "^&" in rest and rest.count("^&") == rest.count("&"):  # of a command in Windows
        rest = rest.replace("^&", "&")
    return text[:start] + ESCAPED_LINE.sub("", BACKSLASHES.sub("", rest))


def _end_of_authority(text: str) -> int:
    authority = AUTHORITY.match(text)
    return authority.end() if authority else 0


def _with_straight_quotes(text: str) -> str:
    def straighten(source: str) -> str:
        inside = CURLY_ARGUMENT.sub(r'\g<before>"\g<text>"', source)
        return SINGLE_CURLY_ARGUMENT.sub(r"\g<before>'\g<text>'", inside)

    return syntax.with_variables(text, straighten)


def _with_plain_braces(text: str) -> str:
    def decode(match: re.Match[str]) -> str:
        if not syntax.scan(match.group())[1] and match.group().startswith("{{"):
            return match.group()
        source = "{{" + spellings.decoded(match["inside"]).strip("+") + "}}"
        pieces, faults = syntax.scan(source)
        return match.group() if faults or len(pieces) != 1 else source

    return ENCODED_VARIABLE.sub(decode, BRACES_APART.sub(r"{{\g<inside>}}", text))


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
    ("quoted_printable", _("E-mail codes such as =3D were decoded."), _without_mail_codes),
    ("surrounding_text", _("Only the URL was kept. The text around it was removed."), surroundings.url_in),
    ("line_breaks", _("Line breaks and tabs were removed."), _without_line_breaks),
    (
        "mangled_parameters",
        _("Parameter names damaged by a web page were restored, such as ¬ify= to &notify=."),
        entities.restored,
    ),
    ("invisible", _("Invisible characters were removed, and unusual spaces replaced."), _without_invisible),
    ("full_width", _("Full-width characters were replaced by ordinary ones."), _with_narrow_signs),
    ("full_stop", _("The full stop or comma after the URL was removed."), _without_stop),
    ("surroundings", _("Spaces, quotes and brackets around the URL were removed."), surroundings.without),
    ("scheme", _("The beginning of the URL was corrected."), _with_plain_scheme),
    ("encoded_url", _("Percent-encoded parts of the URL were decoded."), _without_outer_encoding),
    ("backslashes", _("Backslashes were removed."), _without_backslashes),
    (
        "safe_link",
        _("The URL was extracted from a link of a mail program or another site."),
        safe_links.unwrapped,
    ),
    ("blanks", _("Spaces around =, & and ? were removed."), _without_blanks),
    ("question_mark", _("A second ? between parameters was replaced by &."), _with_one_question_mark),
    ("encoded_braces", _("Percent-encoded or separated braces around variables were repaired."), _with_plain_braces),
    ("quotes", _("Typographic quotes in filters were replaced by straight ones."), _with_straight_quotes),
)
