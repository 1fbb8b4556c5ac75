"""The proxy through which every postback goes, if the operator named one, and which answers are its own. Pure.

The proxy looks up the names of the trackers and connects to them, so the guard at our own sockets only sees the proxy.
A URL that can be refused without a lookup is refused before it is sent (`callbacks.egress.targets`). Which other
addresses may be called is the proxy's decision.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlsplit

SCHEMES = frozenset({"http", "https"})
HOST = re.compile(r"[a-z0-9_.:-]+")
# What only a proxy writes, and only into an answer that it made itself.
OWN_HEADERS = frozenset({"proxy-authenticate", "x-squid-error", "x-smokescreen-error"})
# Servers that are proxies and nothing else. They do not name themselves in an answer that they pass on.
OWN_SERVERS = frozenset({"3proxy", "bluecoat", "mitmproxy", "privoxy", "smokescreen", "tinyproxy", "zscaler"})
CONTROL = re.compile(r"[\x00-\x20\x7f]")
SURROGATE = re.compile("[\udc80-\udcff]")
PRODUCT = re.compile(r"[^\s/(),;]+")
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+"?')


@dataclass(frozen=True, slots=True)
class Proxy:
    """The address of the proxy and our log-in. `host` has no brackets; `repr` shows neither user nor password.

    User and password are sent in UTF-8; bytes that were percent-encoded and are none stand there as lone surrogates.
    """

    scheme: str
    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """The URL without user name and password."""
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    def is_at(self, address: Any) -> bool:
        """Whether libcurl's `address` may be that of the proxy.

        The port must be the same, and the address too if the operator gave one. If the operator gave a name, any
        address will do: libcurl has looked up this name and no other.
        """
        if address.family not in {socket.AF_INET, socket.AF_INET6} or address.addr[1] != self.port:
            return False
        try:
            return ipaddress.ip_address(self.host) == ipaddress.ip_address(address.addr[0])
        except ValueError:
            return True


def proxy_from(url: str) -> Proxy | None:
    """The proxy that `url` names, as in `http://USER:PASSWORD@HOST:PORT`; None if it is empty.

    Raises ValueError with a sentence that repeats nothing of `url`, because it may hold a password.
    """
    if not url:
        return None
    proxy, problem = _read(url)
    if proxy is None:
        del url  # so that no report of the error shows it among the variables
        raise ValueError(problem)
    return proxy


def _read(url: str) -> tuple[Proxy | None, str]:
    """The proxy, or None and a sentence about what is wrong with its URL."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None, "The URL of the proxy cannot be read."
    if CONTROL.search(url):
        return None, "The URL of the proxy contains a space or a control character."
    if parts.scheme not in SCHEMES:
        return None, "The URL of the proxy must begin with http:// or https://."
    if not HOST.fullmatch(host):
        return None, "The URL of the proxy has no host."
    if not port:
        return None, "The URL of the proxy has no port."
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        return None, "The URL of the proxy must end after the port."
    user, password = (unquote(part or "", errors="surrogateescape") for part in (parts.username, parts.password))
    if ":" in user or not SURROGATE.sub("", user + password).isprintable():
        return None, "The user name or password of the proxy contains a character that cannot be sent."
    return Proxy(parts.scheme, host, port, user, password), ""


def is_own_answer(status: int, headers: Iterable[tuple[str, str]]) -> bool:
    """Whether the proxy itself, and not the tracker behind it, gave this answer to a request that was not tunnelled.

    A proxy adds `Via` and `Proxy-Status` to what it passes on too. So `Proxy-Status` counts only where the last that
    wrote it reports an error (RFC 9209), and `Via` only where it is the server that answered, with nobody behind it.
    An answer that says nothing of the kind is taken for the tracker's.
    """
    if status < 300:
        return False
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return True
    values: dict[str, str] = {}
    for name, value in headers:
        lowered = name.lower()
        values[lowered] = f"{values[lowered]},{value}" if lowered in values else value
    if OWN_HEADERS & values.keys():
        return True
    last = QUOTED.sub("", values.get("proxy-status", "")).rpartition(",")[2]
    if any(parameter.strip().lower().startswith("error=") for parameter in last.split(";")[1:]):
        return True
    server = PRODUCT.match(values.get("server", "").strip().lower())
    if server is None:
        return False
    via = values.get("via", "").lower()
    is_only_hop = "," not in via and server.group() in PRODUCT.findall(via)
    return is_only_hop or server.group() in OWN_SERVERS
