"""A request and its outcome: the kind of failure, and a sentence that a merchant understands.

How the bytes travel is `callbacks.egress.transport`; when to try again is `callbacks.delivery.retry`.
"""

import errno
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlsplit

import pycurl

# Every kind of failure and what it means. "" is no failure: a whole answer with 2xx. The last two never come from the
# transport: `callbacks.delivery.dispatcher` gives them to a delivery that it could not make a request of.
KINDS: dict[str, str] = {
    "": "answered 2xx",
    "status": "answered, but not 2xx",
    "redirect": "answered 3xx; redirects are never followed",
    "blocked_address": "the name led to an address that may not be called",
    "blocked_port": "the port may not be called",
    "dns": "the name could not be found",
    "connect": "no connection: refused or unreachable",
    "timeout": "too slow: the name, the connection or the answer",
    "tls": "no secure connection: certificate or handshake",
    "closed": "the connection ended before a complete answer",
    "protocol": "the answer was no valid HTTP",
    "proxy": "the proxy could not be used, or would not let it through",
    "too_large": "the headers of the answer were too long",
    "bad_url": "the URL cannot be called",
    "bad_request": "the method or a header cannot be sent",
    "template": "the template could not be filled in",
    "internal": "an error on our side",
}

LONGEST_LOCATION = 500
HEADERS_TOO_LONG = "The headers of the answer were too long to be read."
PLAIN_SENTENCES = {
    "too_large": HEADERS_TOO_LONG,
    "bad_url": "This URL cannot be called; check how it is written.",
    "closed": "The tracker closed the connection without a complete answer.",
    "protocol": "The tracker answered with something that is not valid HTTP.",
}

# X509_V_ERR_* of OpenSSL, as SSL_VERIFYRESULT gives them.
CERTIFICATE_PROBLEMS = {
    **dict.fromkeys((2, 19, 20, 21), "was issued by an authority that is not known"),
    9: "is not valid yet",
    10: "has expired",
    18: "is self-signed",
    23: "was revoked",
}
CONNECT_PROBLEMS = {
    errno.ECONNREFUSED: "refused the connection",
    errno.ECONNRESET: "closed the connection at once",
    errno.EHOSTUNREACH: "could not be reached: there is no route to it",
    errno.ENETUNREACH: "could not be reached: there is no route to its network",
}
TLS_ERRORS = (
    *(pycurl.E_SSL_CONNECT_ERROR, pycurl.E_PEER_FAILED_VERIFICATION, pycurl.E_SSL_CERTPROBLEM, pycurl.E_SSL_CIPHER),
    *(pycurl.E_SSL_ISSUER_ERROR, pycurl.E_SSL_INVALIDCERTSTATUS),
)
# libcurl ends a transfer with E_OK when the connection was closed within the headers.
CLOSED = (pycurl.E_OK, pycurl.E_GOT_NOTHING, pycurl.E_PARTIAL_FILE, pycurl.E_RECV_ERROR, pycurl.E_SEND_ERROR)
CURL_KINDS = {
    **dict.fromkeys(TLS_ERRORS, "tls"),
    **dict.fromkeys(CLOSED, "closed"),
    pycurl.E_COULDNT_RESOLVE_HOST: "dns",
    pycurl.E_COULDNT_CONNECT: "connect",
    pycurl.E_OPERATION_TIMEDOUT: "timeout",
    100: "too_large",  # CURLE_TOO_LARGE, libcurl's own limit of 300 KB, which has no name in pycurl
    pycurl.E_URL_MALFORMAT: "bad_url",
}


class Request(NamedTuple):
    """One request as it shall be on the wire. `url` is canonical (ASCII, quoted); `body` only with POST."""

    key: int
    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None


class Outcome(NamedTuple):
    """What a request came to. `error_kind` is one of `KINDS`, `detail` its sentence, for a success too.

    An answer that is not 2xx is `status` or `redirect` even if its body broke off. A 2xx whose body broke off, or did
    not end in time, is a failure (`closed`, `timeout`) that keeps its `status_code`; one with more body than is read
    is a success.

    Milliseconds are the length of each phase: name lookup, connecting, TLS handshake, from the request's last byte to
    the answer's first, and all in all. None for a phase that was not gone through (or not to its end), as on a
    connection that is used again. `retry_after` is the header as it came.
    """

    key: int
    status_code: int | None
    error_kind: str
    detail: str
    response_headers: tuple[tuple[str, str], ...] = ()
    response_excerpt: str = ""
    remote_address: str = ""
    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None
    total_ms: float | None = None
    retry_after: str | None = None

    @property
    def is_success(self) -> bool:
        return self.error_kind == ""


@dataclass(frozen=True, slots=True)
class Failure:
    """What is known of a transfer that libcurl gave up, as far as the sentence needs it."""

    code: int
    message: str
    url: str
    status_code: int | None = None
    is_resolved: bool = True
    is_connected: bool = True
    is_secured: bool = True
    seconds: float = 0.0
    os_errno: int = 0
    verify_result: int = 0
    # As far as is known, the tracker was not reached, only the proxy: always so if the proxy reads what is sent.
    is_by_proxy: bool = False
    proxy_status: int = 0  # the proxy's answer to CONNECT; 0 if there was none


