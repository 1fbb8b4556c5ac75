"""Whom a URL calls: scheme, host and port as they are sent, and what forbids calling them.

There is one reading of a URL here, that of `requests`, which is also what goes on the wire. The standard library's
`urlsplit` only says where the parts are; where the two could differ (a backslash in the host), the URL is refused.
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

EXAMPLE = "https://track.example/postback"
LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")  # with underscores: some trackers have them
MAX_HOST = 253
DEFAULT_PORTS = {"http": 80, "https": 443}
NO_SIGN_OF_A_HOST = re.compile(r"[\s\\\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a URL or a template of one. `fragments` are the parts that it is about, `suggestions` what to write instead, if that is known.

    `brief` is the message where the corrections are listed below it; "" if that is the same.
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


def canonical(url: str) -> str:
    """`url` as it goes on the wire: IDNA host, quoting, no fragment. Raises what `requests` raises."""
    return (requests.Request("GET", url).prepare().url or "").partition("#")[0]


def split(url: str) -> SplitResult:
    """The parts of an http(s) URL with a host; raises TargetError for anything else."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _refusal("bad_host", f"The host of the URL is not written correctly. An example: {EXAMPLE}") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise _bad_scheme(url, parts)
    if not parts.netloc:
        raise _refusal("bad_host", f"After {parts.scheme}:// the host of the tracker must follow, as in {EXAMPLE}.")
    return parts


@lru_cache(maxsize=4096)
def host_of(template: str) -> str:
    """Host and port of a valid template as typed, in small letters: no variable can stand there. "" for others."""
    try:
        return urlsplit(template).netloc.lower()
    except ValueError:
        return ""


def read(url: str) -> Target:
    """The target of `url`, in which no variable is left; raises TargetError if there is none."""
    parts = split(url)
    if NO_SIGN_OF_A_HOST.search(parts.netloc):
        raise _refusal("bad_host", f"The host “{parts.netloc}” holds a space or a backslash. Take it out.")
    if "@" in parts.netloc:
        message = "A user name or password before the host (…@) is not sent. Take it out; use a key in the URL instead."
        raise _refusal("credentials", message)
    try:
        sent = canonical(url)
        host, port = parse_url(sent).host or "", parse_url(url).port  # `requests` leaves a port 0 out
    except (requests.RequestException, ValueError):
        raise _unreadable(parts) from None
    return Target(sent, parts.scheme, host, DEFAULT_PORTS[parts.scheme] if port is None else port)


def problems(target: Target, policy: addresses.Policy) -> Iterator[Problem]:
    """What forbids calling `target`, as far as that can be known before its name is looked up."""
    if not addresses.port_allowed(target.port, policy):
        ports = ", ".join(str(port) for port in sorted(addresses.PORTS | policy.ports))
        message = f"Port {target.port} may not be called. Postbacks are sent to these ports: {ports}."
        yield Problem("blocked_port", message, (str(target.port),))
    blocked = addresses.host_problem(target.host, policy)
    if blocked and not blocked.endswith(f"{addresses.NO_ADDRESS}."):
        yield Problem("blocked_address", blocked, (target.host,))
    elif blocked or not _is_host(target.host):
        message = f"“{target.host}” is not the name of a host on the internet. An example: {EXAMPLE}"
        yield Problem("bad_host", message, (target.host,))


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
    # A bare word is a name only of this machine (`localhost`), which the operator has opened if we come here.
    return len(labels) > 1 or addresses.host_problem(host, addresses.NOTHING_MORE) is not None


def _unreadable(parts: SplitResult) -> TargetError:
    _, colon, port = parts.netloc.rpartition(":")
    if colon and port.isdecimal() and int(port) > 0xFFFF and len(port) < 20:
        return _refusal("blocked_port", f"There is no port {port}: ports go up to 65535.", port)
    message = f"“{parts.netloc}” is not a host that can be called. An example of a URL: {EXAMPLE}"
    return _refusal("bad_host", message, parts.netloc)


def _bad_scheme(url: str, parts: SplitResult) -> TargetError:
    if parts.scheme and not parts.path[:1].isdecimal() and "." not in parts.scheme:
        message = f"Postbacks are sent with http and https only, not with {parts.scheme}. Begin the URL with https://"
        return _refusal("bad_scheme", message, parts.scheme)
    rest = re.sub(r"^(?:http\(s\)|https?)?:?/*", "", url, flags=re.IGNORECASE)
    host = re.split(r"[/?#\\\s]", rest, maxsplit=1)[0][:60]
    message = f"The URL must begin with https:// or http://, as in https://{host or 'track.example'}/…"
    return _refusal("bad_scheme", message)


def _refusal(code: str, message: str, *fragments: str) -> TargetError:
    return TargetError(Problem(code, message, fragments))
