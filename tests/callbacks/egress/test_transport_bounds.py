"""The limits of size and time. More answers that exceed them are in `hostile`."""

import gzip

import pytest

from callbacks.egress.transport import Transport
from tests.callbacks.egress.sending import LIMITS, get, outcome_of, outcomes_of, policy, send
from tests.receiver import Answer, Pieces, Receiver, endless


# --- size --------------------------------------------------------------------
@pytest.mark.parametrize(
    ("raw", "kind", "status"),
    [
        (endless(b"x" * 16384, head=b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n"), "", 200),
        (
            endless(b"400\r\n" + b"y" * 1024 + b"\r\n", head=b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n"),
            "status",
            500,
        ),
    ],
)
def test_huge_body_is_not_read_to_its_end(receiver: Receiver, raw: Pieces, kind: str, status: int) -> None:
    outcome = outcome_of(receiver, Answer(raw=raw))
    assert (outcome.error_kind, outcome.status_code, len(outcome.response_excerpt)) == (kind, status, 4096)
    assert (outcome.total_ms or 1e9) < LIMITS.total_s * 900  # it ended because of the size, not because of the time


@pytest.mark.parametrize("name", ["Content-Encoding", "Transfer-Encoding"])
def test_compressed_body_is_inflated_no_further_than_what_is_kept(receiver: Receiver, name: str) -> None:
    bomb = gzip.compress(b"\0" * 20_000_000)
    head = f"HTTP/1.1 200 OK\r\n{name}: gzip\r\nConnection: close\r\n\r\n".encode()
    outcome = outcome_of(receiver, Answer(raw=head + bomb, end="close"))
    assert "\0" * 10 not in outcome.response_excerpt
    if name == "Content-Encoding":
        assert outcome.is_success
        assert outcome.response_excerpt == f"[binary data, {len(bomb):,} bytes, not shown]"
    else:
        assert outcome.error_kind == "protocol"  # a transfer coding that nobody asked for


def test_of_long_headers_the_beginning_is_kept(receiver: Receiver) -> None:
    lines = [b"X-A: " + b"a" * 4000, b"X-B: " + b"b" * 4000, b"X-C: " + b"c" * 4000, b"X-D: d"]
    raw = b"HTTP/1.1 100 Continue\r\nX-Z: " + b"z" * 9000 + b"\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 0\r\n"
    outcome = outcome_of(receiver, Answer(raw=raw + b"\r\n".join([*lines, b"", b""])))
    assert outcome.error_kind == "status"
    assert [name for name, _ in outcome.response_headers] == ["Content-Length", "X-A", "X-B", "X-C"]
    assert 8100 < sum(len(name) + len(value) for name, value in outcome.response_headers) <= 8192
    assert set(outcome.response_headers[-1][1]) == {"c"}


# --- time --------------------------------------------------------------------
def test_silence_on_a_kept_connection_is_an_answer_that_did_not_come(receiver: Receiver) -> None:
    receiver.answer("/", Answer(), Answer(delay_s=30))
    with Transport(policy(receiver.port), limits=LIMITS, max_in_flight=1) as transport:
        outcome = outcomes_of(transport, get(receiver.url(), 1), get(receiver.url(), 2))[2]
    assert receiver.connections == 1
    assert (outcome.error_kind, outcome.detail) == ("timeout", "No answer within 0.8 seconds.")


def test_connection_that_does_not_come_about_is_a_timeout(deaf_port: int) -> None:
    outcome = send(get(f"http://127.0.0.1:{deaf_port}/"), deaf_port)
    assert (outcome.error_kind, outcome.detail) == (
        "timeout",
        "Could not connect to 127.0.0.1 within 0.5 seconds.",
    )


def test_handshake_that_stalls_is_a_timeout() -> None:
    with Receiver(on_connect="stall") as receiver:
        outcome = send(get(f"https://127.0.0.1:{receiver.port}/"), receiver.port)
    assert (outcome.error_kind, "TLS handshake with" in outcome.detail) == ("timeout", True)
