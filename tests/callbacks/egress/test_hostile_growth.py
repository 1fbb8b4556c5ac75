"""No answer, however large, slow or broken, takes longer than the deadline or more than a MiB of memory."""

import contextlib
import json
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.callbacks.egress.hostile import BOMB, BROKEN_ONES, LARGE_ONES, MEGABYTE, SENSELESS_ONES, SLOW_ONES, Case
from tests.callbacks.egress.sending import AMPLE_LIMITS, GRACE_S
from tests.receiver import Receiver

MOST_KIB = 1024
Call = Callable[[Sequence[str]], tuple[list[list[object]], float, int]]


@pytest.fixture(scope="module")
def call() -> Iterator[Call]:
    """Has another process call URLs. It calls some before, so that memory which is only needed once is not counted."""
    command = [sys.executable, "-m", "tests.callbacks.egress.growth"]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child,
        Receiver() as usual,
    ):
        assert child.stdin
        assert child.stdout

        def tell(urls: Sequence[str]) -> tuple[list[list[object]], float, int]:
            child.stdin.write(json.dumps(urls) + "\n")
            child.stdin.flush()
            kinds, seconds, kib = json.loads(child.stdout.readline())
            return kinds, seconds, kib

        for _ in range(20):
            assert tell([usual.url()])[0] == [["", 200]]
        yield tell
        child.stdin.close()
        assert child.wait(timeout=5) == 0


def assert_harmless(cases: Sequence[Case], call: Call) -> None:
    with contextlib.ExitStack() as stack:
        receivers = [stack.enter_context(Receiver()) for _ in cases]
        for receiver, case in zip(receivers, cases, strict=True):
            receiver.answer("*", case.answer)
        kinds, seconds, kib = call([receiver.url() for receiver in receivers])
    assert kinds == [[case.kind, case.status] for case in cases]
    assert seconds < AMPLE_LIMITS.total_s + GRACE_S
    assert kib <= MOST_KIB


QUICK = LARGE_ONES | SENSELESS_ONES | BROKEN_ONES


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in QUICK.items()])
def test_hostile_answer_ends_in_time_and_takes_little_memory(case: Case, call: Call) -> None:
    assert_harmless([case], call)


def test_slow_answers_together_end_in_time_and_take_little_memory(call: Call) -> None:
    assert_harmless(list(SLOW_ONES.values()), call)


def test_gzip_that_is_sent_would_be_300_mb() -> None:
    unpacker = zlib.decompressobj(wbits=31)
    size = len(unpacker.decompress(BOMB, MEGABYTE))
    while unpacker.unconsumed_tail:
        size += len(unpacker.decompress(unpacker.unconsumed_tail, MEGABYTE))
    assert unpacker.eof
    assert size == 300 * MEGABYTE
    assert len(BOMB) < MEGABYTE
