"""The transport against real sockets: what is on the wire, what is made of an answer, and many at once."""

import threading
import time
from pathlib import Path

import pytest

from callbacks.delivery.wakeup import WakePipe
from callbacks.egress.addresses import Policy
from callbacks.egress.outcome import Request
from callbacks.egress.response import Limits
from callbacks.egress.transport import Transport
from tests.authority import Authority
from tests.callbacks.egress.sending import GRACE_S, HEADERS, LIMITS, get, outcome_of, outcomes_of, policy, send
from tests.receiver import Answer, Receiver


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
    assert second.headers[1:] == HEADERS


def test_proxies_and_netrc_of_the_environment_are_ignored(
    receiver: Receiver, tls_receiver: Receiver, authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    with Receiver() as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url())
            monkeypatch.setenv(name.upper(), proxy.url())
        assert send(get(receiver.url()), receiver.port).is_success
        assert send(get(tls_receiver.url()), tls_receiver.port, ca_bundle=authority.bundle).is_success
        assert proxy.connections == 0
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
    outcome = outcome_of(receiver, Answer(status=status, body=body))
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
    outcome = outcome_of(receiver, Answer(status=status))
    assert (outcome.status_code, outcome.error_kind, outcome.is_success) == (status, "status", False)
    assert outcome.detail == f"The tracker answered {sentence}."


@pytest.mark.parametrize("status", range(300, 309))
def test_3xx_names_the_location_and_is_never_followed(receiver: Receiver, status: int) -> None:
    target = receiver.url("/elsewhere")
    outcome = outcome_of(receiver, Answer(status=status, headers=(("Location", target),), body=b""), "/start")
    assert (outcome.status_code, outcome.error_kind) == (status, "redirect")
    assert target in outcome.detail
    assert "not followed" in outcome.detail
    assert ("Location", target) in outcome.response_headers
    assert [request.path for request in receiver.requests] == ["/start"]


def test_3xx_without_location_is_a_redirect_to_nowhere(receiver: Receiver) -> None:
    outcome = outcome_of(receiver, Answer(status=302))
    assert (outcome.error_kind, "without a target" in outcome.detail) == ("redirect", True)


def test_3xx_with_a_very_long_location_has_a_readable_sentence(receiver: Receiver) -> None:
    outcome = outcome_of(receiver, Answer(status=302, headers=(("Location", "/" + "a" * 20_000),)))
    assert (outcome.error_kind, len(outcome.detail) < 700) == ("redirect", True)


def test_1xx_is_passed_over_and_only_the_final_headers_are_kept(receiver: Receiver) -> None:
    raw = (
        b"HTTP/1.1 100 Continue\r\nX-A: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nX-B: 2\r\nContent-Length: 2\r\n\r\nhi"
    )
    outcome = outcome_of(receiver, Answer(raw=raw))
    assert outcome.is_success
    assert outcome.response_headers == (("X-B", "2"), ("Content-Length", "2"))
    assert outcome.response_excerpt == "hi"


def test_trailers_are_no_headers(receiver: Receiver) -> None:
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n"
    outcome = outcome_of(receiver, Answer(raw=raw))
    assert (outcome.is_success, outcome.response_excerpt) == (True, "hi")
    assert outcome.response_headers == (("Transfer-Encoding", "chunked"), ("Trailer", "X-T"))


def test_retry_after_is_given_as_it_came(receiver: Receiver) -> None:
    assert outcome_of(receiver, Answer(status=503, headers=(("retry-AFTER", " 120 "),))).retry_after == "120"
    assert outcome_of(receiver, Answer(status=503)).retry_after is None


def test_headers_in_another_encoding_are_read_as_latin_1(receiver: Receiver) -> None:
    outcome = outcome_of(receiver, Answer(raw=b"HTTP/1.1 200 OK\r\nX-A: \xe9\xff\r\nContent-Length: 0\r\n\r\n"))
    assert outcome.response_headers[0] == ("X-A", "éÿ")


@pytest.mark.parametrize(
    ("body", "excerpt"),
    [
        ("€uro".encode(), "€uro"),
        (b"a\0b", "a\N{REPLACEMENT CHARACTER}b"),
        (b"\xff\xfd!", "ÿý!"),
        (b"x" * 5000, "x" * 4096),
        (b"x" * 4095 + "€".encode() + b"y" * 100, "x" * 4095),
        (b"x" * 4095 + b"\xff" + b"y" * 100, "x" * 4095 + "ÿ"),
    ],
)
def test_excerpt_is_text_that_any_database_can_hold(receiver: Receiver, body: bytes, excerpt: str) -> None:
    assert outcome_of(receiver, Answer(body=body)).response_excerpt == excerpt


def test_phases_are_timed_and_a_kept_connection_has_only_its_own(tls_receiver: Receiver, authority: Authority) -> None:
    tls_receiver.answer("/", Answer(delay_s=0.05))
    with Transport(policy(tls_receiver.port), ca_bundle=authority.bundle, max_in_flight=1) as transport:
        outcomes = outcomes_of(transport, get(tls_receiver.url(), 1), get(tls_receiver.url(), 2))
    first, second = outcomes[1], outcomes[2]
    phases = [first.dns_ms, first.connect_ms, first.tls_ms, first.first_byte_ms]
    assert all(phase is not None and phase > 0 for phase in phases)
    assert (first.first_byte_ms or 0) >= 50
    assert (first.total_ms or 0) >= sum(phase or 0 for phase in phases)
    assert (second.dns_ms, second.connect_ms, second.tls_ms) == (None, None, None)
    assert (second.first_byte_ms or 0) >= 50
    assert tls_receiver.connections == 1


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


def test_poll_is_ended_by_what_wakes_it_from_another_thread(receiver: Receiver) -> None:
    receiver.answer("*", Answer(delay_s=5))
    wakeup = WakePipe()
    with Transport(policy(receiver.port)) as transport:
        transport.submit(get(receiver.url()))
        threading.Timer(0.1, wakeup.wake).start()
        started = time.monotonic()
        assert transport.poll(4, [wakeup]) == []
        assert time.monotonic() - started < 2
        assert wakeup.clear()
        assert not wakeup.clear()
        assert transport.in_flight == 1
    wakeup.close()


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
