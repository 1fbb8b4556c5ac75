"""One request on one libcurl handle: its options, its callbacks, and its outcome.

Handles are used again and again; `callbacks.egress.transport` drives many of them at once.
"""

import os
import re
import socket
from http import HTTPStatus
from typing import Any

import pycurl

from callbacks.egress import addresses, targets
from callbacks.egress.addresses import Policy
from callbacks.egress.outcome import (
    KINDS,
    Failure,
    Outcome,
    Request,
    explain_failure,
    explain_proxy_status,
    explain_status,
    readable_host,
)
from callbacks.egress.proxy import Proxy, is_own_answer
from callbacks.egress.response import Limits, Response
from callbacks.egress.wording import Sentence
from callbacks.egress.wording import Sentence as _

SUPPRESS_CONNECT_HEADERS = 265  # CURLOPT_SUPPRESS_CONNECT_HEADERS, which has no name in pycurl
TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, 5.6.2
# Headers that libcurl adds to a request by itself, unless they are named without a value.
NOT_ADDED = {"accept": "Accept:", "content-type": "Content-Type:", "expect": "Expect:", "user-agent": "User-Agent:"}
# Headers that libcurl writes from the body, so that they are never wrong.
WRITTEN_BY_CURL = frozenset({"content-length", "transfer-encoding"})

Verdict = tuple[str, str]  # kind and sentence, as in an `Outcome`


class RefusedError(Exception):
    """This request is not sent at all; the arguments are kind and sentence."""


