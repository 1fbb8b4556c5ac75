"""Through the operator's proxy, and no other: what goes there, what is refused before, and who is named in failures."""

import base64
import contextlib
import logging
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from traceback import TracebackException
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from callbacks.delivery import circuit_breaker, dispatcher, retry
from callbacks.egress.addresses import Policy
from callbacks.egress.outcome import Outcome, Request, status_phrase
from callbacks.egress.proxy import proxy_from
from callbacks.egress.response import Limits
from callbacks.egress.transport import Transport
from callbacks.models import Attempt, Delivery
from tests.authority import Authority
from tests.callbacks.egress.sending import GRACE_S, LIMITS, get, outcomes_of, send, within
from tests.factories import AffiliateFactory, OrderFactory, callbacks_for
from tests.proxy import EMPTY, Proxy
from tests.receiver import Answer, Receiver

HTTP, HTTPS = "http://tracker.example/pb?a=1", "https://tracker.example/pb?a=1"
NOTHING_OPENED = Policy()  # not even loopback, where the proxy is


def through(
    url: str,
    *requests: Request,
    ca_bundle: str | None = None,
    allowed: Policy = NOTHING_OPENED,
    limits: Limits = LIMITS,
) -> list[Outcome]:
    """The outcomes of these requests, sent through the proxy at `url` and over one handle."""
    proxy = proxy_from(url)
    with (
        within(len(requests) * limits.total_s + GRACE_S),
        Transport(allowed, limits=limits, ca_bundle=ca_bundle, proxy=proxy, max_in_flight=1) as transport,
    ):
        outcomes = outcomes_of(transport, *requests)
    return [outcomes[request.key] for request in requests]


@contextlib.contextmanager
def behind_proxy(receivers_tls: ssl.SSLContext | None, **given: Any) -> Iterator[tuple[Receiver, Proxy]]:
    """A receiver, and a proxy that connects to it whatever it is asked for."""
    with Receiver(tls=receivers_tls) as receiver, Proxy({"*": ("127.0.0.1", receiver.port)}, **given) as proxy:
        yield receiver, proxy


def test_http_callback_is_handed_to_the_proxy_and_only_to_it(receiver: Receiver) -> None:
    with Proxy({"tracker.example:80": ("127.0.0.1", receiver.port)}) as proxy:
        (outcome,) = through(proxy.url, get(HTTP))
    assert (outcome.status_code, outcome.error_kind, outcome.response_excerpt) == (200, "", "ok")
    assert outcome.remote_address == ""  # the address of the tracker is not known
    request = receiver.wait_for(1)[0]
    assert (request.target, request.header("Host")) == ("/pb?a=1", "tracker.example")
    assert proxy.destinations == ["tracker.example:80"]


def test_https_callback_is_a_tunnel_in_which_the_proxy_reads_nothing(authority: Authority) -> None:
    with (
        Receiver(tls=authority.context("tracker.example")) as receiver,
        Proxy({"tracker.example:443": ("127.0.0.1", receiver.port)}) as proxy,
    ):
        headers = (("User-Agent", "us"), ("webhook-signature", "v1,x"))
        outcomes = through(
            proxy.url, get(HTTPS, 1, headers), Request(2, "POST", HTTPS, headers, b"a=b"), ca_bundle=authority.bundle
        )
        first, second = receiver.wait_for(2)
    assert [outcome.is_success for outcome in outcomes] == [True, True]
    assert "X-Proxy" not in dict(outcomes[0].response_headers)
    assert (first.target, first.header("webhook-signature"), second.body) == ("/pb?a=1", "v1,x", b"a=b")
    lines = [
        "CONNECT tracker.example:443 HTTP/1.1",
        "Host: tracker.example:443",
        "Proxy-Connection: Keep-Alive",
        "",
        "",
    ]
    assert proxy.heads == ["\r\n".join(lines).encode()]  # once for both


