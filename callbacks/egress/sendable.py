"""What of a request can be handed to libcurl, which takes looser spellings than we do; or why not. Pure."""

import re
from functools import lru_cache
from urllib.parse import urlsplit

from callbacks.egress import addresses, targets
from callbacks.egress.addresses import Policy
from callbacks.egress.targets import Problem

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, 5.6.2
NAME = re.compile("[a-z0-9._-]+")
# What libcurl would add to a request by itself. Named without a value, it does not.
NOT_ADDED = {"accept": "Accept:", "content-type": "Content-Type:", "expect": "Expect:", "user-agent": "User-Agent:"}
# What libcurl writes from the body, so that it is never wrong.
WRITTEN_BY_CURL = frozenset({"content-length", "transfer-encoding"})


class RefusedError(Exception):
    """This request is not sent at all; the arguments are kind and sentence."""


def check_url(url: str) -> None:
    """Raises `RefusedError` for a URL that is not to be called by any reading."""
    if problem := _url_problem(url):
        raise RefusedError("bad_url", problem)


def check_target(url: str, policy: Policy) -> None:
    """Raises `RefusedError` for a URL whose host and port may not be called, as far as the URL itself tells.

    For those that a proxy calls; without one the socket's address is judged, which says more. The URL is read by what
    read it when it was saved.
    """
    if problem := _target_problem("/".join(re.split("[/?#]", url, maxsplit=3)[:3]), policy):
        raise RefusedError(problem.code if problem.code.startswith("blocked") else "bad_url", problem.message)


def name_in(url: str) -> tuple[str, int]:
    """The name that has to be looked up to call `url`, and the port; no name where the host is none."""
    scheme, _, authority = re.split("[/?#]", url, maxsplit=3)[:3]
    return _name_and_port(f"{scheme}//{authority}")


def header_lines(headers: tuple[tuple[str, str], ...]) -> list[str]:
    """`headers` in libcurl's notation, with what it would add taken away. Raises `RefusedError`."""
    lines = []
    names = set()
    for name, value in headers:
        lowered = name.lower()
        names.add(lowered)
        if not _is_token(name):
            raise RefusedError("bad_request", f"{name!r} cannot be the name of a header.")
        if not (value.isascii() and value.isprintable()):
            raise RefusedError("bad_request", f"The header {name} holds a character that no header may hold.")
        if lowered not in WRITTEN_BY_CURL:
            lines.append(f"{name}: {value}" if value.strip() else f"{name};")
    lines.extend(line for name, line in NOT_ADDED.items() if name not in names)
    return lines


@lru_cache(maxsize=4096)
def _target_problem(origin: str, policy: Policy) -> Problem | None:
    """What is wrong with scheme, host and port."""
    try:
        return next(targets.problems(targets.read(origin), policy), None)
    except targets.TargetError as error:
        return error.problem


@lru_cache(maxsize=4096)
def _name_and_port(origin: str) -> tuple[str, int]:
    try:
        parts = urlsplit(origin)
        host, port = parts.hostname or "", parts.port or targets.DEFAULT_PORTS[parts.scheme]
    except ValueError:
        return "", 0
    is_name = "[" not in origin and NAME.fullmatch(host) and addresses.is_name(host)
    return (host, port) if is_name else ("", port)


def _url_problem(url: str) -> str | None:
    scheme, mark, rest = url.partition("://")
    if not mark or scheme.lower() not in ("http", "https"):
        return "Only http:// and https:// URLs are called."
    if not (url.isascii() and url.isprintable()) or " " in url or "\\" in url:
        return "The URL holds a character that no URL may hold."
    if not rest or rest[0] in "/?#:":
        return "The URL names no host."
    if "@" in rest and "@" in re.split("[/?#]", rest, maxsplit=1)[0]:
        return "The URL holds a user name or a password, which is not sent."
    return None


@lru_cache(maxsize=1024)
def _is_token(name: str) -> bool:
    return TOKEN.fullmatch(name) is not None
