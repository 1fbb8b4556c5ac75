"""The proxy through which every postback goes, if the operator named one. Pure.

The proxy looks up the names of the trackers and connects to them, so the guard at our own sockets only sees the proxy.
A URL that can be refused without a lookup is refused before it is sent (`callbacks.egress.targets`). Which other
addresses may be called is the proxy's decision.
"""

import ipaddress
import re
import socket
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

SCHEMES = frozenset({"http", "https"})
HOST = re.compile(r"[a-z0-9_.:-]+")


@dataclass(frozen=True, slots=True)
class Proxy:
    """The address of the proxy and our log-in. `host` has no brackets; `repr` shows neither user nor password."""

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
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("The URL of the proxy cannot be read.") from None
    if parts.scheme not in SCHEMES:
        raise ValueError("The URL of the proxy does not begin with http:// or https://.")
    if not HOST.fullmatch(host):
        raise ValueError("The URL of the proxy names no host.")
    if not port:
        raise ValueError("The URL of the proxy names no port.")
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError("The URL of the proxy goes on after the port.")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if ":" in user or not (user + password).isprintable():
        raise ValueError("The user name or the password of the proxy holds a character that cannot be sent.")
    return Proxy(parts.scheme, host, port, user, password)
