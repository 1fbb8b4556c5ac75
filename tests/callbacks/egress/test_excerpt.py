"""What is kept of an answer's body: unpacked, decoded, or named; and what is shown of JSON."""

import gzip
import random
import time
import zlib

import pytest

from callbacks.egress import soft_failures
from callbacks.egress.excerpt import CHARSETS, indented, text_of
from tests.callbacks.egress.hostile import BOMB
from tests.callbacks.egress.sending import outcome_of
from tests.receiver import Answer, Receiver

JSON = b'{"status":"error","message":"click not found"}'
PIXEL = bytes.fromhex("47494638396101000100800000ffffff00000021f90401000000002c00000000010001000002024401003b")


def kept(body: bytes, *, size: int | None = None, **headers: str) -> str:
    given = [(name.replace("_", "-").title(), value) for name, value in headers.items()]
    return text_of(body[:4096], len(body) if size is None else size, given, limit=4096)


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("Клик не найден".encode("cp1251"), "text/plain; charset=windows-1251", "Клик не найден"),
        ("naïve €".encode("cp1252"), "text/html; x=y; Charset='ISO-8859-1'", "naïve €"),
        ("転換".encode("shift_jis"), 'text/plain;charset="Shift_JIS"', "転換"),
        ("转换".encode("gb18030"), "text/plain; charset=gb18030", "转换"),
        ("転換".encode("iso2022_jp"), "text/plain; charset=iso-2022-jp", "転換"),
        ("ok".encode("utf-16"), "text/plain; charset=utf-16", "ok"),
        ("ok €".encode("utf-16-be"), "text/plain; charset=utf-16be", "ok €"),
        (b"\xef\xbb\xbf{}", "application/json", "{}"),
        (b"\xff\xfeo\0k\0", "", "ok"),
        (b"\xfe\xff\0o\0k", "text/plain", "ok"),
        ("café".encode(), "", "café"),
        ("café".encode("latin-1"), "", "café"),
        ("café".encode("latin-1"), "text/plain; charset=utf-8", "café"),
        ("café".encode(), "text/plain; charset=klingon", "café"),
        ("café".encode(), "text/plain; charset=zip", "café"),
        ("café".encode(), "text/plain; charset=unicode_escape", "café"),
        ("café".encode(), "text/plain; charset=../../etc", "café"),
        ("café".encode(), "text/plain; charset=", "café"),
        ("ééé".encode() + b"\xff", "", "ééé\N{REPLACEMENT CHARACTER}"),
        (b"ok\0", "text/plain", "ok\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_text_is_read_by_its_charset(body: bytes, content_type: str, text: str) -> None:
    assert kept(body, content_type=content_type) == text


@pytest.mark.parametrize("charset", sorted(CHARSETS))
def test_every_charset_gives_text_that_a_database_can_hold(charset: str) -> None:
    noise = random.Random(charset).randbytes(3000)
    text = kept(noise + noise[:2000], content_type=f"text/plain; charset={charset.replace('_', '-')}")
    assert "\0" not in text.encode().decode()


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(JSON)),
        ("X-GZip", gzip.compress(JSON)),
        ("deflate", zlib.compress(JSON)),
        ("deflate", zlib.compress(JSON)[2:-4]),
        ("identity", JSON),
        ("deflate, gzip", gzip.compress(zlib.compress(JSON))),
        ("gzip", JSON),  # named as packed, and is not
    ],
)
def test_packed_answer_is_kept_unpacked_and_its_refusal_is_seen(coding: str, body: bytes) -> None:
    text = kept(body, content_encoding=coding)
    assert text == JSON.decode()
    assert "click not found" in soft_failures.find(text)


