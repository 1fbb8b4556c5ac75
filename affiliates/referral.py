"""Takes a referral link apart: the path, the parameters and the fragment a customer came through, decoded once.

Pure: no database, no settings. Nothing that stands in a link makes it raise.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

_REMOVED = re.compile(r"[\t\r\n]")  # `urlsplit` does so too
# Nobody looks at the host, and `urlsplit` takes quadratic time for a long one in another alphabet than ours.
_LONG_HOST = re.compile(r"\A([^:/?#]*:?//)[^/?#]{1024,}")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


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


def parse(url: str) -> Referral:
    """Decode `url`; a link that cannot be split at all gives an empty `Referral`."""
    try:
        parts = urlsplit(_LONG_HOST.sub(r"\1", _REMOVED.sub("", url)))
    except ValueError:  # an unfinished IPv6 host, say
        return Referral()
    query: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        query.setdefault(_text(name), _text(value))
    return Referral(path=_text(unquote(parts.path)), query=query, hash=_text(unquote(parts.fragment)))


def _text(value: str) -> str:
    """`value` as every database can keep it: NUL and lone surrogates become U+FFFD, as undecodable bytes do."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value)
