"""Harmful and senseless answers, and the outcome of each: kind, status and a part of the sentence."""

import struct
import zlib
from dataclasses import dataclass
from typing import Literal

from tests.receiver import Answer, Pieces, endless

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
SLOWLY = 0.05  # seconds between two bytes
WHOLE = OK + b"Content-Length: 40\r\n\r\n" + b"x" * 40
MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Case:
    """`kind` and `status` are what is recorded, `says` stands in the sentence."""

    answer: Answer
    kind: str
    status: int | None
    says: str


def bytewise(text: bytes) -> list[bytes]:
    return [text[at : at + 1] for at in range(len(text))]


def zeros(megabytes: int, head: bytes) -> Pieces:
    return Pieces(bytes(MEGABYTE), megabytes, head)


def gzip_of_zeros(megabytes: int) -> bytes:
    """A gzip file of so many zeros; it has a thousandth of their size."""
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    one = packer.compress(bytes(MEGABYTE)) + packer.flush(zlib.Z_FULL_FLUSH)  # so that it can be repeated
    checksum = 0
    for _ in range(megabytes):
        checksum = zlib.crc32(bytes(MEGABYTE), checksum)
    head = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
    return head + one * megabytes + b"\x03\x00" + struct.pack("<II", checksum, megabytes * MEGABYTE)


BOMB = gzip_of_zeros(300)
SUCCESS, SLOW, CUT = (
    "The tracker answered 200 OK.",
    "No answer within",
    "but closed the connection before the answer was complete",
)
NO_END, NOT_HTTP, LONG = "the answer was not complete within", "is not valid HTTP", "of the answer are too long"
NOTHING = "closed the connection before the answer was complete"

