"""The proxy of the operator, through which every callback goes where there is one; pure.

What a proxy takes over: it looks up the names of the trackers and opens the connections to them, so the guard at our
socket sees the proxy and nobody else. What can be known without looking a name up is refused before anything is sent
(`callbacks.egress.sendable`); what a name leads to is then the proxy's to judge.
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
    """Where the proxy is and who we are there. `host` has no brackets; what is secret is in no repr."""

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

        Its port is one, and where the operator wrote an address, that is one too. The addresses of a name are as the
        system looks them up: libcurl is about to connect to that name and knows no other.
        """
        if address.family not in {socket.AF_INET, socket.AF_INET6} or address.addr[1] != self.port:
            return False
        try:
            return ipaddress.ip_address(self.host) == ipaddress.ip_address(address.addr[0])
        except ValueError:
            return True


def read(url: str) -> Proxy | None:
    """The proxy that `url` names, as in `http://USER:PASSWORD@HOST:PORT`; None if it is empty.

    Raises ValueError with a sentence that repeats nothing of `url`, in which there may be a password.
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
