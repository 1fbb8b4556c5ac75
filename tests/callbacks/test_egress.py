"""The transport against real sockets: every kind of outcome, the bounds of time and size, and what is on the wire."""

import gzip
import ipaddress
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callbacks.egress import Limits, Outcome, Policy, Request, Transport
from callbacks.outcomes import KINDS
from tests.receiver import Answer, Authority, Receiver, endless

LIMITS = Limits(connect_s=0.5, total_s=0.8)
GRACE_S = 0.3
ONES_OWN = (("User-Agent", "AffiliatePostbacks/0"),)
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


def policy(*ports: int) -> Policy:
    return Policy(LOOPBACK, frozenset(ports))


def outcomes_of(transport: Transport, *requests: Request, within_s: float = 5.0) -> dict[int, Outcome]:
    """Send these, and the outcome of each."""
    for request in requests:
        transport.submit(request)
    outcomes: dict[int, Outcome] = {}
    deadline = time.monotonic() + within_s
    while transport.in_flight and time.monotonic() < deadline:
        for outcome in transport.poll(0.1):
            assert outcome.key not in outcomes
            outcomes[outcome.key] = outcome
    assert len(outcomes) == len(requests)
    return outcomes


def get(url: str, key: int = 1, headers: tuple[tuple[str, str], ...] = ONES_OWN) -> Request:
    return Request(key, "GET", url, headers, None)


def send(request: Request, port: int = 80, *, limits: Limits = LIMITS, ca_bundle: str | None = None) -> Outcome:
    """One request by a transport of its own; it must end in time."""
    started = time.monotonic()
    with Transport(policy(port), limits=limits, ca_bundle=ca_bundle) as transport:
        outcome = outcomes_of(transport, request)[request.key]
    assert time.monotonic() - started < limits.total_s + GRACE_S
    assert outcome.error_kind in KINDS
    assert outcome.detail.endswith(".")
    return outcome


def asked(receiver: Receiver, answer: Answer, path: str = "/", limits: Limits = LIMITS) -> Outcome:
    receiver.answer(path, answer)
    return send(get(receiver.url(path)), receiver.port, limits=limits)


# --- what is on the wire -----------------------------------------------------
def test_get_request_is_sent_byte_for_byte_and_nothing_is_added(receiver: Receiver) -> None:
    target = "/a/../b//c?x=%2C;+&l&x=%E2%82%AC&q={}|"
    outcome = send(get(receiver.url(target) + "#gone"), receiver.port)
    assert outcome.is_success
    expected = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{receiver.port}\r\nUser-Agent: AffiliatePostbacks/0\r\n\r\n"
    assert receiver.wait_for(1)[0].raw == expected.encode()


def test_post_request_carries_its_body_and_only_its_own_headers(receiver: Receiver) -> None:
    headers = (("Content-Type", "application/json"), ("content-length", "999"), ("X-Empty", ""))
    body = b'{"a": "\xe2\x82\xac\x00"}' * 500  # over the size from which libcurl would ask for 100 Continue
    send(Request(1, "POST", receiver.url("/p"), headers, body), receiver.port)
    request = receiver.wait_for(1)[0]
    assert request.body == body
    assert request.headers == (
        ("Host", f"127.0.0.1:{receiver.port}"),
        ("Content-Type", "application/json"),
        ("X-Empty", ""),
        ("Content-Length", str(len(body))),
    )


def test_post_without_body_says_that_it_is_empty(receiver: Receiver) -> None:
    send(Request(1, "POST", receiver.url(), (), None), receiver.port)
    assert receiver.wait_for(1)[0].headers[1:] == (("Content-Length", "0"),)


def test_get_after_post_on_the_same_handle_has_no_body(receiver: Receiver) -> None:
    with Transport(policy(receiver.port), limits=LIMITS, max_in_flight=1) as transport:
        outcomes_of(transport, Request(1, "POST", receiver.url(), (), b"a=b"), get(receiver.url(), 2))
    first, second = receiver.wait_for(2)
    assert (first.method, first.body, second.method, second.body) == ("POST", b"a=b", "GET", b"")
    assert second.headers[1:] == ONES_OWN