SLOW_ONES: dict[str, Case] = {
    "nothing at all": Case(Answer(raw=b"", end="stall"), "timeout", None, SLOW),
    "headers byte by byte": Case(
        Answer(raw=bytewise(OK + b"X-A: " + b"a" * 200), pace_s=SLOWLY), "timeout", None, SLOW
    ),
    "endless headers slowly": Case(Answer(raw=endless(b"X-A: b\r\n", head=OK), pace_s=SLOWLY), "timeout", None, SLOW),
    "body byte by byte": Case(Answer(body=b"x" * 100, pace_s=SLOWLY), "timeout", 200, NO_END),
    "body of a 500 byte by byte": Case(Answer(status=500, body=b"x" * 100, pace_s=SLOWLY), "status", 500, "500"),
    "chunks byte by byte": Case(
        Answer(raw=endless(b"1\r\na\r\n", head=CHUNKED), pace_s=SLOWLY), "timeout", 200, NO_END
    ),
    "endless 100 slowly": Case(
        Answer(raw=endless(b"HTTP/1.1 100 Continue\r\n\r\n"), pace_s=SLOWLY), "timeout", None, SLOW
    ),
    "half of the body": Case(Answer(raw=WHOLE[:60], end="stall"), "timeout", 200, NO_END),
    "half of the headers": Case(Answer(raw=WHOLE[:30], end="stall"), "timeout", None, SLOW),
    "101 that stays open": Case(
        Answer(raw=b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", end="stall"),
        "status", 101, "101 Switching Protocols, which was not requested",
    ),
}  # fmt: skip

LARGE_ONES: dict[str, Case] = {
    "endless 100": Case(Answer(raw=endless(b"HTTP/1.1 100 Continue\r\n\r\n" * 99)), "too_large", None, LONG),
    "endless 103 with links": Case(
        Answer(raw=endless(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")), "too_large", None, LONG
    ),
    "gzip of 300 MB": Case(Answer(headers=(("Content-Encoding", "gzip"),), body=BOMB), "", 200, SUCCESS),
    "gzip of 300 MB as transfer coding": Case(
        Answer(headers=(("Transfer-Encoding", "gzip"),), body=BOMB, end="close"), "protocol", None, NOT_HTTP
    ),
    "body of 200 MB": Case(
        Answer(raw=zeros(200, OK + b"Content-Length: %d\r\n\r\n" % (200 * MEGABYTE))), "", 200, SUCCESS
    ),
    "body of 200 MB without length": Case(Answer(raw=zeros(200, OK + b"\r\n"), end="close"), "", 200, SUCCESS),
    "body of 200 MB of a 503": Case(
        Answer(raw=zeros(200, b"HTTP/1.1 503 No\r\n\r\n"), end="close"), "status", 503, "503 Service Unavailable"
    ),
    "endless chunks": Case(Answer(raw=endless(b"400\r\n" + b"y" * 1024 + b"\r\n", head=CHUNKED)), "", 200, SUCCESS),
    "endless small chunks": Case(Answer(raw=endless(b"1\r\ny\r\n" * 999, head=CHUNKED)), "", 200, SUCCESS),
    "100,000 headers": Case(Answer(raw=OK + b"X-A: b\r\n" * 100_000 + b"\r\n"), "too_large", None, LONG),
    "100,000 shortest headers": Case(Answer(raw=OK + b"a:\r\n" * 100_000 + b"\r\n"), "too_large", None, LONG),
    "4,000 headers": Case(Answer(raw=OK + b"a:\r\n" * 4000 + b"Content-Length: 0\r\n\r\n"), "", 200, SUCCESS),
    "60 KB of headers": Case(
        Answer(raw=OK + b"a: " + b"\xff" * 60_000 + b"\r\nContent-Length: 0\r\n\r\n"), "", 200, SUCCESS
    ),
    "header of 1 MB": Case(Answer(raw=OK + b"X-A: " + b"a" * MEGABYTE + b"\r\n\r\n"), "too_large", None, LONG),
    "name of a header of 1 MB": Case(Answer(raw=OK + b"a" * MEGABYTE + b": b\r\n\r\n"), "too_large", None, LONG),
    "status line of 1 MB": Case(Answer(raw=b"HTTP/1.1 200 " + b"a" * MEGABYTE + b"\r\n\r\n"), "too_large", None, LONG),
    "1 MB without a line's end": Case(Answer(raw=b"a" * MEGABYTE, end="close"), "protocol", None, NOT_HTTP),
    "endless trailers": Case(
        Answer(raw=endless(b"X-T: 1\r\n" * 99, head=CHUNKED + b"0\r\n")), "too_large", 200, LONG
    ),
}  # fmt: skip

SENSELESS_ONES: dict[str, Case] = {
    "102 and 103 before 200": Case(
        Answer(raw=b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + WHOLE),
        "", 200, SUCCESS,
    ),
    "100 and no answer": Case(Answer(raw=b"HTTP/1.1 100 Continue\r\n\r\n", end="close"), "closed", None, NOTHING),
    "101": Case(
        Answer(raw=b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", end="close"),
        "status", 101, "101 Switching Protocols, which was not requested",
    ),
    "text": Case(Answer(raw=b"this is not HTTP at all\r\n\r\n", end="close"), "protocol", None, NOT_HTTP),
    "noise": Case(Answer(raw=bytes(range(256)) * 8, end="close"), "protocol", None, NOT_HTTP),
    "HTTP/0.9": Case(Answer(raw=b"<html>fine</html>", end="close"), "protocol", None, NOT_HTTP),
    "HTTP/2": Case(Answer(raw=b"\0\0\x12\4\0\0\0\0\0" + bytes(18), end="close"), "protocol", None, NOT_HTTP),
    "TLS": Case(Answer(raw=b"\x15\x03\x03\0\2\2\x28", end="close"), "protocol", None, NOT_HTTP),
    "SSH": Case(Answer(raw=b"SSH-2.0-OpenSSH_9.6\r\n", end="close"), "protocol", None, NOT_HTTP),
    "status of two digits": Case(Answer(raw=b"HTTP/1.1 20\r\n\r\n", end="close"), "protocol", None, NOT_HTTP),
    "status of letters": Case(Answer(raw=b"HTTP/1.1 ABC OK\r\n\r\n", end="close"), "protocol", None, NOT_HTTP),
    "another version": Case(Answer(raw=b"HTTP/9.9 200 OK\r\n\r\n", end="close"), "protocol", None, NOT_HTTP),
    "chunk size that is no number": Case(Answer(raw=CHUNKED + b"zz\r\nhi\r\n", end="close"), "protocol", 200, NOT_HTTP),
    "chunk size that is negative": Case(Answer(raw=CHUNKED + b"-1\r\nhi\r\n", end="close"), "protocol", 200, NOT_HTTP),
    "chunk size over all bounds": Case(
        Answer(raw=CHUNKED + b"f" * 20 + b"\r\nhi\r\n", end="close"), "protocol", 200, NOT_HTTP
    ),
    "chunk longer than it says": Case(Answer(raw=CHUNKED + b"1\r\nhello\r\n", end="close"), "protocol", 200, NOT_HTTP),
    "length that is no number": Case(
        Answer(raw=OK + b"Content-Length: many\r\n\r\n", end="close"), "protocol", None, NOT_HTTP
    ),
    "two lengths": Case(
        Answer(raw=OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", end="close"), "protocol", None, NOT_HTTP
    ),
    "NUL in a header": Case(Answer(raw=OK + b"X-A: a\0b\r\n\r\n", end="close"), "protocol", None, NOT_HTTP),
    "two destinations": Case(
        Answer(raw=b"HTTP/1.1 302 X\r\nLocation: https://a.example/\r\nLocation: https://b.example/\r\n\r\n"),
        "protocol", None, NOT_HTTP,
    ),
    "204 with a body": Case(
        Answer(raw=b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello"), "", 204, "answered 204 No Content."
    ),
    "304 with a body": Case(
        Answer(raw=b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello"), "redirect", 304, "304 Not Modified"
    ),
    "short body": Case(Answer(raw=WHOLE[:70], end="close"), "closed", 200, CUT),
    "short chunk": Case(Answer(raw=CHUNKED + b"5\r\nhe", end="close"), "closed", 200, CUT),
    "body longer than it says": Case(Answer(raw=WHOLE + b"y" * 40), "", 200, SUCCESS),
}  # fmt: skip

ENDS: tuple[Literal["close", "reset"], ...] = ("close", "reset")
BROKEN_ONES: dict[str, Case] = {
    f"{end} {place}": Case(Answer(raw=WHOLE, cut_at=cut_at, end=end), "closed", status, says)
    for end in ENDS
    for place, cut_at, status, says in (
        ("before the answer", 0, None, NOTHING),
        ("within the status line", 12, None, NOTHING),
        ("after the status line", len(OK), None, NOTHING),
        ("within a header", 25, None, NOTHING),
        ("before the end of the headers", 37, None, NOTHING),
        ("after the headers", 39, 200, CUT),
        ("within the body", 50, 200, CUT),
        ("before the last byte", 78, 200, CUT),
    )
}
assert WHOLE.index(b"\r\n\r\n") + 4 == 39
assert len(WHOLE) == 79

ALL = SLOW_ONES | LARGE_ONES | SENSELESS_ONES | BROKEN_ONES