def test_https_callback_through_a_proxy_is_still_checked_end_to_end(authority: Authority) -> None:
    with behind_proxy(authority.context("other.example")) as (_, proxy):
        (outcome,) = through(proxy.url, get(HTTPS), ca_bundle=authority.bundle)
    assert (outcome.error_kind, outcome.detail) == (
        "tls",
        "The certificate of tracker.example is for another host name.",
    )


@pytest.mark.parametrize("url", [HTTP, HTTPS])
def test_proxy_over_tls_is_spoken_to_over_tls(authority: Authority, url: str) -> None:
    tls = authority.context("tracker.example") if url == HTTPS else None
    with behind_proxy(tls, tls=authority.context("127.0.0.1")) as (_, proxy):
        (good,) = through(proxy.url, get(url), ca_bundle=authority.bundle)
        (bad,) = through(proxy.url, get(url))
    assert good.is_success
    assert (bad.error_kind, bad.detail) == ("proxy", "No secure connection to the proxy could be made.")


@pytest.mark.parametrize("url", [HTTP, HTTPS])
def test_password_of_the_proxy_reaches_the_proxy_and_nothing_else(authority: Authority, url: str) -> None:
    tls = authority.context("tracker.example") if url == HTTPS else None
    with behind_proxy(tls, password="us:s3cr:t@") as (receiver, proxy):
        with_password = proxy.url.replace("//", "//us:s3cr%3At%40@")
        (good,) = through(with_password, get(url), ca_bundle=authority.bundle)
        (bad,) = through(proxy.url, get(url), ca_bundle=authority.bundle)
        assert len(receiver.requests) == 1
    assert good.is_success
    assert (bad.error_kind, bad.status_code) == ("proxy", None)
    assert bad.detail == "The proxy answered 407 Proxy Authentication Required: its user name or password is wrong."
    for text in (repr(good), repr(bad), repr(proxy_from(with_password))):
        assert "s3cr" not in text
    if url == HTTPS:
        assert b"Authorization" not in receiver.requests[0].raw


def test_407_of_a_tracker_is_not_taken_for_the_proxys(authority: Authority) -> None:
    with behind_proxy(authority.context("tracker.example")) as (receiver, proxy):
        receiver.answer("*", Answer(status=407))
        (outcome,) = through(proxy.url, get(HTTPS), ca_bundle=authority.bundle)
    assert (outcome.error_kind, outcome.status_code) == ("status", 407)
    assert outcome.detail == "The tracker answered 407 Proxy Authentication Required."


# --- what the proxy is not asked for -----------------------------------------
@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://127.0.0.1/", "blocked_address"),
        ("https://10.0.0.1/", "blocked_address"),
        ("http://[::1]/", "blocked_address"),
        ("http://[64:ff9b::7f00:1]/", "blocked_address"),
        ("http://2130706433/", "blocked_address"),
        ("http://0x7f.1/", "blocked_address"),
        ("https://127.0.0.1./", "blocked_address"),
        ("http://%31%32%37.0.0.1/", "blocked_address"),
        ("http://localhost/", "blocked_address"),
        ("http://a.localhost/", "blocked_address"),
        ("http://metadata.google.internal/", "blocked_address"),
        ("http://169.254.169.254/latest/meta-data/", "blocked_address"),
        ("http://tracker.example:22/", "blocked_port"),
        ("https://tracker.example:6379/", "blocked_port"),
        ("http://intranet/", "bad_url"),
        ("http://me:pw@tracker.example/", "bad_url"),
        ("http://tracker.example\\@127.0.0.1/", "bad_url"),
        ("gopher://tracker.example/", "bad_url"),
    ],
)
def test_target_that_can_be_known_to_be_forbidden_is_not_asked_for(url: str, kind: str) -> None:
    with Proxy({}) as proxy:
        (outcome,) = through(proxy.url, get(url))
        assert outcome.error_kind == kind
        assert outcome.detail
        assert proxy.heads == []


