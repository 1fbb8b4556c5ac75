"""The transport's bounds: however large or slow the answer, the attempt ends and little of it is kept."""

import gzip

import pytest

from callbacks.egress.transport import Transport
from tests.callbacks.egress.sending import LIMITS, asked, get, outcomes_of, policy, send
from tests.receiver import Answer, Receiver, endless


# --- size --------------------------------------------------------------------
def test_huge_body_of_a_200_is_not_read_to_its_end_and_is_a_success(receiver: Receiver) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n"
    outcome = asked(receiver, Answer(raw=endless(b"x" * 16384, head=head)))
    assert (outcome.is_success, outcome.status_code, len(outcome.response_excerpt)) == (True, 200, 4096)
    assert (outcome.total_ms or 1e9) < LIMITS.total_s * 900  # because enough was read, not because time was over


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


def test_of_long_headers_the_beginning_is_kept(receiver: Receiver) -> None:
    lines = [b"X-A: " + b"a" * 4000, b"X-B: " + b"b" * 4000, b"X-C: " + b"c" * 4000, b"X-D: d"]
    raw = b"HTTP/1.1 100 Continue\r\nX-Z: " + b"z" * 9000 + b"\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 0\r\n"
    outcome = asked(receiver, Answer(raw=raw + b"\r\n".join([*lines, b"", b""])))
    assert outcome.error_kind == "status"
    assert [name for name, _ in outcome.response_headers] == ["Content-Length", "X-A", "X-B", "X-C"]
    assert 8100 < sum(len(name) + len(value) for name, value in outcome.response_headers) <= 8192
    assert set(outcome.response_headers[-1][1]) == {"c"}


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


def test_silence_on_a_kept_connection_is_an_answer_that_did_not_come(receiver: Receiver) -> None:
    receiver.answer("/", Answer(), Answer(delay_s=30))
    with Transport(policy(receiver.port), limits=LIMITS, max_in_flight=1) as transport:
        outcome = outcomes_of(transport, get(receiver.url(), 1), get(receiver.url(), 2))[2]
    assert receiver.connections == 1
    assert (outcome.error_kind, outcome.detail) == ("timeout", "No answer came within 0.8 seconds.")


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
