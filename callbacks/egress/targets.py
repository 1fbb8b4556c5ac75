"""The target of a URL: scheme, host and port as they are sent, and what forbids calling them. Pure.

A URL is read as `requests` reads it, and so it goes on the wire. The standard library's `urlsplit` only says where the
parts are; where the two could differ (a backslash in the host), the URL is refused. Where it must be quick, at every
attempt, there are `wire_problem`, `policy_problem` and `name_to_look_up`.
"""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

import requests
from urllib3.util import parse_url

from callbacks.egress import addresses
from callbacks.egress.wording import Sentence as _

EXAMPLE = "https://track.example/postback"
LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")  # with underscores: some trackers have them
MAX_HOST = 253
DEFAULT_PORTS = {"http": 80, "https": 443}
REMOVED = re.compile(r"[\t\r\n]")  # `urlsplit` does so too
LONG_HOST = re.compile(rf"[^:/?#]*:?//[^/?#]{{{addresses.LONGEST}}}")
LOOKED_UP = re.compile("[a-z0-9._-]+")
NOT_IN_A_HOST = re.compile(r"[\s\\\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a URL or with a template of one.

    `fragments` are the parts that it is about, `suggestions` what to write instead, if that is known. `brief` is a
    shorter message for a page that lists the corrections below it; "" if there is none.
    """

    code: str
    message: str
    fragments: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()
    brief: str = ""


class TargetError(Exception):
    """The URL cannot be called, whatever the policy."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Target:
    """`url` is the canonical URL as it is sent, without fragment; `host` has its brackets if it is IPv6."""

    url: str
    scheme: str
    host: str
    port: int


def split(url: str) -> SplitResult:
    """The parts of an http(s) URL with a host; raises TargetError for anything else."""
    try:
        parts = _split(url)
    except ValueError:
        raise _refusal("bad_host", _("The host of the URL is not valid. Example: {example}", example=EXAMPLE)) from None
    if parts.scheme not in DEFAULT_PORTS:
        raise _bad_scheme(url, parts)
    if not parts.netloc:
        message = _("The host is missing after {scheme}://. Example: {example}", scheme=parts.scheme, example=EXAMPLE)
        raise _refusal("bad_host", message)
    return parts


def _split(url: str) -> SplitResult:
    """The parts of `url`; raises ValueError if its host cannot be read, or is too long to be one."""
    if LONG_HOST.match(REMOVED.sub("", url)):
        raise ValueError
    return urlsplit(url)


@lru_cache(maxsize=4096)
def host_of(template: str) -> str:
    """Host and port of a valid template as typed, in lower case; "" for a text that cannot be read as a URL."""
    try:
        return _split(template).netloc.lower()
    except ValueError:
        return ""


def read(url: str) -> Target:
    """The target of `url`, in which no variable is left; raises TargetError if there is none."""
    parts = split(url)
    if NOT_IN_A_HOST.search(parts.netloc):
        message = _("The host “{host}” contains a space or a backslash. Remove it.", host=parts.netloc)
        raise _refusal("bad_host", message)
    if "@" in parts.netloc:
        message = _(
            "A user name or password before the host (…@) is not sent. Remove it; use a key in the query instead."
        )
        raise _refusal("credentials", message)
    try:
        sent = (requests.Request("GET", url).prepare().url or "").partition("#")[0]  # with IDNA host and quoting
        host, port = parse_url(sent).host or "", parse_url(url).port  # `requests` leaves a port 0 out
    except (requests.RequestException, ValueError):
        raise _unreadable(parts) from None
    return Target(sent, parts.scheme, host, DEFAULT_PORTS[parts.scheme] if port is None else port)


def problems(target: Target, policy: addresses.Policy) -> Iterator[Problem]:
    """What forbids calling `target`, as far as that can be known before its name is looked up."""
    if not addresses.port_allowed(target.port, policy):
        ports = ", ".join(str(port) for port in sorted(addresses.PORTS | policy.ports))
        message = _("Port {port} is not allowed. Allowed ports: {ports}.", port=target.port, ports=ports)
        yield Problem("blocked_port", message, (str(target.port),))
    blocked = addresses.host_problem(target.host, policy.at(target.port))
    if blocked and not blocked.endswith(f"{addresses.NO_ADDRESS}."):
        yield Problem("blocked_address", blocked, (target.host,))
    elif blocked or not _is_host(target.host):
        message = _("“{host}” is not a valid host name. Example: {example}", host=target.host, example=EXAMPLE)
        yield Problem("bad_host", message, (target.host,))


# --- at every attempt --------------------------------------------------------
def wire_problem(url: str) -> Problem | None:
    """What forbids handing `url` to libcurl, which takes spellings that nobody else does."""
    scheme, separator, rest = url.partition("://")
    message: str = ""
    if not separator or scheme.lower() not in DEFAULT_PORTS:
        message = _("The URL must begin with http:// or https://.")
    elif not (url.isascii() and url.isprintable()) or " " in url or "\\" in url:
        message = _("The URL contains a character that is not allowed in URLs.")
    elif not rest or rest[0] in "/?#:":
        message = _("The URL has no host.")
    elif "@" in rest and "@" in re.split("[/?#]", rest, maxsplit=1)[0]:
        message = _("The URL contains a user name or password, which is not sent.")
    return Problem("bad_url", message) if message else None


def policy_problem(url: str, policy: addresses.Policy) -> Problem | None:
    """What forbids calling the host and port of `url`, as far as the URL itself tells.

    For URLs that a proxy calls. Without a proxy the address is judged when its socket is opened, which says more.
    """
    problem = _origin_problem(_origin(url), policy)
    return problem and (problem if problem.code.startswith("blocked") else Problem("bad_url", problem.message))


def name_to_look_up(url: str) -> tuple[str, int]:
    """The host of `url` and its port; "" for a host that is an address."""
    return _name_and_port(_origin(url))


def _origin(url: str) -> str:
    return "/".join(re.split("[/?#]", url, maxsplit=3)[:3])


@lru_cache(maxsize=4096)
def _origin_problem(origin: str, policy: addresses.Policy) -> Problem | None:
    try:
        return next(problems(read(origin), policy), None)
    except TargetError as error:
        return error.problem


@lru_cache(maxsize=4096)
def _name_and_port(origin: str) -> tuple[str, int]:
    try:
        parts = _split(origin)
        host, port = parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]
    except ValueError:
        return "", 0
    is_name = "[" not in origin and LOOKED_UP.fullmatch(host) and addresses.is_name(host)
    return (host, port) if is_name else ("", port)


