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

from callbacks.egress.wording import Sentence
from callbacks.egress.wording import Sentence as _

LONGEST_LOCATION = 500
NO_HOST = _("The host")
ANSWERED = _("The tracker answered {status}.")
CUT_SHORT = _("The tracker answered {status}, but closed the connection before the answer was complete.")
REDIRECT = _("The tracker answered {status}, a redirect to {location} (redirects are not followed).")
REDIRECT_TO_NOWHERE = _("The tracker answered {status}, a redirect without a target.")
TOO_SLOW = _("The tracker answered {status}, but the answer was not complete in time.")
UNASKED = _("The tracker answered {status}, which was not requested.")
BAD_PROXY_LOGIN = _("The proxy answered {status}: its user name or password is wrong.")
PROXY_REFUSED = _("The proxy answered {status} and did not connect to {host}.")

# Every kind of failure, and what can be said about it if nothing else is known. "" is no failure: a whole answer with
# 2xx. The last three never come from the transport: `callbacks.delivery.dispatcher` gives them to a delivery that it
# could not make a request of.
KINDS: dict[str, Sentence] = {
    "": _("The tracker accepted the postback."),
    "status": _("The tracker did not accept the postback."),
    "redirect": _("The tracker answered with a redirect. Redirects are not followed."),
    "blocked_address": _("{host} resolves to an address that postbacks may not be sent to."),
    "blocked_port": _("Postbacks may not be sent to this port."),
    "dns": _("The host name {host} was not found."),
    "connect": _("Could not connect to {host}."),
    "timeout": _("{host} did not answer in time."),
    "tls": _("No secure connection to {host} could be made."),
    "closed": _("The tracker closed the connection before the answer was complete."),
    "protocol": _("The answer of the tracker is not valid HTTP."),
    "proxy": _("The proxy could not be used or did not connect to {host}."),
    "too_large": _("The headers of the answer are too long."),
    "bad_url": _("This URL cannot be called. Check its spelling."),
    "bad_request": _("The request cannot be sent: its method or a header is not allowed."),
    "template": _("The URL of this callback could not be filled in."),
    "secret": _("The signing secret of this callback cannot be read."),
    "internal": _("Not sent because of an error on our side."),
}

