"""Links that mail programs, chats and documents write instead of a URL, and the URL inside them.

A filter in a company writes them so that a click passes it first. Some hold the URL, as a parameter or in the path;
others (`CLOSED`) only a number for it.
"""

import binascii
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable
from urllib.parse import unquote

WEB = re.compile(r"https?:/{1,2}(?=[^/])", re.IGNORECASE)
LINK = re.compile(r"https?://(?P<host>[^/?#]*)(?P<path>[^?#]*)(?P<rest>.*)", re.DOTALL | re.IGNORECASE)
# The host (or what it ends in), how its path begins, and the parameters that may hold the URL.
PARAMETERS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("safelinks.protection.outlook.com", "", ("url",)),
    ("safelinks.protection.office365.us", "", ("url",)),
    ("safelinks.protection.partner.outlook.cn", "", ("url",)),
    ("statics.teams.cdn.office.net", "/evergreen-assets/safelinks", ("url",)),
    ("google.com", "/url", ("q", "url")),
    ("google.", "/url", ("q", "url")),
    ("youtube.com", "/redirect", ("q",)),
    ("facebook.com", "/l.php", ("u",)),
    ("l.messenger.com", "/l.php", ("u",)),
    ("l.instagram.com", "", ("u",)),
    ("l.threads.com", "", ("u",)),
    ("linkedin.com", "/redir", ("url",)),
    ("linkedin.com", "/safety/go", ("url",)),
    ("slack-redir.net", "/link", ("url",)),
    ("vk.com", "/away.php", ("to",)),
    ("out.reddit.com", "", ("url",)),
    ("t.umblr.com", "/redirect", ("z",)),
    ("steamcommunity.com", "/linkfilter", ("u", "url")),
    ("urldefense.proofpoint.com", "/v1/url", ("u",)),
    ("urldefense.com", "/v1/url", ("u",)),
    ("linkprotect.cudasvc.com", "/url", ("a",)),
    ("fireeye.com", "/url", ("u",)),
    ("fireeye.com", "/v1/url", ("u",)),
    ("trellix.com", "/v1/url", ("u",)),
    ("clicktime.symantec.com", "", ("u",)),
    ("clicktime.cloud.postoffice.net", "", ("u",)),
    ("secure-web.trendmicro.com", "", ("url", "u")),
    ("trendmicro.com", "/wis/clicktime", ("url",)),
    ("duckduckgo.com", "/l/", ("uddg",)),
)
ENCODED_IN_PROOFPOINT = str.maketrans("-_", "%/")
PROOFPOINT = ("urldefense.proofpoint.com", "urldefense.com", "urldefense.us")
PROOFPOINT_3 = "/v3/__"
UNDERSCORED = ("avanan.click", "protect.checkpoint.com")  # /v2/___https://…___.abc
RUN = re.compile(r"\*(?:\*(.))?", re.DOTALL)
LENGTHS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"  # of a run, from two on
GOOGLE = re.compile(r"(?:www\.)?google\.(?:com?\.)?[a-z]{2}")
IN_PATH = re.compile(r"/(https?(?:%3A|:).*)", re.DOTALL | re.IGNORECASE)
CLOSED = frozenset(
    {
        *("mimecast.com", "mimecastprotect.com", "protection.sophos.com", "emailprotection.link", "avanan.click"),
        *("protect.checkpoint.com", "cudasvc.com", "edgepilot.com", "vadesecure.com", "antigena.com"),
        *("safelinks.protection.outlook.com", "urldefense.proofpoint.com", "urldefense.com", "urldefense.us"),
    }
)
MAX_DEPTH = 3  # one filter wraps the link of another


def unwrapped(text: str) -> str:
    """The URL that a link of a mail program or a document leads to; `text` itself if it is none, or keeps it secret."""
    for _ in range(MAX_DEPTH):
        inner = _inside(text)
        if not inner:
            break
        text = inner
    return text


def _inside(text: str) -> str:
    link = LINK.fullmatch(text)
    if link is None:
        return ""
    host = link["host"].lower().partition(":")[0]
    found = ""
    for owner, path, parameters in PARAMETERS:
        if _is_at(host, owner) and link["path"].startswith(path):
            found = unquote(_first(link["rest"], parameters))
            break
    if any(_is_at(host, owner) for owner in PROOFPOINT):
        found = found or _proofpoint(link)
    elif any(_is_at(host, owner) for owner in UNDERSCORED):
        found = (link["path"] + link["rest"]).partition("___")[2].partition("___")[0]
    elif _is_at(host, "protection.sophos.com"):
        found = _from_base64(_first(link["rest"], ("u",)))
    elif host == "secure-web.cisco.com":
        in_path = IN_PATH.search(link["path"])
        found = unquote(in_path[1]) if in_path else ""
    return WEB.sub(lambda scheme: scheme.group().rstrip("/") + "//", found, count=1) if WEB.match(found) else ""


def _proofpoint(link: re.Match[str]) -> str:
    """The URL in a link of Proofpoint's second or third version."""
    if link["path"].startswith("/v2/url"):
        return unquote(_first(link["rest"], ("u",)).translate(ENCODED_IN_PROOFPOINT))
    coded = link["path"] + link["rest"]
    url, mark, rest = coded.removeprefix(PROOFPOINT_3).partition("__;")
    if not (mark and coded.startswith(PROOFPOINT_3)):
        return ""
    signs = rest.partition("!")[0]
    return RUN.sub(_next_of(_from_base64(signs)), url)


def _from_base64(text: str) -> str:
    """The text that is encoded so, also without padding; "" if it is none."""
    text = unquote(text).rstrip("=")
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""


def _next_of(signs: str) -> Callable[[re.Match[str]], str]:
    """Gives the next of the signs for each `*`, and the next few for each `**` with the letter of their number."""
    at = 0

    def take(match: re.Match[str]) -> str:
        nonlocal at
        length = LENGTHS.find(match[1]) + 2 if match[1] else 1
        at += length
        return signs[at - length : at] or match.group()

    return take


def _first(query: str, parameters: tuple[str, ...]) -> str:
    """The value of the first of these parameters that the query of a link has, as it stands there."""
    values = dict(part.partition("=")[::2] for part in reversed(re.split("[?&#]", query)))
    return next((values[parameter] for parameter in parameters if values.get(parameter)), "")


def _is_at(host: str, owner: str) -> bool:
    if owner == "google.":  # google.de, google.co.uk
        return GOOGLE.fullmatch(host) is not None
    return f".{host}".endswith(f".{owner}")