# --- reading a host ----------------------------------------------------------
def _is_host(host: str) -> bool:
    """Whether `host` is an address that was not refused, or a name that DNS may know."""
    name = host.lower().removesuffix(".")
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        pass
    else:
        return True
    labels = name.split(".")
    if len(name) > MAX_HOST or not all(LABEL.fullmatch(label) for label in labels):
        return False
    # A single label can only be a name of this machine (`localhost`), which was refused before unless it is opened.
    return len(labels) > 1 or addresses.host_problem(host, addresses.NOTHING_MORE) is not None


def _unreadable(parts: SplitResult) -> TargetError:
    __, colon, port = parts.netloc.rpartition(":")
    if colon and port.isdecimal() and len(port) < 20 and int(port) > 0xFFFF:
        return _refusal("blocked_port", _("Port {port} does not exist. The highest port is 65535.", port=port), port)
    message = _("“{host}” is not a valid host. Example of a URL: {example}", host=parts.netloc, example=EXAMPLE)
    return _refusal("bad_host", message, parts.netloc)


def _bad_scheme(url: str, parts: SplitResult) -> TargetError:
    if parts.scheme and not parts.path[:1].isdecimal() and "." not in parts.scheme:
        message = _("{scheme}:// URLs are not supported. The URL must begin with https://", scheme=parts.scheme)
        return _refusal("bad_scheme", message, parts.scheme)
    rest = re.sub(r"^(?:http\(s\)|https?)?:?/*", "", url, flags=re.IGNORECASE)
    host = re.split(r"[/?#\\\s]", rest, maxsplit=1)[0][:60]
    example = f"https://{host or 'track.example'}/…"
    message = _("The URL must begin with https:// or http://. Example: {example}", example=example)
    return _refusal("bad_scheme", message)


def _refusal(code: str, message: str, *fragments: str) -> TargetError:
    return TargetError(Problem(code, message, fragments))
