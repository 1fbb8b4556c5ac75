"""One request on one libcurl handle: what libcurl is told, what it may do, and what came of it.

Handles are used again and again; `callbacks.egress` drives many of them at once.
"""

import codecs
import re
import socket
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Any

import pycurl

from callbacks import addresses, outcomes
from callbacks.addresses import Policy
from callbacks.outcomes import Outcome, Request

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, 5.6.2
# What libcurl would add to a request by itself. Named without a value, it does not.
NOT_ADDED = {"accept": "Accept:", "content-type": "Content-Type:", "expect": "Expect:", "user-agent": "User-Agent:"}
# What libcurl writes from the body, so that it is never wrong.
WRITTEN_BY_CURL = frozenset({"content-length", "transfer-encoding"})
UTF_8 = codecs.getincrementaldecoder("utf-8")
NUL, REPLACEMENT = "\0", "\N{REPLACEMENT CHARACTER}"

Verdict = tuple[str, str]  # kind and sentence, as `outcomes` makes them


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one request. `connect_s` is for lookup, connection and TLS, `total_s` for all of it."""

    connect_s: float = 5.0
    total_s: float = 10.0
    body_bytes: int = 65536
    excerpt_bytes: int = 4096
    header_bytes: int = 65536


class RefusedError(Exception):
    """This request is not sent at all; the arguments are kind and sentence."""


class Transfer:
    """A libcurl handle with the request it carries now, and what has come back so far.

    `refused` and `sockets` are lists of the driver: transfers it must end after this round, and sockets that libcurl
    has taken a duplicate of.
    """

    def __init__(
        self,
        policy: Policy,
        limits: Limits,
        ca_bundle: str,
        refused: "list[Transfer]",
        sockets: list[socket.socket],
    ) -> None:
        self._policy = policy
        self._limits = limits
        self._refused = refused
        self._sockets = sockets
        self._is_post = False
        self.curl = pycurl.Curl()
        self._configure(ca_bundle)
        self.clear()

    def clear(self) -> None:
        """Ready for the next request."""
        self.request = Request(0, "", "", (), None)
        self._lines: list[bytes] = []
        self._header_size = 0
        self._body = b""
        self._body_size = 0
        self._is_complete = False  # the final answer's headers came to their end
        self._was_opened = False  # the name was found, and the connection is this request's own
        self._verdict: Verdict | None = None  # ours, for a transfer that we end

    def _configure(self, ca_bundle: str) -> None:
        """All that is the same for every request."""
        curl = self.curl
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.FOLLOWLOCATION, 0)
        curl.setopt(pycurl.PATH_AS_IS, 1)
        curl.setopt(pycurl.PROXY, "")  # nor from the environment
        curl.setopt(pycurl.NOPROXY, "*")
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        curl.setopt(pycurl.HTTP09_ALLOWED, 0)
        curl.setopt(pycurl.HTTP_CONTENT_DECODING, 0)
        curl.setopt(pycurl.NETRC, pycurl.NETRC_IGNORED)
        curl.setopt(pycurl.TCP_NODELAY, 1)
        curl.setopt(pycurl.CAINFO, ca_bundle)
        curl.setopt(pycurl.SSL_VERIFYPEER, 1)
        curl.setopt(pycurl.SSL_VERIFYHOST, 2)
        curl.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, round(self._limits.connect_s * 1000)))
        curl.setopt(pycurl.TIMEOUT_MS, max(1, round(self._limits.total_s * 1000)))
        curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)
        curl.setopt(pycurl.PREREQFUNCTION, self._before_request)
        curl.setopt(pycurl.HEADERFUNCTION, self._on_header)
        curl.setopt(pycurl.WRITEFUNCTION, self._on_body)
        curl.setopt(pycurl.HTTPGET, 1)

    def prepare(self, request: Request) -> None:
        """Tell libcurl of `request`. Raises `RefusedError` for what cannot be sent."""
        curl = self.curl
        if problem := _url_problem(request.url):
            raise RefusedError("bad_url", problem)
        lines = _header_lines(request.headers)
        try:
            curl.setopt(pycurl.URL, request.url)
            curl.setopt(pycurl.HTTPHEADER, lines)
            if request.method == "POST":
                self._is_post = True  # first, so that a refusal on the way cannot turn the next GET into a POST
                curl.setopt(pycurl.POST, 1)
                curl.setopt(pycurl.POSTFIELDS, request.body or b"")
            elif request.method != "GET":
                raise RefusedError("bad_request", f"The method {request.method!r} is not one that is sent.")
            elif request.body:
                raise RefusedError("bad_request", "A GET request has no body.")
            elif self._is_post:
                curl.setopt(pycurl.HTTPGET, 1)
                self._is_post = False
        except (pycurl.error, ValueError, TypeError) as error:
            raise RefusedError("bad_url", "This URL cannot be called; check how it is written.") from error
        self.request = request

    # --- what libcurl asks and tells -----------------------------------------

    def _open_socket(self, purpose: int, address: Any) -> Any:
        """libcurl is about to connect to `address`: a socket for it, or a refusal that ends the transfer."""
        self._was_opened = True
        if self._verdict is None:
            self._verdict = _refusal(self.request.url, address, self._policy)
            if self._verdict is None:
                opened = socket.socket(address.family, address.socktype, address.protocol)
                self._sockets.append(opened)
                return opened
            self._refused.append(self)
        return pycurl.SOCKET_BAD

    def _before_request(self, *_: object) -> int:
        """A connection stands. It may be one that was under way when another address of the name was refused."""
        return pycurl.PREREQFUNC_OK if self._verdict is None else pycurl.PREREQFUNC_ABORT

    def _on_header(self, line: bytes) -> int | None:
        self._header_size += len(line)
        if self._header_size > self._limits.header_bytes:
            self._verdict = "too_large", outcomes.HEADERS_TOO_LONG
            return 0
        if self._is_complete:
            if line.startswith(b"HTTP/"):  # what came before was 1xx
                self._is_complete = False
                self._lines = [line]
            return None  # otherwise a trailer
        if line in (b"\r\n", b"\n"):
            self._is_complete = True
        else:
            self._lines.append(line)
        return None

    def _on_body(self, chunk: bytes) -> int | None:
        missing = self._limits.excerpt_bytes - self._body_size
        if missing > 0:
            self._body += chunk[:missing]
        self._body_size += len(chunk)
        return 0 if self._body_size > self._limits.body_bytes else None

    # --- what came of it -----------------------------------------------------

    def outcome(self, code: int, message: str) -> Outcome:
        """The outcome, after libcurl ended the transfer with `code` (0: no error), or after we refused it."""
        info = self.curl.getinfo
        request = self.request
        status = info(pycurl.RESPONSE_CODE) if self._is_complete else 0
        if 100 <= status < 200 and status != HTTPStatus.SWITCHING_PROTOCOLS:
            status = 0  # no answer followed
        headers = tuple(map(_header_pair, self._lines[1:]))  # the first is the status line
        is_refused = self._verdict is not None and self._verdict[0].startswith("blocked")
        is_whole = code == 0 or self._body_size > self._limits.body_bytes
        if self._verdict is not None:
            kind, detail = self._verdict
        elif (status >= 200 and (is_whole or status >= 300)) or status == HTTPStatus.SWITCHING_PROTOCOLS:
            kind, detail = outcomes.of_status(status, _first(headers, "location") if 300 <= status < 400 else None)
        else:
            kind, detail = outcomes.of_failure(self._failure(code, message, status))
        looked_up = connected = secured = 0
        if self._was_opened:
            looked_up, connected = info(pycurl.NAMELOOKUP_TIME_T), info(pycurl.CONNECT_TIME_T)
            secured = info(pycurl.APPCONNECT_TIME_T)
        first = info(pycurl.STARTTRANSFER_TIME_T) if self._lines else 0
        return Outcome(
            request.key,
            status or None,
            kind,
            detail,
            headers,
            _text(self._body, is_cut=self._body_size > len(self._body)),
            "" if is_refused else info(pycurl.PRIMARY_IP),
            looked_up / 1000 if self._was_opened else None,
            (connected - looked_up) / 1000 if connected else None,
            (secured - connected) / 1000 if secured else None,
            (first - info(pycurl.PRETRANSFER_TIME_T)) / 1000 if first else None,
            info(pycurl.TOTAL_TIME_T) / 1000,
            _first(headers, "retry-after") if kind else None,
        )

    def _failure(self, code: int, message: str, status: int) -> outcomes.Failure:
        info = self.curl.getinfo
        is_connected = info(pycurl.CONNECT_TIME_T) > 0
        is_secured = info(pycurl.APPCONNECT_TIME_T) > 0 or not self.request.url.lower().startswith("https")
        total_s = self._limits.total_s
        return outcomes.Failure(
            code=code,
            message=message,
            url=self.request.url,
            status_code=status,
            is_resolved=self._was_opened or is_connected,
            is_connected=is_connected,
            is_secured=is_secured,
            seconds=total_s if is_connected and is_secured else min(self._limits.connect_s, total_s),
            os_errno=info(pycurl.OS_ERRNO),
            verify_result=info(pycurl.SSL_VERIFYRESULT),
        )


def _refusal(url: str, address: Any, policy: Policy) -> Verdict | None:
    """Kind and sentence if no socket may be opened to `address`. The sentence tells nothing of the network behind."""
    if address.family not in (socket.AF_INET, socket.AF_INET6) or addresses.blocked_reason(address.addr[0], policy):
        return "blocked_address", f"{outcomes.host_of(url)} leads to an address that may not be called."
    port = address.addr[1]
    return None if addresses.port_allowed(port, policy) else ("blocked_port", f"Port {port} may not be called.")


def _url_problem(url: str) -> str | None:
    """What keeps `url` from being handed to libcurl, which takes more schemes and looser spellings than we do."""
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


def _header_lines(headers: tuple[tuple[str, str], ...]) -> list[str]:
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


@lru_cache(maxsize=1024)
def _is_token(name: str) -> bool:
    return TOKEN.fullmatch(name) is not None


def _header_pair(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode("latin-1").replace(NUL, REPLACEMENT).partition(":")
    return name.strip(), value.strip()


def _first(headers: tuple[tuple[str, str], ...], name: str) -> str | None:
    return next((value for key, value in headers if key.lower() == name), None)


def _text(body: bytes, *, is_cut: bool) -> str:
    """`body` as UTF-8 that every database can hold. A character that our own cut halved is left out."""
    text = UTF_8("replace").decode(body) if is_cut else body.decode("utf-8", "replace")
    return text.replace(NUL, REPLACEMENT)