def test_proxies_and_netrc_of_the_environment_are_ignored(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    with Receiver() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url())
        assert send(get(receiver.url()), receiver.port).is_success
        assert not proxy.requests
    assert receiver.wait_for(1)[0].header("Authorization") is None


def test_cookies_are_not_kept(receiver: Receiver) -> None:
    receiver.answer("/", Answer(headers=(("Set-Cookie", "a=b; Path=/"),)))
    with Transport(policy(receiver.port), limits=LIMITS, max_in_flight=1) as transport:
        outcomes_of(transport, get(receiver.url(), 1), get(receiver.url(), 2))
    assert [request.header("Cookie") for request in receiver.wait_for(2)] == [None, None]


# --- answers -----------------------------------------------------------------
@pytest.mark.parametrize(
    ("status", "sentence"), [(200, "200 OK"), (201, "201 Created"), (204, "204 No Content"), (299, "299")]
)
def test_2xx_is_a_success(receiver: Receiver, status: int, sentence: str) -> None:
    body = b"" if status == 204 else b"ok"
    outcome = asked(receiver, Answer(status=status, body=body))
    assert (outcome.status_code, outcome.error_kind, outcome.is_success) == (status, "", True)
    assert outcome.detail == f"The tracker answered {sentence}."
    assert outcome.response_excerpt == body.decode()
    assert outcome.remote_address == "127.0.0.1"


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (400, "400 Bad Request"),
        (401, "401 Unauthorized"),
        (404, "404 Not Found"),
        (410, "410 Gone"),
        (429, "429 Too Many Requests"),
        (499, "499"),
        (500, "500 Internal Server Error"),
        (502, "502 Bad Gateway"),
        (503, "503 Service Unavailable"),
        (999, "999"),
    ],
)
def test_4xx_and_5xx_are_kind_status_and_named(receiver: Receiver, status: int, sentence: str) -> None:
    outcome = asked(receiver, Answer(status=status))
    assert (outcome.status_code, outcome.error_kind, outcome.is_success) == (status, "status", False)
    assert outcome.detail == f"The tracker answered {sentence}."


@pytest.mark.parametrize("status", range(300, 309))
def test_3xx_names_the_location_and_is_never_followed(receiver: Receiver, status: int) -> None:
    target = receiver.url("/elsewhere")
    outcome = asked(receiver, Answer(status=status, headers=(("Location", target),), body=b""), "/start")
    assert (outcome.status_code, outcome.error_kind) == (status, "redirect")
    assert target in outcome.detail
    assert "never followed" in outcome.detail
    assert ("Location", target) in outcome.response_headers
    assert [request.path for request in receiver.requests] == ["/start"]


def test_3xx_without_location_is_a_redirect_to_nowhere(receiver: Receiver) -> None:
    outcome = asked(receiver, Answer(status=302))
    assert (outcome.error_kind, "nowhere" in outcome.detail) == ("redirect", True)


def test_3xx_with_a_very_long_location_has_a_readable_sentence(receiver: Receiver) -> None:
    outcome = asked(receiver, Answer(status=302, headers=(("Location", "/" + "a" * 20_000),)))
    assert (outcome.error_kind, len(outcome.detail) < 700) == ("redirect", True)


def test_1xx_is_passed_over_and_only_the_final_headers_are_kept(receiver: Receiver) -> None:
    raw = (
        b"HTTP/1.1 100 Continue\r\nX-A: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nX-B: 2\r\nContent-Length: 2\r\n\r\nhi"
    )
    outcome = asked(receiver, Answer(raw=raw))
    assert outcome.is_success
    assert outcome.response_headers == (("X-B", "2"), ("Content-Length", "2"))
    assert outcome.response_excerpt == "hi"


