"""Takes a referral link apart: the path, the parameters and the fragment a customer came through, decoded once.

Pure: no database, no settings. Nothing that stands in a link makes it raise.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import parse_qsl, quote, unquote, unquote_plus, urlsplit

_REMOVED = re.compile(r"[\t\r\n]")  # `urlsplit` does so too
# Nobody looks at the host, and `urlsplit` takes quadratic time for a long one in another alphabet than ours.
_LONG_HOST = re.compile(r"\A([^:/?#]*:?//)[^/?#]{1024,}")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_AMPERSAND = re.compile("&(?:amp;|#38;|#x26;)+", re.IGNORECASE)  # as a web page writes &
_NOT_IN_A_URL = re.compile("[\\s\0-\x1f\x7f\ud800-\udfff]")
_HOST = re.compile(r"(?:[A-Za-z0-9-]{1,63}\.){1,9}[A-Za-z]{2,63}(?::[0-9]{1,5})?(?=[/?#]|\Z)")  # without its scheme
_SEPARATOR = re.compile("[?&;#]")
MAX_READ = 100_000  # characters of a link; what is behind them is not looked at

# What nobody sees at the ends of a text that was copied: white space, and what Unicode lets a renderer ignore.
BLANKS = "".join(
    chr(code)
    for first, last in (
        (0x09, 0x0D), (0x1C, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C),
        (0x115F, 0x1160), (0x1680, 0x1680), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2000, 0x200F), (0x2028, 0x202F),
        (0x205F, 0x206F), (0x2800, 0x2800), (0x3000, 0x3000), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF),
        (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB), (0xE0000, 0xE0FFF),
    )
    for code in range(first, last + 1)
)  # fmt: skip


def without_blanks(text: str) -> str:
    """`text` without white space of any kind, and without what is invisible, at its ends."""
    return text.strip(BLANKS)


@dataclass(frozen=True, slots=True)
class Referral:
    """One referral link, decoded. Every part is text without NUL; what is no UTF-8 has become U+FFFD.

    `query` holds the first value of each parameter, in the order of the link, with `+` read as a space as HTML forms
    write it (WHATWG URL, application/x-www-form-urlencoded).
    """

    path: str = ""
    query: dict[str, str] = field(default_factory=dict)
    hash: str = ""

    @property
    def sub_id(self) -> str:
        """The affiliate's own click id: `sub_id`, or `subid` where that is absent or empty."""
        return self.query.get("sub_id") or self.query.get("subid", "")


@lru_cache(maxsize=1024)
def parse(url: str) -> Referral:
    """Decode `url`; a link that cannot be split at all gives an empty `Referral`.

    Remembered, because the link of an order is asked for several times while it comes in: the result is not changed.
    """
    try:
        parts = urlsplit(_LONG_HOST.sub(r"\1", _REMOVED.sub("", _AMPERSAND.sub("&", url))))
    except ValueError:  # an unfinished IPv6 host, say
        return Referral()
    query: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        query.setdefault(_text(name), _text(value))
    return Referral(path=_text(unquote(parts.path)), query=query, hash=_text(unquote(parts.fragment)))


def value_in(url: str, names: Sequence[str]) -> str:
    """What the parameter of one of these names says in `url`, the first of them that says something; else "".

    Where the query has none, they are looked for in any letter case, behind a second `?` and in the fragment,
    where shops of one page keep theirs.
    """
    url = url[:MAX_READ]
    query, folded = parse(url).query, {name.casefold() for name in names}
    for name in names:
        if value := query.get(name):
            return value
    for part in _SEPARATOR.split(_AMPERSAND.sub("&", url))[1:]:
        key, _, value = part.partition("=")
        if value and unquote_plus(key).partition("[")[0].casefold() in folded:  # ref[]= is PHP's
            return _text(unquote_plus(value))
    return ""


def kept(url: str, limit: int, names: Sequence[str]) -> str:
    """`url` as it can be kept in `limit` characters: without what no URL may hold, and without what matters least.

    What stays: the address with its path, the parameters of these names, the sub ids; then the others that still fit.
    """
    url = _NOT_IN_A_URL.sub(lambda found: quote(found.group(), errors="replace"), url[:MAX_READ])
    if url.startswith("//") or _HOST.match(url):
        url = f"https://{url.removeprefix('//')}"
    if len(url) <= limit:
        return url
    base, _, rest = _AMPERSAND.sub("&", url).partition("?")
    base, (query, _, _) = base.partition("#")[0][: limit // 2], rest.partition("#")
    parts = query.split("&")
    room, chosen = limit - len(base) - 1, set()
    for place in sorted(range(len(parts)), key=lambda place: _importance(parts[place], names)):
        longest = limit if _importance(parts[place], names) < 3 else limit // 8  # the rest is no use if it is long
        if parts[place] and len(parts[place]) + 1 <= room and len(parts[place]) <= longest:
            room -= len(parts[place]) + 1
            chosen.add(place)
    return "?".join([base, "&".join(parts[place] for place in sorted(chosen))]).removesuffix("?")


def _importance(part: str, names: Sequence[str]) -> int:
    """0 for what names the affiliate, then the sub ids and click ids, then the rest."""
    key = unquote_plus(part.partition("=")[0]).casefold()
    if key in {name.casefold() for name in names}:
        return 0
    if key in {"sub_id", "subid"}:
        return 1
    return 2 if "sub" in key or "click" in key else 3


def _text(value: str) -> str:
    """`value` as every database can keep it: NUL and lone surrogates become U+FFFD, as undecodable bytes do."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value)