def test_proxy_itself_is_not_a_target(receiver: Receiver) -> None:
    with Proxy({"*": ("127.0.0.1", receiver.port)}) as proxy:
        (outcome,) = through(proxy.url, get(proxy.url + "/"))
    assert outcome.error_kind == "blocked_port"
    assert proxy.heads == []


def test_environment_cannot_lead_past_the_proxy(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "*,tracker.example")
    for name in ("http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with Proxy({"*": ("127.0.0.1", receiver.port)}) as proxy:
        (outcome,) = through(proxy.url, get(HTTP))
        assert outcome.is_success
        assert proxy.destinations == ["tracker.example:80"]


class Address:
    """As libcurl tells what it is about to connect to."""

    def __init__(self, host: str, port: int, family: int = socket.AF_INET) -> None:
        self.family, self.addr = family, (host, port)


def test_socket_is_opened_to_the_proxys_own_address_and_port_only() -> None:
    proxy = proxy_from("http://10.0.0.1:3128")
    assert proxy
    assert proxy.is_at(Address("10.0.0.1", 3128))
    for other in (Address("10.0.0.1", 80), Address("10.0.0.2", 3128), Address("93.184.216.34", 3128)):
        assert not proxy.is_at(other)
    assert not proxy.is_at(Address("10.0.0.1", 3128, socket.AF_UNIX))
    six = proxy_from("https://[fd00::1]:3128")
    assert six
    assert six.is_at(Address("fd00:0::1", 3128, socket.AF_INET6))
    assert not six.is_at(Address("fd00::2", 3128, socket.AF_INET6))
    named = proxy_from("http://proxy.internal:3128")
    assert named
    assert named.is_at(Address("10.0.0.9", 3128))
    assert not named.is_at(Address("10.0.0.9", 443))


def test_named_proxy_is_found_by_its_name(receiver: Receiver) -> None:
    with Proxy({"*": ("127.0.0.1", receiver.port)}) as proxy:
        (outcome,) = through(f"http://localhost:{proxy.port}", get(HTTP))
    assert outcome.is_success


# --- which side failed ------------------------------------------------------
@pytest.mark.parametrize("url", [HTTP, HTTPS])
def test_proxy_that_is_not_there_is_kind_proxy(url: str) -> None:
    with Proxy({}) as gone:
        pass
    (outcome,) = through(gone.url, get(url))
    assert (outcome.error_kind, outcome.detail) == ("proxy", "The proxy refused the connection.")


def test_proxy_whose_name_does_not_exist_is_kind_proxy() -> None:
    (outcome,) = through(f"http://{'a' * 64}.example:3128", get(HTTPS))
    assert (outcome.error_kind, outcome.detail) == ("proxy", "The host name of the proxy was not found.")


def test_proxy_that_cannot_be_connected_to_is_a_timeout(deaf_port: int) -> None:
    (outcome,) = through(f"http://127.0.0.1:{deaf_port}", get(HTTPS))
    assert (outcome.error_kind, outcome.detail) == (
        "timeout", "Could not connect to the proxy within 0.5 seconds.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n" + EMPTY, "The proxy answered 403 Forbidden and did not connect to {}."),
        (b"HTTP/1.1 502 Bad Gateway\r\n" + EMPTY, "The proxy answered 502 Bad Gateway and did not connect to {}."),
        (b"HTTP/1.1 302 Found\r\nLocation: /x\r\n" + EMPTY, "The proxy answered 302 Found and did not connect to {}."),
        (b"", "The proxy did not connect to {}."),
        (b"nonsense\r\n\r\n", "The proxy did not connect to {}."),
    ],
)
def test_proxy_that_does_not_connect_is_kind_proxy(answer: bytes, detail: str) -> None:
    with Proxy({}, answer=answer) as proxy:
        (outcome,) = through(proxy.url, get(HTTPS))
    assert (outcome.error_kind, outcome.status_code) == ("proxy", None)
    assert outcome.detail == detail.format("tracker.example")