def test_1xx_alone_is_no_answer(receiver: Receiver) -> None:
    outcome = asked(receiver, Answer(raw=b"HTTP/1.1 100 Continue\r\n\r\n", end="close"))
    assert (outcome.error_kind, outcome.status_code) == ("closed", None)


def test_101_is_no_success(receiver: Receiver) -> None:
    raw = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    outcome = asked(receiver, Answer(raw=raw, end="close"))
    assert (outcome.error_kind, outcome.status_code, outcome.is_success) == ("status", 101, False)


def test_trailers_are_no_headers(receiver: Receiver) -> None:
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n"
    outcome = asked(receiver, Answer(raw=raw))
    assert (outcome.is_success, outcome.response_excerpt) == (True, "hi")
    assert outcome.response_headers == (("Transfer-Encoding", "chunked"), ("Trailer", "X-T"))


def test_retry_after_is_given_as_it_came(receiver: Receiver) -> None:
    assert asked(receiver, Answer(status=503, headers=(("retry-AFTER", " 120 "),))).retry_after == "120"
    assert asked(receiver, Answer(status=503)).retry_after is None


def test_headers_in_another_encoding_are_read_as_latin_1(receiver: Receiver) -> None:
    outcome = asked(receiver, Answer(raw=b"HTTP/1.1 200 OK\r\nX-A: \xe9\xff\r\nContent-Length: 0\r\n\r\n"))
    assert outcome.response_headers[0] == ("X-A", "éÿ")


