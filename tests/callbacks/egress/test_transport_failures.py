"""The transport against everything that goes wrong on the way, and against requests that cannot be sent."""

import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callbacks.egress.addresses import Policy
from callbacks.egress.outcome import Request
from callbacks.egress.response import Limits
from callbacks.egress.transport import Transport
from tests.authority import Authority
from tests.callbacks.egress.sending import LIMITS, get, outcome_of, outcomes_of, policy, send
from tests.receiver import Answer, Receiver


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
    assert (outcome.error_kind, outcome.detail) == ("dns", f"The host name {name} was not found.")


@pytest.mark.parametrize("end", ["close", "reset"])
def test_connection_ended_before_the_request_is_closed(end: Literal["close", "reset"]) -> None:
    with Receiver(on_connect=end) as receiver:
        outcome = send(get(receiver.url()), receiver.port)
    # A reset may overtake the connection's own completion.
    assert outcome.error_kind in {"closed", "connect"}
    assert "closed the connection" in outcome.detail
    assert outcome.status_code is None


def test_connection_ended_at_any_byte_is_no_success_before_the_last(receiver: Receiver) -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-A: b\r\n\r\nfine"
    ends: list[Literal["close", "reset"]] = ["close", "reset"]
    cuts = [(cut_at, end) for cut_at in range(len(raw) + 1) for end in ends]
    for number, (cut_at, end) in enumerate(cuts):
        receiver.answer(f"/{number}", Answer(raw=raw, cut_at=cut_at, end=end))
    with Transport(policy(receiver.port), limits=LIMITS, max_in_flight=4) as transport:
        outcomes = outcomes_of(transport, *(get(receiver.url(f"/{number}"), number) for number in range(len(cuts))))
    for number, (cut_at, end) in enumerate(cuts):
        outcome = outcomes[number]
        assert outcome.error_kind == ("" if cut_at == len(raw) else "closed"), (cut_at, end, outcome)
        assert outcome.status_code == (200 if cut_at >= len(raw) - 4 else None), (cut_at, end, outcome)


def test_reset_in_the_body_of_a_404_is_its_status(receiver: Receiver) -> None:
    outcome = outcome_of(receiver, Answer(status=404, body=b"x" * 100, cut_at=80, end="reset"))
    assert (outcome.error_kind, outcome.status_code) == ("status", 404)


def test_body_without_length_ends_with_the_connection(receiver: Receiver) -> None:
    outcome = outcome_of(receiver, Answer(raw=b"HTTP/1.1 200 OK\r\n\r\nfine", end="close"))
    assert (outcome.is_success, outcome.response_excerpt) == (True, "fine")


def test_kept_connection_that_the_other_side_closed_is_replaced(receiver: Receiver) -> None:
    receiver.answer("/", Answer(end="close"))
    with Transport(policy(receiver.port), limits=LIMITS) as transport:
        for key in range(3):
            assert outcomes_of(transport, get(receiver.url(), key))[key].is_success
    assert receiver.connections == 3


FORGED = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 204 No Content\r\nContent-Length: 44\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 44\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_what_follows_an_answer_is_not_taken_for_the_next_one(receiver: Receiver, head: bytes) -> None:
    assert len(FORGED) == 44
    receiver.answer("/1", Answer(raw=head + FORGED))
    receiver.answer("/2", Answer(status=500, body=b"real"))
    with Transport(policy(receiver.port), limits=LIMITS, max_in_flight=1) as transport:
        outcomes = outcomes_of(transport, get(receiver.url("/1"), 1), get(receiver.url("/2"), 2))
    assert outcomes[1].response_excerpt == ""
    assert (outcomes[2].status_code, outcomes[2].response_excerpt) == (500, "real")


# --- TLS ---------------------------------------------------------------------
def test_https_with_a_trusted_certificate_succeeds(tls_receiver: Receiver, authority: Authority) -> None:
    outcome = send(get(tls_receiver.url("/x")), tls_receiver.port, ca_bundle=authority.bundle)
    assert outcome.is_success
    assert tls_receiver.wait_for(1)[0].target == "/x"


def test_https_with_an_unknown_authority_is_kind_tls(tls_receiver: Receiver) -> None:
    outcome = send(get(tls_receiver.url()), tls_receiver.port)
    assert (outcome.error_kind, "an unknown authority" in outcome.detail) == ("tls", True)
    assert not tls_receiver.requests