@lru_cache(maxsize=1024)
def status_phrase(status: int) -> str:
    """`502 Bad Gateway`, by the registry of status codes and not by the words of the answer."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


@lru_cache(maxsize=1024)
def explain_status(status: int, location: str | None) -> tuple[str, str]:
    """Kind and sentence of a complete answer."""
    answered = f"The tracker answered {status_phrase(status)}"
    if 200 <= status < 300:
        return "", f"{answered}."
    if 300 <= status < 400:
        if not location:
            return "redirect", f"{answered}, a redirect to nowhere; it is never followed."
        shown = location if len(location) <= LONGEST_LOCATION else location[:LONGEST_LOCATION] + "…"
        return "redirect", f"{answered} and pointed to {shown} ; it is never followed."
    unwanted = ", which nobody had asked for" if status == HTTPStatus.SWITCHING_PROTOCOLS else ""
    return "status", f"{answered}{unwanted}."


def readable_host(url: str) -> str:
    """The host of a URL for a sentence; "The host" if it cannot be read."""
    try:
        return urlsplit(url).hostname or "The host"
    except ValueError:
        return "The host"


def explain_failure(failure: Failure) -> tuple[str, str]:
    """Kind and sentence of a transfer that libcurl gave up."""
    kind = CURL_KINDS.get(failure.code, "protocol")
    if kind == "closed" and "chunk" in failure.message.lower():
        kind = "protocol"  # libcurl's code for a reset connection is also that for a body in broken chunks
    host = readable_host(failure.url)
    if failure.is_by_proxy and (sentence := _proxy_problem(failure, kind, host)):
        return "timeout" if kind == "timeout" else "proxy", sentence
    if kind == "dns":
        return kind, f"The name {host} could not be found."
    if kind == "connect":
        problem = CONNECT_PROBLEMS.get(failure.os_errno, "could not be reached")
        return kind, f"{host} {problem}."
    if kind == "timeout":
        return kind, _slow(failure, host)
    if kind == "tls":
        return kind, _insecure(failure, host)
    if kind == "closed" and failure.status_code:
        return kind, f"The tracker answered {status_phrase(failure.status_code)}, but closed the connection too early."
    return kind, PLAIN_SENTENCES[kind]


def explain_proxy_status(status: int, url: str) -> tuple[str, str]:
    """Kind and sentence of a refusal by the proxy itself, and not by the tracker."""
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return "proxy", f"The proxy answered {status_phrase(status)}: it wants another user name or password."
    return "proxy", f"The proxy answered {status_phrase(status)} and did not connect to {readable_host(url)}."


def _proxy_problem(failure: Failure, kind: str, host: str) -> str | None:
    """The sentence of a failure before or at the proxy; None for a failure behind it."""
    within = f" within {failure.seconds:.3g} seconds" if kind == "timeout" else ""
    if failure.code == pycurl.E_COULDNT_RESOLVE_PROXY:
        return "The name of the proxy could not be found."
    if not failure.is_connected and kind == "timeout":
        return f"The proxy could not be {'connected to' if failure.is_resolved else 'looked up'}{within}."
    if not failure.is_connected and kind == "connect":
        return f"The proxy {CONNECT_PROBLEMS.get(failure.os_errno, 'could not be reached')}."
    if failure.proxy_status >= 300:
        return explain_proxy_status(failure.proxy_status, failure.url)[1]
    if failure.proxy_status == 0 and kind == "tls":
        return "The secure connection to the proxy could not be established."
    if failure.proxy_status == 0 and failure.url.lower().startswith("https") and kind != "bad_url":
        return f"The proxy did not connect to {host}{within}."
    if kind in {"bad_url", "too_large"} or failure.url.lower().startswith("https"):
        return None
    if kind == "protocol":
        return "What came through the proxy is not valid HTTP."
    came = f"{status_phrase(failure.status_code)}, but not all of the answer," if failure.status_code else "No answer"
    return f"{came} came through the proxy{within}" + ("." if within else ": the connection was closed.")


def _slow(failure: Failure, host: str) -> str:
    within = f"within {failure.seconds:.3g} seconds"
    if not failure.is_resolved:
        return f"The name {host} was not found {within}: its DNS did not answer."
    if not failure.is_connected:
        return f"{host} could not be connected to {within}."
    if not failure.is_secured:
        return f"The secure connection to {host} was not established {within}: the TLS handshake did not end."
    if failure.status_code:
        return f"The tracker answered {status_phrase(failure.status_code)}, but its answer did not end {within}."
    return f"No answer came {within}."


def _insecure(failure: Failure, host: str) -> str:
    if failure.code == pycurl.E_PEER_FAILED_VERIFICATION:
        # OpenSSL has no code for a good certificate of another name.
        if "subject name" in failure.message or "common name" in failure.message:
            return f"The certificate of {host} is for another name."
        problem = CERTIFICATE_PROBLEMS.get(failure.verify_result, "is not valid")
        return f"The certificate of {host} {problem}."
    return f"The TLS handshake with {host} failed; perhaps it does not speak HTTPS on this port."