def test_proxy_that_is_silent_is_a_timeout() -> None:
    with Receiver(on_connect="stall") as silent:
        (outcome,) = through(silent.url(""), get(HTTPS))
    assert outcome.error_kind == "timeout"
    assert outcome.detail == "The proxy did not connect to tracker.example within 0.5 seconds."


def test_tracker_that_is_silent_behind_a_proxy_is_its_own_timeout(authority: Authority) -> None:
    with behind_proxy(authority.context("tracker.example")) as (receiver, proxy):
        receiver.answer("*", Answer(), Answer(delay_s=30))
        outcomes = through(proxy.url, get(HTTPS, 1), get(HTTPS, 2), ca_bundle=authority.bundle)
    assert [outcome.error_kind for outcome in outcomes] == ["", "timeout"]
    assert outcomes[1].detail == "No answer within 0.8 seconds."


OWN = {  # what marks an answer as the proxy's own
    "Squid": "Server: squid/5.7\r\nX-Squid-Error: ERR_ACCESS_DENIED 0\r\nVia: 1.1 gw (squid/5.7)\r\n",
    "Squid without its error": "Server: squid\r\nVia: 1.1 gw (squid)\r\n",
    "Proxy-Status": "Proxy-Status: cdn; received-status=200, gw; error=http_request_denied\r\n",
    "Proxy-Status twice": 'Proxy-Status: cdn\r\nproxy-status: gw; details="a, b"; Error=dns_error\r\n',
    "Via and Server": "via: HTTP/1.1 gw.example\r\nserver: GW.example/3 (Linux)\r\n",
    "tinyproxy": "Server: tinyproxy/1.11.1\r\n",
    "a request for a password": "Proxy-Authenticate: Basic realm=x\r\n",
    "smokescreen": "X-Smokescreen-Error: denied\r\n",
}
NOT_OWN = {  # what comes with answers that are passed on, too
    "nothing": "",
    "Via": "Via: 1.1 gw (squid/5.7)\r\n",
    "Via of both": "Server: squid\r\nVia: 1.1 cdn (squid), 1.1 gw (squid)\r\n",
    "another server": "Server: nginx\r\nVia: 1.1 gw (squid/5.7)\r\n",
    "an error that another proxy reports": "Proxy-Status: cdn; error=dns_error, gw; next-hop=1.2.3.4\r\n",
    "the word in a text": 'Proxy-Status: gw; details="x, y; error=dns_error"\r\n',
    "an open quote": 'Proxy-Status: gw; details="x, y; error=dns_error\r\n',
    "a word like it": "Server: tinyproxylike/1\r\nX-Error: error=1\r\n",
}


def answer_of(status: int, headers: str) -> bytes:
    return f"HTTP/1.1 {status} X\r\n{headers}Retry-After: 9\r\n".encode() + EMPTY


