"""Answers that no database can keep as they are: the delivery is recorded all the same, and so are its neighbours."""

from collections.abc import Callable

from callbacks.models import Attempt, Delivery
from tests.chaos.surroundings import Surroundings
from tests.receiver import Answer, Receiver
from tests.waiting import wait_until


def head(*lines: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", b"Content-Length: 2", *lines, b"", b"ok"])


# What is kept of these is what can be kept of them.
SUCCESSES = {
    "NUL in the body": Answer(body=b"a\0b\0"),
    "every byte in the body": Answer(body=bytes(range(256))),
    "every byte but NUL and line ends in a header": Answer(raw=head(b"X-Odd: " + bytes(set(range(256)) - {0, 10, 13}))),
    "invalid UTF-8": Answer(body=b"\xff\xfe\xc3\x28\xa0\xa1\xe2\x28\xa1"),
    "lone surrogates in UTF-8": Answer(body=b"\xed\xa0\x80\xed\xbf\xbf"),
    "escaped surrogates and NUL": Answer(body=rb'{"a": "\ud800", "b": "\u0000"}'),
    "characters of 4 bytes": Answer(body="\N{PILE OF POO}\N{MUSICAL SYMBOL G CLEF}".encode() * 100),
    "a character cut in half by our limit": Answer(body=b"a" * 4095 + "\N{PILE OF POO}".encode()),
    "UTF-16": Answer(body="\N{SNOWMAN}ok".encode("utf-16")),
    "noncharacters and controls": Answer(body="\ufffe\uffff\u0001\u001b\u202e\u2028".encode()),
    "no body": Answer(raw=b"HTTP/1.1 204 No Content\r\n\r\n"),
}
# And these are no valid HTTP.
FAILURES = {
    "NUL in a header": Answer(raw=head(b"X-Odd: a\0b")),
    "NUL in a header's name": Answer(raw=head(b"X\0Odd: a")),
    "every byte but line ends in a header": Answer(raw=head(b"X-Odd: " + bytes(set(range(256)) - {10, 13}))),
}
ORDERS = 2  # for each


def test_answers_that_cannot_be_kept_are_recorded_and_sent_once(
    around: Surroundings, receiver: Receiver, report: Callable[..., None]
) -> None:
    kinds = SUCCESSES | FAILURES
    codes = dict(zip([*kinds, "plain"], around.affiliates(len(kinds) + 1), strict=True))
    for kind, answer in kinds.items():
        receiver.answer(f"/{codes[kind]}", answer)
    count = 2 * len(codes) * ORDERS
    around.place(count, list(codes.values()), changed_each=1)
    around.beat()
    around.worker()
    wait_until(lambda: Attempt.objects.count() == count, 30, around.log)
    for kind, code in codes.items():
        attempts = Attempt.objects.filter(delivery__affiliate__code=code)
        expected = "protocol" if kind in FAILURES else ""
        assert [attempt.error_kind for attempt in attempts] == [expected] * ORDERS * 2, kind
        for attempt in attempts:
            kept = attempt.response_excerpt + str(attempt.response_headers)
            assert "\0" not in kept.encode("utf-8").decode()  # nor does it hold lone surrogates
    refused = set(Delivery.objects.filter(status="pending").values_list("event_id", flat=True))
    for kind in FAILURES:
        receiver.answer(f"/{codes[kind]}", Answer())
    around.make_due()
    around.wait_until_sent(30)
    counts = around.count(refused=set(map(str, refused)))
    assert counts.duplicates == 0
    report(f"answers that cannot be kept, {len(kinds)} kinds", counts)