@pytest.mark.parametrize(
    ("body", "headers", "name"),
    [
        (b"\x0b\x02\x80OK\x03" * 2, {"content_encoding": "br"}, "[compressed (br), 12 bytes, not shown]"),
        (b"\x28\xb5\x2f\xfd" * 203, {"content_encoding": "zstd"}, "[compressed (zstd), 812 bytes, not shown]"),
        (b"\x1f\x8bnot really", {"content_encoding": "gzip"}, "[compressed (gzip), 12 bytes, not shown]"),
        # Cut off before anything of it could be unpacked: it is no empty answer.
        (gzip.compress(JSON)[:10], {"content_encoding": "gzip"}, "[compressed (gzip), 10 bytes, not shown]"),
        (b"\x1f", {"content_encoding": "gzip"}, "[compressed (gzip), 1 byte, not shown]"),
        (zlib.compress(JSON)[:2], {"content_encoding": "deflate"}, "[compressed (deflate), 2 bytes, not shown]"),
        (b"\xff", {"content_encoding": "a b\tc"}, "[compressed (unknown), 1 byte, not shown]"),
        (
            gzip.compress(b"x"),
            {"content_encoding": "gzip, gzip, gzip, gzip, gzip"},
            "[compressed (gzip, gzip, gzip, unknown), 21 bytes, not shown]",
        ),
        (PIXEL, {"content_type": "image/gif"}, "[image/gif, 43 bytes, not shown]"),
        (PIXEL, {"content_type": "text/html"}, "[binary data, 43 bytes, not shown]"),
        (PIXEL, {}, "[binary data, 43 bytes, not shown]"),
        (PIXEL, {"content_type": "<b>\N{RIGHT-TO-LEFT OVERRIDE}/x"}, "[binary data, 43 bytes, not shown]"),
        (gzip.compress(PIXEL), {"content_type": "image/gif", "content_encoding": "gzip"}, None),
        (gzip.compress(JSON), {}, f"[binary data, {len(gzip.compress(JSON))} bytes, not shown]"),
    ],
)
def test_what_is_no_text_is_named_with_its_size(body: bytes, headers: dict[str, str], name: str | None) -> None:
    assert kept(body, **headers) == (name or f"[image/gif, {len(body)} bytes, not shown]")
    assert soft_failures.find(kept(body, **headers)) == ""


def test_packed_answer_without_content_is_empty_and_what_could_be_unpacked_of_a_part_is_shown() -> None:
    assert kept(gzip.compress(b""), content_encoding="gzip") == ""
    assert kept(gzip.compress(JSON * 9)[:-12], content_encoding="gzip").startswith(JSON.decode())


def test_codings_in_several_headers_are_one_list() -> None:
    packed = gzip.compress(zlib.compress(JSON))
    for names in (("deflate", "gzip"), ("deflate, gzip", "identity"), ("", "deflate", "gzip")):
        headers = [("Content-Encoding", name) for name in names]
        assert text_of(packed, len(packed), headers, limit=4096) == JSON.decode()


def test_text_under_the_type_of_an_image_is_shown() -> None:
    assert kept("<svg>é</svg>".encode(), content_type="image/svg+xml") == "<svg>é</svg>"


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_bomb_costs_no_more_than_its_first_bytes(depth: int) -> None:
    """A thousandth of its size, in a thousandth again: what is unpacked of each is as much as is kept."""
    body = BOMB
    for _ in range(depth - 1):
        body = gzip.compress(body)
    began = time.thread_time()
    text = kept(body, content_encoding=", ".join(["gzip"] * depth))
    assert time.thread_time() - began < 0.02
    assert text == f"[binary data, {len(body):,} bytes, not shown]"


def test_packed_text_is_kept_up_to_the_limit_without_half_a_character(receiver: Receiver) -> None:
    body = gzip.compress(b"x" * 4095 + "€".encode() * 500_000)
    outcome = outcome_of(receiver, Answer(headers=(("Content-Encoding", "gzip"),), body=body))
    assert outcome.response_excerpt == "x" * 4095


def test_size_of_what_is_not_read_to_its_end_is_a_least_one(receiver: Receiver) -> None:
    outcome = outcome_of(receiver, Answer(headers=(("Content-Encoding", "br"),), body=b"\xff" * 200_000))
    assert outcome.response_excerpt == "[compressed (br), more than 65,536 bytes, not shown]"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"a":1.10,"a":["x, {y}",null],"e":{},"f":[]}',
         '{\n  "a": 1.10,\n  "a": [\n    "x, {y}",\n    null\n  ],\n  "e": {},\n  "f": []\n}'),
        ('[{"a": "\\u00e9\\""}]', '[\n  {\n    "a": "\\u00e9\\""\n  }\n]'),
        ('{"a":1,"b":"cut o', '{\n  "a": 1,\n  "b": "cut o'),
        ("[]", "[]"),
        ("OK", "OK"),
        ("[2026-11-28] not JSON", "[2026-11-28] not JSON"),
        ("{not: 'JSON'}", "{not: 'JSON'}"),
        ("[1 2]", "[1 2]"),
        ("", ""),
    ],
)  # fmt: skip
def test_json_is_shown_with_a_line_for_each_member_and_unchanged_otherwise(text: str, shown: str) -> None:
    assert indented(text) == shown


@pytest.mark.parametrize("sign", ["[", "{", '{"a":', "[[],", '"'])
def test_deep_json_is_shown_in_bounded_space(sign: str) -> None:
    assert len(indented("[" + sign * (4096 // len(sign)))) < 200_000