@pytest.mark.parametrize("status", [302, 400, 403, 410, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("headers", OWN.values(), ids=OWN)
def test_own_answer_of_the_proxy_to_an_http_callback_is_not_the_trackers(headers: str, status: int) -> None:
    with Proxy({}, answer=answer_of(status, headers)) as proxy:
        (outcome,) = through(proxy.url, get(HTTP))
    assert (outcome.error_kind, outcome.status_code, outcome.retry_after) == ("proxy", None, None)
    assert outcome.detail == f"The proxy answered {status_phrase(status)} and did not connect to tracker.example."
    assert circuit_breaker.is_unanswered(outcome)
    decision = retry.decide(outcome, retry_step=0, was_gone=True, now=timezone.now(), jitter=0)
    assert (decision.status, decision.retry_step, decision.pause_setting) == ("pending", 1, False)


@pytest.mark.parametrize("status", [403, 410, 503])
@pytest.mark.parametrize("headers", NOT_OWN.values(), ids=NOT_OWN)
def test_answer_that_the_proxy_passes_on_is_the_trackers(headers: str, status: int) -> None:
    with Proxy({}, answer=answer_of(status, headers)) as proxy:
        (outcome,) = through(proxy.url, get(HTTP))
    assert (outcome.error_kind, outcome.status_code, outcome.retry_after) == ("status", status, "9")


@pytest.mark.parametrize("headers", OWN.values(), ids=OWN)
def test_headers_of_a_proxy_mean_nothing_in_an_answer_of_2xx_or_without_a_proxy(headers: str) -> None:
    with Proxy({}, answer=answer_of(200, headers)) as proxy:
        (outcome,) = through(proxy.url, get(HTTP))
        assert outcome.is_success
    with Proxy({}, answer=answer_of(503, headers)) as tracker:
        outcome = send(get(f"{tracker.url}/"), tracker.port)
        assert (outcome.error_kind, outcome.status_code) == ("status", 503)


def test_answer_of_the_tracker_is_its_own_though_the_proxy_says_that_it_passed_it_on(receiver: Receiver) -> None:
    receiver.answer("*", Answer(status=503, headers=(("Server", "nginx"), ("Retry-After", "7"))))
    with Proxy({"*": ("127.0.0.1", receiver.port)}, via="1.1 gw (squid/5.7)") as proxy:
        (outcome,) = through(proxy.url, get(HTTP))
    assert "Via" in dict(outcome.response_headers)
    assert (outcome.error_kind, outcome.status_code, outcome.retry_after) == ("status", 503, "7")


def test_request_for_a_password_is_always_the_proxys() -> None:
    with Proxy({}, answer=b"HTTP/1.1 407 X\r\n" + EMPTY) as proxy:
        (outcome,) = through(proxy.url, get(HTTP))
    assert (outcome.error_kind, outcome.status_code) == ("proxy", None)


@pytest.mark.parametrize(
    ("answer", "hangs", "kind", "detail"),
    [
        (b"", False, "proxy", "No answer came through the proxy: the connection was closed."),
        (b"", True, "timeout", "No answer came through the proxy within 0.8 seconds."),
        (b"nonsense\r\n\r\n", False, "proxy", "The answer that came through the proxy is not valid HTTP."),
        (b"HTTP/1.1 ", False, "proxy", "No answer came through the proxy: the connection was closed."),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", False, "proxy",
            "200 OK came through the proxy, but the connection was closed too early.",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", True, "timeout",
            "200 OK came through the proxy, but the answer was not complete within 0.8 seconds.",
        ),
    ],
)  # fmt: skip
def test_proxy_that_passes_on_no_answer_is_told_as_the_proxy(
    answer: bytes, hangs: bool, kind: str, detail: str
) -> None:
    with Proxy({}, answer=answer, hangs=hangs) as proxy:
        (outcome,) = through(proxy.url, get(HTTP))
    assert (outcome.error_kind, outcome.detail) == (kind, detail)
    assert circuit_breaker.is_unanswered(outcome)


# --- the setting -------------------------------------------------------------
@pytest.mark.parametrize(
    "url",
    [
        "proxy.example:3128", "//proxy.example:3128", "socks5://proxy.example:1080", "http://proxy.example",
        "http://:3128", "http://proxy.example:0", "http://proxy.example:x", "http://proxy.example:99999",
        "http://[::1:3128", "http://pro xy:3128", "http://proxy.example:3128/path", "http://proxy.example:3128?a",
        "http://u:s3cret\n@proxy.example:3128", "http://u:s3 cret@proxy.example:3128", "http://u:s3cret/x@p.example:3128",
        "http://u:s3cret#x@p.example:3128", "http://u:s3cret@pröxy.example:3128", "http://u:%00s3cret@p.example:3128",
        "http://u%0a:s3cret@proxy.example:3128", "http://u%3a:s3cret@proxy.example:3128", "ftp://u:s3cret@p:3128",
    ],
)  # fmt: skip
def test_proxy_that_cannot_be_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match=r"^The .+\.$") as refusal:
        proxy_from(url)
    assert "s3cret" not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_proxy_that_is_refused_leaves_no_value_in_a_report() -> None:
    with pytest.raises(ValueError, match="end after the port") as refusal:
        proxy_from("http://us:s3cret@proxy.example:3128/path")
    report = "".join(TracebackException.from_exception(refusal.value, capture_locals=True).format())
    ours = report[report.rindex("in proxy_from") :]
    assert "s3cret" not in ours