CERTIFICATES: dict[str, Callable[[Authority], ssl.SSLContext]] = {
    "is self-signed": lambda authority: authority.self_signed(),
    "has expired": lambda authority: authority.context("127.0.0.1", not_after=datetime(2021, 1, 1, tzinfo=UTC)),
    "is for another host name": lambda authority: authority.context("tracker.example"),
}


@pytest.mark.parametrize("fault", CERTIFICATES)
def test_https_with_a_certificate_at_fault_is_kind_tls(authority: Authority, fault: str) -> None:
    with Receiver(tls=CERTIFICATES[fault](authority)) as receiver:
        outcome = send(get(receiver.url()), receiver.port, ca_bundle=authority.bundle)
        assert (outcome.error_kind, outcome.detail) == ("tls", f"The certificate of 127.0.0.1 {fault}.")
        assert not receiver.requests


@pytest.mark.parametrize("end", ["close", "reset"])
def test_https_to_a_host_that_ends_the_connection_at_once_is_kind_tls(end: Literal["close", "reset"]) -> None:
    with Receiver(on_connect=end) as receiver:
        outcome = send(get(f"https://127.0.0.1:{receiver.port}/"), receiver.port)
    assert outcome.error_kind in {"tls", "connect"}  # a reset may overtake the connection's own completion
    assert outcome.status_code is None


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", None),
        (b"HTTP/1.1 200 OK\r\nContent-", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\nfine", 200),
        (b"HTTP/1.1 200 OK\r\n\r\ncut by someone in between", 200),  # where only a farewell of TLS says it is whole
    ],
)
@pytest.mark.parametrize("end", ["close", "reset"])
def test_https_cut_off_within_the_answer_is_closed(
    tls_receiver: Receiver, authority: Authority, raw: bytes, status: int | None, end: Literal["close", "reset"]
) -> None:
    tls_receiver.answer("*", Answer(raw=raw, end=end))
    outcome = send(get(tls_receiver.url()), tls_receiver.port, ca_bundle=authority.bundle)
    assert (outcome.error_kind, outcome.status_code) == ("closed", status)


def test_https_to_a_port_that_speaks_http_is_kind_tls(receiver: Receiver) -> None:
    outcome = send(get(f"https://127.0.0.1:{receiver.port}/"), receiver.port)
    assert (outcome.error_kind, "handshake" in outcome.detail) == ("tls", True)


# --- what is not sent at all -------------------------------------------------
@pytest.mark.parametrize(
    "url",
    ["", "x", "/path", "ftp://127.0.0.1/", "file:///etc/passwd", "dict://127.0.0.1/", "gopher://127.0.0.1/", "http:/x",
     "http://", "http:///x", "http://:8080/", "http://127.0.0.1:99999/", "http://127.0.0.1:x/", "http://[::1/",
     "http://[v1.x]/", "http://a b/", "http://127.0.0.1/ x", "http://127.0.0.1/\r\nX: y", "http://127.0.0.1/\0",
     "http://127.0.0.1/é", "http://me@127.0.0.1/", "http://[me@127.0.0.1/", "http://me:pw@127.0.0.1/", "http://example.com\\@127.0.0.1/",
     "http://[127.0.0.1]/", "http://[::1]x/", "http://127.0.0.1/\ud800", "ws://127.0.0.1/", "http://%00/", "http://?a",
     pytest.param("http://127.0.0.1/" + "a" * 9_000_000, id="9 MB")],
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


@settings(max_examples=200)
@given(
    method=st.sampled_from(["GET", "POST"]) | st.text(max_size=5),
    url=st.text()
    | st.text().map("http://127.0.0.1:9/".__add__)
    | st.binary().map(lambda b: "http://127.0.0.1:9/" + b.decode("latin-1")),
    headers=st.lists(st.tuples(st.text(), st.text()), max_size=3),
    body=st.none() | st.binary(max_size=50),
)
def test_submit_never_raises_and_every_request_has_an_outcome(
    method: str, url: str, headers: list[tuple[str, str]], body: bytes | None
) -> None:
    with Transport(Policy(), limits=Limits(connect_s=0.2, total_s=0.2)) as transport:
        outcome = outcomes_of(transport, Request(7, method, url, tuple(headers), body))[7]
    assert outcome.error_kind in {"bad_url", "bad_request", "blocked_address", "dns"}
    assert outcome.detail