@pytest.mark.parametrize(
    ("body", "excerpt"),
    [
        ("€uro".encode(), "€uro"),
        (b"a\0b", "a\N{REPLACEMENT CHARACTER}b"),
        (b"\xff\xfe!", "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}!"),
        (b"x" * 5000, "x" * 4096),
        (b"x" * 4095 + "€".encode() + b"y" * 100, "x" * 4095),
        (b"x" * 4095 + b"\xff" + b"y" * 100, "x" * 4095 + "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_excerpt_is_text_that_any_database_can_hold(receiver: Receiver, body: bytes, excerpt: str) -> None:
    assert asked(receiver, Answer(body=body)).response_excerpt == excerpt


def test_phases_are_timed_and_a_kept_connection_has_only_its_own(tls_receiver: Receiver, authority: Authority) -> None:
    tls_receiver.answer("/", Answer(delay_s=0.05))
    with Transport(policy(tls_receiver.port), ca_bundle=authority.bundle, max_in_flight=1) as transport:
        outcomes = outcomes_of(transport, get(tls_receiver.url(), 1), get(tls_receiver.url(), 2))
    first, second = outcomes[1], outcomes[2]
    assert first.dns_ms is not None and first.connect_ms is not None and first.tls_ms is not None
    assert first.tls_ms > 0
    assert first.first_byte_ms is not None and first.first_byte_ms >= 50
    assert first.total_ms is not None
    assert first.total_ms >= first.dns_ms + first.connect_ms + first.tls_ms + first.first_byte_ms
    assert (second.dns_ms, second.connect_ms, second.tls_ms) == (None, None, None)
    assert second.first_byte_ms is not None and second.first_byte_ms >= 50
    assert tls_receiver.connections == 1


# --- size --------------------------------------------------------------------
def test_huge_body_of_a_200_is_not_read_to_its_end_and_is_a_success(receiver: Receiver) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 209715200\r\n\r\n"
    outcome = asked(receiver, Answer(raw=endless(b"x" * 16384, head=head)))
    assert (outcome.is_success, outcome.status_code, len(outcome.response_excerpt)) == (True, 200, 4096)


def test_endless_chunks_of_a_500_are_cut_and_are_its_status(receiver: Receiver) -> None:
    head = b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n"
    outcome = asked(receiver, Answer(raw=endless(b"400\r\n" + b"y" * 1024 + b"\r\n", head=head)))
    assert (outcome.error_kind, outcome.status_code, len(outcome.response_excerpt)) == ("status", 500, 4096)


@pytest.mark.parametrize("name", ["Content-Encoding", "Transfer-Encoding"])
def test_compressed_body_is_not_inflated(receiver: Receiver, name: str) -> None:
    bomb = gzip.compress(b"\0" * 20_000_000)
    head = f"HTTP/1.1 200 OK\r\n{name}: gzip\r\nConnection: close\r\n\r\n".encode()
    outcome = asked(receiver, Answer(raw=head + bomb, end="close"))
    assert "\0" * 10 not in outcome.response_excerpt
    if name == "Content-Encoding":
        assert outcome.is_success
        assert outcome.response_excerpt[0] == "\x1f"
    else:
        assert outcome.error_kind == "protocol"  # a transfer coding that nobody asked for


@pytest.mark.parametrize("piece", [b"X-A: " + b"a" * 70_000 + b"\r\n", b"X-A: b\r\n" * 100])
def test_headers_without_end_are_too_large(receiver: Receiver, piece: bytes) -> None:
    outcome = asked(receiver, Answer(raw=endless(piece, head=b"HTTP/1.1 200 OK\r\n")))
    assert (outcome.error_kind, outcome.status_code) == ("too_large", None)


def test_1xx_without_end_is_too_large(receiver: Receiver) -> None:
    outcome = asked(receiver, Answer(raw=endless(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")))
    assert outcome.error_kind == "too_large"


# --- time --------------------------------------------------------------------
@pytest.mark.parametrize(
    ("answer", "sentence", "status"),
    [
        (Answer(raw=b"", end="stall"), "No answer came", None),
        (Answer(delay_s=30), "No answer came", None),
        (Answer(raw=[bytes([byte]) for byte in b"HTTP/1.1 200 OK"], pace_s=0.1), "No answer came", None),
        (Answer(raw=endless(b"X-A: b\r\n", head=b"HTTP/1.1 200 OK\r\n"), pace_s=0.1), "No answer came", None),
        (Answer(body=b"x" * 100, pace_s=0.1), "did not end", 200),
        (Answer(body=b"x" * 100, cut_at=60, end="stall"), "did not end", 200),
        (
            Answer(
                raw=endless(b"1\r\na\r\n", head=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), pace_s=0.1
            ),
            "did not end",
            200,
        ),
    ],
)  # fmt: skip
def test_slow_answer_ends_at_the_deadline(
    receiver: Receiver, answer: Answer, sentence: str, status: int | None
) -> None:
    outcome = asked(receiver, answer)
    assert outcome.error_kind == "timeout"
    assert outcome.status_code == status
    assert sentence in outcome.detail
    assert "0.8 seconds" in outcome.detail


def test_slow_body_of_a_500_is_its_status(receiver: Receiver) -> None:
    outcome = asked(receiver, Answer(status=500, body=b"x" * 100, pace_s=0.1))
    assert (outcome.error_kind, outcome.status_code) == ("status", 500)


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port whose queue of connections is full: another connection is neither taken nor refused."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        waiting = []
        try:
            for _ in range(3):
                waiting.append(socket.socket())
                waiting[-1].setblocking(False)
                waiting[-1].connect_ex(("127.0.0.1", port))
            yield port
        finally:
            for connection in waiting:
                connection.close()


def test_connection_that_does_not_come_about_is_a_timeout(deaf_port: int) -> None:
    outcome = send(get(f"http://127.0.0.1:{deaf_port}/"), deaf_port)
    assert (outcome.error_kind, outcome.detail) == (
        "timeout",
        "127.0.0.1 could not be connected to within 0.5 seconds.",
    )


def test_handshake_that_stalls_is_a_timeout() -> None:
    with Receiver(on_connect="stall") as receiver:
        outcome = send(get(f"https://127.0.0.1:{receiver.port}/"), receiver.port)
    assert (outcome.error_kind, "handshake did not end" in outcome.detail) == ("timeout", True)


# --- connections that end ----------------------------------------------------
def test_refused_connection_is_kind_connect() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        outcome = send(get(f"http://127.0.0.1:{port}/"), port)
    assert (outcome.error_kind, outcome.detail) == ("connect", "127.0.0.1 refused the connection.")


def test_name_that_does_not_exist_is_kind_dns() -> None:
    name = "a" * 64 + ".example"  # longer than a label can be: no server is asked
    outcome = send(get(f"http://{name}/"))
    assert (outcome.error_kind, outcome.detail) == ("dns", f"The name {name} could not be found.")


@pytest.mark.parametrize("end", ["close", "reset"])
def test_connection_ended_before_the_request_is_closed(end) -> None:
    with Receiver(on_connect=end) as receiver:
        outcome = send(get(receiver.url()), receiver.port)
    assert (outcome.error_kind, outcome.status_code) == ("closed", None)


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize(("cut_at", "status"), [(0, None), (5, None), (17, None), (20, None), (38, 200), (60, 200)])
def test_connection_ended_within_the_answer_is_closed(receiver: Receiver, end, cut_at: int, status: int | None) -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n" + b"x" * 40
    assert raw.index(b"\r\n\r\n") + 4 == 39
    outcome = asked(receiver, Answer(raw=raw, cut_at=cut_at + (status is not None), end=end))
    assert (outcome.error_kind, outcome.status_code) == ("closed", status)


def test_reset_in_the_body_of_a_404_is_its_status(receiver: Receiver) -> None:
    outcome = asked(receiver, Answer(status=404, body=b"x" * 100, cut_at=80, end="reset"))
    assert (outcome.error_kind, outcome.status_code) == ("status", 404)


def test_body_without_length_ends_with_the_connection(receiver: Receiver) -> None:
    outcome = asked(receiver, Answer(raw=b"HTTP/1.1 200 OK\r\n\r\nfine", end="close"))
    assert (outcome.is_success, outcome.response_excerpt) == (True, "fine")


def test_kept_connection_that_the_other_side_closed_is_replaced(receiver: Receiver) -> None:
    receiver.answer("/", Answer(end="close"))
    with Transport(policy(receiver.port), limits=LIMITS) as transport:
        for key in range(3):
            assert outcomes_of(transport, get(receiver.url(), key))[key].is_success
    assert receiver.connections == 3


@pytest.mark.parametrize(
    "raw",
    [
        b"this is not HTTP at all\r\n\r\n",
        b"\x00\x01\x02\xff" * 100,
        b"<html>HTTP/0.9</html>",
        b"HTTP/1.1 ABC OK\r\n\r\n",
        b"HTTP/1.1 20\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nX-A: a\0b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhi\r\n",
    ],
)
def test_answer_that_is_no_http_is_kind_protocol(receiver: Receiver, raw: bytes) -> None:
    outcome = asked(receiver, Answer(raw=raw, end="close"))
    assert (outcome.error_kind, outcome.is_success) == ("protocol", False)


# --- TLS ---------------------------------------------------------------------
def test_https_with_a_trusted_certificate_succeeds(tls_receiver: Receiver, authority: Authority) -> None:
    outcome = send(get(tls_receiver.url("/x")), tls_receiver.port, ca_bundle=authority.bundle)
    assert outcome.is_success
    assert tls_receiver.wait_for(1)[0].target == "/x"


def test_https_with_an_unknown_authority_is_kind_tls(tls_receiver: Receiver) -> None:
    outcome = send(get(tls_receiver.url()), tls_receiver.port)
    assert (outcome.error_kind, "authority that is not known" in outcome.detail) == ("tls", True)
    assert not tls_receiver.requests


def test_https_with_a_self_signed_certificate_is_kind_tls(authority: Authority) -> None:
    with Receiver(tls=authority.self_signed()) as receiver:
        outcome = send(get(receiver.url()), receiver.port, ca_bundle=authority.bundle)
    assert (outcome.error_kind, outcome.detail) == ("tls", "The certificate of 127.0.0.1 is self-signed.")


def test_https_with_an_expired_certificate_is_kind_tls(authority: Authority) -> None:
    with Receiver(tls=authority.context("127.0.0.1", not_after=datetime(2021, 1, 1, tzinfo=UTC))) as receiver:
        outcome = send(get(receiver.url()), receiver.port, ca_bundle=authority.bundle)
    assert (outcome.error_kind, outcome.detail) == ("tls", "The certificate of 127.0.0.1 has expired.")


def test_https_with_a_certificate_for_another_name_is_kind_tls(authority: Authority) -> None:
    with Receiver(tls=authority.context("tracker.example")) as receiver:
        outcome = send(get(receiver.url()), receiver.port, ca_bundle=authority.bundle)
        assert (outcome.error_kind, outcome.detail) == ("tls", "The certificate of 127.0.0.1 is for another name.")
        assert not receiver.requests


def test_https_to_a_port_that_speaks_http_is_kind_tls(receiver: Receiver) -> None:
    outcome = send(get(f"https://127.0.0.1:{receiver.port}/"), receiver.port)
    assert (outcome.error_kind, "handshake" in outcome.detail) == ("tls", True)


# --- what is not sent at all -------------------------------------------------
@pytest.mark.parametrize(
    "url",
    ["", "x", "/path", "ftp://127.0.0.1/", "file:///etc/passwd", "dict://127.0.0.1/", "gopher://127.0.0.1/", "http:/x",
     "http://", "http:///x", "http://:8080/", "http://127.0.0.1:99999/", "http://127.0.0.1:x/", "http://[::1/",
     "http://[v1.x]/", "http://a b/", "http://127.0.0.1/ x", "http://127.0.0.1/\r\nX: y", "http://127.0.0.1/\0",
     "http://127.0.0.1/é", "http://me@127.0.0.1/", "http://me:pw@127.0.0.1/", "http://example.com\\@127.0.0.1/",
     "http://[127.0.0.1]/", "http://[::1]x/", "http://127.0.0.1/\ud800", "ws://127.0.0.1/", "http://%00/", "http://?a"],
)  # fmt: skip
def test_url_that_cannot_be_called_is_kind_bad_url(url: str) -> None:
    assert send(get(url)).error_kind == "bad_url"


@pytest.mark.parametrize(
    "request_",
    [
        get("http://127.0.0.1/", headers=(("X-A", "a\r\nX-B: b"),)),
        get("http://127.0.0.1/", headers=(("X-A", "a\nb"),)),
        get("http://127.0.0.1/", headers=(("X-A", "a\0b"),)),
        get("http://127.0.0.1/", headers=(("X-A", "é"),)),
        get("http://127.0.0.1/", headers=(("X A", "b"),)),
        get("http://127.0.0.1/", headers=(("X-A\r\nB", "b"),)),
        get("http://127.0.0.1/", headers=(("", "b"),)),
        get("http://127.0.0.1/", headers=(("X:", "b"),)),
        Request(1, "GET", "http://127.0.0.1/", (), b"body"),
        Request(1, "DELETE", "http://127.0.0.1/", (), None),
        Request(1, "GET / HTTP/1.1\r\nX: y\r\n\r\n", "http://127.0.0.1/", (), None),
    ],
)
def test_method_or_header_that_cannot_be_sent_is_kind_bad_request(request_: Request) -> None:
    assert send(request_).error_kind == "bad_request"


def test_refused_request_does_not_spoil_the_next_one(receiver: Receiver) -> None:
    with Transport(policy(receiver.port), limits=LIMITS, max_in_flight=1) as transport:
        outcomes = outcomes_of(
            transport,
            Request(1, "PUT", receiver.url("/1"), (), b"x"),
            get(receiver.url("/2"), 2, headers=(("X-A", "\r\n"),)),
            Request(3, "POST", receiver.url("/3 "), (), b"x"),
            get(receiver.url("/4"), 4),
        )
    assert [outcomes[key].error_kind for key in (1, 2, 3, 4)] == ["bad_request", "bad_request", "bad_url", ""]
    assert [(request.method, request.path) for request in receiver.requests] == [("GET", "/4")]


@settings(max_examples=200, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST"]) | st.text(max_size=5),
    url=st.text()
    | st.text().map("http://127.0.0.1:9/".__add__)
    | st.binary().map(lambda b: "http://127.0.0.1:9/" + b.decode("latin-1")),
    headers=st.lists(st.tuples(st.text(), st.text()), max_size=3),
    body=st.none() | st.binary(max_size=50),
)
def test_submit_never_raises_and_every_request_has_an_outcome(method, url, headers, body) -> None:
    with Transport(Policy(), limits=Limits(connect_s=0.2, total_s=0.2)) as transport:
        outcome = outcomes_of(transport, Request(7, method, url, tuple(headers), body))[7]
    assert outcome.error_kind in {"bad_url", "bad_request", "blocked_address", "dns"}
    assert outcome.detail


# --- many at once ------------------------------------------------------------
def test_many_requests_have_one_outcome_each_and_share_few_connections(receiver: Receiver) -> None:
    receiver.answer("*", Answer(delay_s=0.001))
    requests = [get(receiver.url(f"/{key}"), key) for key in range(300)]
    with Transport(policy(receiver.port), max_in_flight=8) as transport:
        outcomes = outcomes_of(transport, *requests, within_s=20)
    assert all(outcome.is_success for outcome in outcomes.values())
    assert sorted(int(request.path[1:]) for request in receiver.requests) == list(range(300))
    assert receiver.connections <= 8


def test_slow_receiver_does_not_hold_up_another(receiver: Receiver) -> None:
    with Receiver() as slow:
        slow.answer("*", Answer(delay_s=0.6))
        with Transport(policy(receiver.port, slow.port)) as transport:
            transport.submit(get(slow.url(), 1))
            transport.submit(get(receiver.url(), 2))
            assert [outcome.key for outcome in transport.poll(2)] == [2]
            assert transport.in_flight == 1
            assert [outcome.key for outcome in transport.poll(2)] == [1]
            assert transport.in_flight == 0


def test_waiting_requests_have_the_whole_time_once_they_are_sent(receiver: Receiver) -> None:
    receiver.answer("*", Answer(delay_s=0.3))
    with Transport(policy(receiver.port), limits=Limits(connect_s=0.5, total_s=0.6), max_in_flight=1) as transport:
        outcomes = outcomes_of(transport, *(get(receiver.url(), key) for key in range(4)))
    assert [outcome.error_kind for outcome in outcomes.values()] == [""] * 4


def test_poll_without_requests_returns_at_once() -> None:
    started = time.monotonic()
    with Transport(Policy()) as transport:
        assert transport.poll(5) == []
    assert time.monotonic() - started < 1


def test_poll_returns_nothing_when_its_time_is_over(receiver: Receiver) -> None:
    receiver.answer("*", Answer(delay_s=1))
    with Transport(policy(receiver.port)) as transport:
        transport.submit(get(receiver.url()))
        started = time.monotonic()
        assert transport.poll(0.2) == []
        assert 0.15 < time.monotonic() - started < 0.2 + GRACE_S
        assert transport.in_flight == 1


def test_close_breaks_off_what_is_under_way(receiver: Receiver) -> None:
    receiver.answer("*", Answer(delay_s=30))
    started = time.monotonic()
    with Transport(policy(receiver.port), max_in_flight=2) as transport:
        for key in range(5):
            transport.submit(get(receiver.url(), key))
        transport.poll(0.1)
        receiver.wait_for(2)
    assert time.monotonic() - started < 2
    assert transport.in_flight == 0