@pytest.mark.parametrize("url", [HTTP, HTTPS])
@pytest.mark.parametrize("typed", ["jürgen:pässwörd€", "j%C3%BCrgen:p%C3%A4ssw%C3%B6rd%E2%82%AC"])
def test_password_that_is_not_ascii_is_sent_in_utf_8(authority: Authority, url: str, typed: str) -> None:
    tls = authority.context("tracker.example") if url == HTTPS else None
    with behind_proxy(tls, password="jürgen:pässwörd€") as (_, proxy):
        (outcome,) = through(proxy.url.replace("//", f"//{typed}@"), get(url), ca_bundle=authority.bundle)
    assert outcome.is_success


def test_password_in_another_encoding_is_sent_as_it_is() -> None:
    with Proxy({}) as proxy:
        through(proxy.url.replace("//", "//us:p%E4ss@"), get(HTTP))
    assert b"\r\nProxy-Authorization: Basic " + base64.b64encode(b"us:p\xe4ss") + b"\r\n" in proxy.heads[0]


def test_certificates_in_a_folder_that_is_not_ascii_are_read(authority: Authority, tmp_path: Path) -> None:
    bundle = tmp_path / "Schlüssel.pem"
    bundle.write_bytes(Path(authority.bundle).read_bytes())
    with Receiver(tls=authority.context("127.0.0.1")) as receiver:
        outcome = send(get(receiver.url("/")), receiver.port, ca_bundle=str(bundle))
    assert outcome.is_success


def test_no_proxy_is_none() -> None:
    assert proxy_from("") is None


def test_proxy_with_everything_is_read() -> None:
    proxy = proxy_from("https://us:p%40ss@[2001:db8::1]:3128/")
    assert proxy
    assert (proxy.url, proxy.user, proxy.password) == ("https://[2001:db8::1]:3128", "us", "p@ss")


# --- all the way -------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("broker")
def test_delivery_through_the_proxy_is_recorded_without_its_password(
    settings: Any, receiver: Receiver, admin_client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    callbacks_for(affiliate := AffiliateFactory(), HTTP)
    OrderFactory(affiliate=affiliate)
    with Proxy({"tracker.example:80": ("127.0.0.1", receiver.port)}, password="üs:s3crét") as proxy:
        settings.CALLBACKS_PROXY_URL = proxy.url.replace("//", "//us:wr0ng@")
        with dispatcher_of_these_settings():
            dispatcher.run()
        refused = Attempt.objects.get()
        assert (refused.error_kind, receiver.requests) == ("proxy", [])
        Delivery.objects.update(next_attempt_at=timezone.now())
        settings.CALLBACKS_PROXY_URL = proxy.url.replace("//", "//üs:s3crét@")
        with dispatcher_of_these_settings():
            dispatcher.run()
    assert Delivery.objects.get().status == "succeeded"
    page = admin_client.get(Delivery.objects.get().get_absolute_url()).content.decode()
    assert "The proxy answered 407" in page
    for attempt in Attempt.objects.values():
        page += repr(attempt)
    for secret in ("s3cr", "wr0ng", "dXM6", "w7xzOg"):  # the last is how basic authentication begins
        assert secret not in page + caplog.text


@contextlib.contextmanager
def dispatcher_of_these_settings() -> Iterator[None]:
    dispatcher.of_process.cache_clear()
    try:
        yield
    finally:
        dispatcher.of_process().close()
        dispatcher.of_process.cache_clear()