class Transfer:
    """A libcurl handle with the request that it carries now, and its response so far.

    `refused` and `sockets` are lists of the transport: transfers that it must end after this round, and sockets that
    libcurl has duplicated, so that ours can be closed.
    """

    def __init__(
        self,
        policy: Policy,
        limits: Limits,
        ca_bundle: str,
        proxy: Proxy | None,
        refused: "list[Transfer]",
        sockets: list[socket.socket],
    ) -> None:
        self._policy = policy
        self._limits = limits
        self._proxy = proxy
        self._refused = refused
        self._sockets = sockets
        self._is_post = False
        self.curl = pycurl.Curl()
        self._configure(ca_bundle)
        self._spent_s = 0.0
        self.clear()

    def clear(self) -> None:
        """Get ready for the next request."""
        self.request = Request(0, "", "", (), None)
        self._response = Response(self._limits)
        self._was_opened = False  # the name was found, and the connection is this request's own
        self._was_ready = False  # connected and secured, so that the request could go out
        self._verdict: Verdict | None = None  # ours, for a transfer that we end

    def _configure(self, ca_bundle: str) -> None:
        """Set the options that are the same for every request."""
        curl = self.curl
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.FOLLOWLOCATION, 0)
        curl.setopt(pycurl.PATH_AS_IS, 1)
        self._configure_proxy(ca_bundle)
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        curl.setopt(pycurl.HTTP09_ALLOWED, 0)
        curl.setopt(pycurl.HTTP_CONTENT_DECODING, 0)
        curl.setopt(pycurl.NETRC, pycurl.NETRC_IGNORED)
        curl.setopt(pycurl.TCP_NODELAY, 1)
        curl.setopt(pycurl.CAINFO, os.fsencode(ca_bundle))
        curl.setopt(pycurl.SSL_VERIFYPEER, 1)
        curl.setopt(pycurl.SSL_VERIFYHOST, 2)
        self._set_timeouts(0.0)
        curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)
        curl.setopt(pycurl.PREREQFUNCTION, self._before_request)
        curl.setopt(pycurl.HEADERFUNCTION, self._on_header)
        curl.setopt(pycurl.WRITEFUNCTION, self._on_body)
        curl.setopt(pycurl.HTTPGET, 1)

    def _configure_proxy(self, ca_bundle: str) -> None:
        """Use the operator's proxy for every host, or none. The environment's proxies are ignored."""
        curl, proxy = self.curl, self._proxy
        curl.setopt(pycurl.PROXY, proxy.url if proxy else "")
        curl.setopt(pycurl.NOPROXY, "" if proxy else "*")
        if proxy is None:
            return
        curl.setopt(pycurl.PROXY_CAINFO, os.fsencode(ca_bundle))
        curl.setopt(SUPPRESS_CONNECT_HEADERS, 1)
        curl.setopt(pycurl.USERAGENT, "")  # for the proxy; the tracker gets ours in a header
        if proxy.user or proxy.password:
            curl.setopt(pycurl.PROXYAUTH, pycurl.HTTPAUTH_BASIC)
            curl.setopt(pycurl.PROXYUSERNAME, proxy.user.encode("utf-8", "surrogateescape"))
            curl.setopt(pycurl.PROXYPASSWORD, proxy.password.encode("utf-8", "surrogateescape"))

    def _set_timeouts(self, spent_s: float) -> None:
        self._spent_s = spent_s
        self.curl.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, round((self._limits.connect_s - spent_s) * 1000)))
        self.curl.setopt(pycurl.TIMEOUT_MS, max(1, round((self._limits.total_s - spent_s) * 1000)))

    def resolve(self, name: str, port: int, found: tuple[str, ...], spent_s: float) -> None:
        """Tell libcurl the addresses of the request's name. The lookup took `spent_s` of the request's time."""
        listed = ",".join(f"[{address}]" if ":" in address else address for address in found)
        self.curl.setopt(pycurl.RESOLVE, [f"+{name}:{port}:{listed}"])
        if spent_s:
            self._set_timeouts(spent_s)

    def prepare(self, request: Request) -> None:
        """Set the options of this request. Raises `RefusedError` if it cannot be sent."""
        curl = self.curl
        problem = targets.wire_problem(request.url)
        if problem is None and self._proxy:
            problem = targets.policy_problem(request.url, self._policy)
        if problem:
            raise RefusedError(problem.code, problem.message)
        lines = _header_lines(request.headers)
        try:
            curl.setopt(pycurl.URL, request.url)
            curl.setopt(pycurl.HTTPHEADER, lines)
            if request.method == "POST":
                self._is_post = True  # first: if a later option fails, the next GET must not become a POST
                curl.setopt(pycurl.POST, 1)
                curl.setopt(pycurl.POSTFIELDS, request.body or b"")
            elif request.method != "GET":
                raise RefusedError("bad_request", f"The method {request.method!r} is not GET or POST.")
            elif request.body:
                raise RefusedError("bad_request", "A GET request has no body.")
            elif self._is_post:
                curl.setopt(pycurl.HTTPGET, 1)
                self._is_post = False
        except (pycurl.error, ValueError, TypeError) as error:
            raise RefusedError("bad_url", KINDS["bad_url"]) from error
        self.request = request
        if self._spent_s:
            self._set_timeouts(0.0)

    # --- libcurl's callbacks -------------------------------------------------

    def _open_socket(self, purpose: int, address: Any) -> Any:
        """Open the socket that libcurl is about to connect to `address`, or refuse and end the transfer."""
        self._was_opened = True
        if self._verdict is None:
            self._verdict = self._refusal(address)
            if self._verdict is None:
                opened = socket.socket(address.family, address.socktype, address.protocol)
                self._sockets.append(opened)
                return opened
            self._refused.append(self)
        return pycurl.SOCKET_BAD

    def _refusal(self, address: Any) -> Verdict | None:
        """Kind and sentence if no socket may be opened to `address`. The sentence tells nothing about our network.

        With a proxy, only the proxy may be connected to, also in a network that no callback may reach.
        """
        if self._proxy:
            return (
                None
                if self._proxy.is_at(address)
                else ("proxy", _("Not sent: the connection would have bypassed the proxy."))
            )
        host, port = address.addr[:2]
        if address.family not in (socket.AF_INET, socket.AF_INET6) or addresses.blocked_reason(
            host, self._policy.at(port)
        ):
            return "blocked_address", Sentence(KINDS["blocked_address"], host=readable_host(self.request.url))
        if not addresses.port_allowed(port, self._policy):
            return "blocked_port", _("Postbacks may not be sent to port {port}.", port=port)
        return None

    def _before_request(self, *__: object) -> int:
        """Let the request go out, unless another address of the name was refused while this connection was made."""
        self._was_ready = True
        return pycurl.PREREQFUNC_OK if self._verdict is None else pycurl.PREREQFUNC_ABORT

    def _on_header(self, line: bytes) -> int | None:
        if self._response.add_header(line):
            return None
        self._verdict = "too_large", KINDS["too_large"]
        return 0

    def _on_body(self, chunk: bytes) -> int | None:
        return None if self._response.add_body(chunk) else 0

    # --- the outcome ---------------------------------------------------------

    def outcome(self, code: int, message: str) -> Outcome:
        """The outcome, after libcurl ended the transfer with `code` (0: no error), or after we refused it."""
        info, request, response = self.curl.getinfo, self.request, self._response
        status = info(pycurl.RESPONSE_CODE) if response.has_headers else 0
        if 100 <= status < 200 and status != HTTPStatus.SWITCHING_PROTOCOLS:
            status = 0  # no final answer followed
        headers = response.headers()
        is_refused = self._verdict is not None and self._verdict[0].startswith("blocked")
        is_whole = code == 0 or response.has_enough
        if self._verdict is not None:
            kind, detail = self._verdict
        elif self._proxy and not self._is_https and is_own_answer(status, headers):
            kind, detail = explain_proxy_status(status, request.url)
        elif (status >= 200 and (is_whole or status >= 300)) or status == HTTPStatus.SWITCHING_PROTOCOLS:
            kind, detail = explain_status(status, _first(headers, "location") if 300 <= status < 400 else None)
        else:
            kind, detail = explain_failure(self._failure(code, message, status))
        is_trackers = kind != "proxy"  # else neither its status nor what it asks for counts
        looked_up = connected = secured = 0
        if self._was_opened:
            looked_up, connected = info(pycurl.NAMELOOKUP_TIME_T), info(pycurl.CONNECT_TIME_T)
            secured = info(pycurl.APPCONNECT_TIME_T)
        first = info(pycurl.STARTTRANSFER_TIME_T) if response.has_begun else 0
        spent_ms = self._spent_s * 1000
        return Outcome(
            request.key,
            (status or None) if is_trackers else None,
            kind,
            detail,
            headers,
            response.excerpt(headers),
            "" if is_refused or self._proxy else info(pycurl.PRIMARY_IP),
            looked_up / 1000 + spent_ms if self._was_opened else None,
            (connected - looked_up) / 1000 if connected else None,
            (secured - connected) / 1000 if secured else None,
            (first - info(pycurl.PRETRANSFER_TIME_T)) / 1000 if first else None,
            info(pycurl.TOTAL_TIME_T) / 1000 + spent_ms,
            _first(headers, "retry-after") if kind and is_trackers else None,
        )

    def unresolved(self, spent_s: float, *, is_late: bool) -> Outcome:
        """The outcome if the name was not found, or (`is_late`) not found in time."""
        code = pycurl.E_OPERATION_TIMEDOUT if is_late else pycurl.E_COULDNT_RESOLVE_HOST
        failure = Failure(code, "", self.request.url, is_resolved=False, seconds=self._limits.connect_s)
        return Outcome(self.request.key, None, *explain_failure(failure), total_ms=spent_s * 1000)

    @property
    def _is_https(self) -> bool:
        return self.request.url[:5].lower() == "https"

    def _failure(self, code: int, message: str, status: int) -> Failure:
        info = self.curl.getinfo
        total_s = self._limits.total_s
        # A kept connection has CONNECT_TIME_T 0.
        is_connected = self._was_ready or info(pycurl.CONNECT_TIME_T) > 0
        return Failure(
            code=code,
            message=message,
            url=self.request.url,
            status_code=status,
            is_resolved=self._was_opened or is_connected,
            is_connected=is_connected,
            is_secured=self._was_ready,
            seconds=total_s if self._was_ready else min(self._limits.connect_s, total_s),
            os_errno=info(pycurl.OS_ERRNO),
            verify_result=info(pycurl.SSL_VERIFYRESULT),
            is_by_proxy=self._proxy is not None and not (self._was_ready and self._is_https),
            proxy_status=info(pycurl.HTTP_CONNECTCODE),
        )


def _first(headers: tuple[tuple[str, str], ...], name: str) -> str | None:
    return next((value for key, value in headers if key.lower() == name), None)


def _header_lines(headers: tuple[tuple[str, str], ...]) -> list[str]:
    """`headers` in libcurl's notation, and lines that keep it from adding others. Raises `RefusedError`."""
    lines = []
    names = set()
    for name, value in headers:
        lowered = name.lower()
        names.add(lowered)
        if not TOKEN.fullmatch(name):
            raise RefusedError("bad_request", _("{name} is not a valid header name.", name=repr(name)))
        if not (value.isascii() and value.isprintable()):
            raise RefusedError(
                "bad_request", _("The header {name} contains a character that is not allowed in headers.", name=name)
            )
        if lowered not in WRITTEN_BY_CURL:
            lines.append(f"{name}: {value}" if value.strip() else f"{name};")
    lines.extend(line for name, line in NOT_ADDED.items() if name not in names)
    return lines