# X509_V_ERR_* of OpenSSL, as SSL_VERIFYRESULT gives them.
CERTIFICATE_PROBLEMS = {
    **dict.fromkeys((2, 19, 20, 21), _("The certificate of {host} was issued by an unknown authority.")),
    9: _("The certificate of {host} is not valid yet."),
    10: _("The certificate of {host} has expired."),
    18: _("The certificate of {host} is self-signed."),
    23: _("The certificate of {host} was revoked."),
}
BAD_CERTIFICATE = _("The certificate of {host} is not valid.")
OTHER_NAME = _("The certificate of {host} is for another host name.")
HANDSHAKE_FAILED = _("The TLS handshake with {host} failed; the port may not use HTTPS.")
CONNECT_PROBLEMS = {
    errno.ECONNREFUSED: _("{host} refused the connection."),
    errno.ECONNRESET: _("{host} closed the connection at once."),
    errno.EHOSTUNREACH: _("{host} could not be reached: there is no route to the host."),
    errno.ENETUNREACH: _("{host} could not be reached: there is no route to its network."),
}
PROXY_CONNECT_PROBLEMS = {
    errno.ECONNREFUSED: _("The proxy refused the connection."),
    errno.ECONNRESET: _("The proxy closed the connection at once."),
    errno.EHOSTUNREACH: _("The proxy could not be reached: there is no route to the host."),
    errno.ENETUNREACH: _("The proxy could not be reached: there is no route to its network."),
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
def explain_status(status: int, location: str | None) -> tuple[str, Sentence]:
    """Kind and sentence of a complete answer."""
    phrase = status_phrase(status)
    if 200 <= status < 300:
        return "", Sentence(ANSWERED, status=phrase)
    if 300 <= status < 400:
        if not location:
            return "redirect", Sentence(REDIRECT_TO_NOWHERE, status=phrase)
        shown = location if len(location) <= LONGEST_LOCATION else location[:LONGEST_LOCATION] + "…"
        return "redirect", Sentence(REDIRECT, status=phrase, location=shown)
    return "status", Sentence(UNASKED if status == HTTPStatus.SWITCHING_PROTOCOLS else ANSWERED, status=phrase)


def sentence_of(kind: str, status_code: int | None = None, *, url: str = "", location: str = "") -> Sentence:
    """What is said of an attempt again from what is stored of it, for readers of another language.

    It says less than the sentence that was stored with the attempt where that knew more, such as which part was slow.
    """
    if status_code and kind in {"", "status", "redirect"}:
        return explain_status(status_code, location or None)[1]
    if status_code and kind == "closed":
        return Sentence(CUT_SHORT, status=status_phrase(status_code))
    if status_code and kind == "timeout":
        return Sentence(TOO_SLOW, status=status_phrase(status_code))
    return Sentence(KINDS.get(kind, KINDS["internal"]), host=readable_host(url))


def readable_host(url: str) -> str:
    """The host of a URL for a sentence; "The host" if it cannot be read."""
    try:
        return urlsplit(url).hostname or NO_HOST
    except ValueError:
        return NO_HOST


def explain_failure(failure: Failure) -> tuple[str, Sentence]:
    """Kind and sentence of a transfer that libcurl gave up."""
    kind = CURL_KINDS.get(failure.code, "protocol")
    if kind == "closed" and "chunk" in failure.message.lower():
        kind = "protocol"  # libcurl's code for a reset connection is also that for a body in broken chunks
    host = readable_host(failure.url)
    if failure.is_by_proxy and (sentence := _proxy_problem(failure, kind, host)):
        return "timeout" if kind == "timeout" else "proxy", sentence
    if kind == "connect":
        return kind, Sentence(CONNECT_PROBLEMS.get(failure.os_errno, KINDS[kind]), host=host)
    if kind == "timeout":
        return kind, _slow(failure, host)
    if kind == "tls":
        return kind, _insecure(failure, host)
    if kind == "closed" and failure.status_code:
        return kind, Sentence(CUT_SHORT, status=status_phrase(failure.status_code))
    return kind, Sentence(KINDS[kind], host=host)


def explain_proxy_status(status: int, url: str) -> tuple[str, Sentence]:
    """Kind and sentence of a refusal by the proxy itself, and not by the tracker."""
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return "proxy", Sentence(BAD_PROXY_LOGIN, status=status_phrase(status))
    return "proxy", Sentence(PROXY_REFUSED, status=status_phrase(status), host=readable_host(url))


def _proxy_problem(failure: Failure, kind: str, host: str) -> Sentence | None:
    """The sentence of a failure before or at the proxy; None for a failure behind it."""
    is_slow, seconds = kind == "timeout", f"{failure.seconds:.3g}"
    if failure.code == pycurl.E_COULDNT_RESOLVE_PROXY:
        return _("The host name of the proxy was not found.")
    if not failure.is_connected and (is_slow or kind == "connect"):
        return _no_connection_to_proxy(failure, seconds if is_slow else "")
    if failure.proxy_status >= 300:
        return explain_proxy_status(failure.proxy_status, failure.url)[1]
    if failure.proxy_status == 0 and kind == "tls":
        return _("No secure connection to the proxy could be made.")
    if failure.proxy_status == 0 and failure.url.lower().startswith("https") and kind != "bad_url":
        if is_slow:
            return _("The proxy did not connect to {host} within {seconds} seconds.", host=host, seconds=seconds)
        return _("The proxy did not connect to {host}.", host=host)
    if kind in {"bad_url", "too_large"} or failure.url.lower().startswith("https"):
        return None
    if kind == "protocol":
        return _("The answer that came through the proxy is not valid HTTP.")
    return _broken_off_at_proxy(failure, seconds if is_slow else "")


def _no_connection_to_proxy(failure: Failure, seconds: str) -> Sentence:
    """`seconds` is the time limit that was over, "" if there was an error before."""
    if not seconds:
        return PROXY_CONNECT_PROBLEMS.get(failure.os_errno, _("Could not connect to the proxy."))
    if failure.is_resolved:
        return _("Could not connect to the proxy within {seconds} seconds.", seconds=seconds)
    return _("The host name of the proxy was not found within {seconds} seconds.", seconds=seconds)


def _broken_off_at_proxy(failure: Failure, seconds: str) -> Sentence:
    """`seconds` as above; "" if the connection was closed before."""
    if failure.status_code:
        status = status_phrase(failure.status_code)
        if seconds:
            text = _("{status} came through the proxy, but the answer was not complete within {seconds} seconds.")
            return Sentence(text, status=status, seconds=seconds)
        return _("{status} came through the proxy, but the connection was closed too early.", status=status)
    if seconds:
        return _("No answer came through the proxy within {seconds} seconds.", seconds=seconds)
    return _("No answer came through the proxy: the connection was closed.")


def _slow(failure: Failure, host: str) -> Sentence:
    seconds = f"{failure.seconds:.3g}"
    if not failure.is_resolved:
        return _("The DNS lookup of {host} took longer than {seconds} seconds.", host=host, seconds=seconds)
    if not failure.is_connected:
        return _("Could not connect to {host} within {seconds} seconds.", host=host, seconds=seconds)
    if not failure.is_secured:
        return _("The TLS handshake with {host} took longer than {seconds} seconds.", host=host, seconds=seconds)
    if failure.status_code:
        text = _("The tracker answered {status}, but the answer was not complete within {seconds} seconds.")
        return Sentence(text, status=status_phrase(failure.status_code), seconds=seconds)
    return _("No answer within {seconds} seconds.", seconds=seconds)


def _insecure(failure: Failure, host: str) -> Sentence:
    text = HANDSHAKE_FAILED
    if failure.code == pycurl.E_PEER_FAILED_VERIFICATION:
        # OpenSSL has no code for a good certificate of another name.
        is_other = "subject name" in failure.message or "common name" in failure.message
        text = OTHER_NAME if is_other else CERTIFICATE_PROBLEMS.get(failure.verify_result, BAD_CERTIFICATE)
    return Sentence(text, host=host)
