"""A broker that freezes, goes, forgets or has no room: orders are saved all the same, and everything goes out."""

import os
import re
import signal
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.chaos.broker import Broker
from tests.chaos.processes import Program
from tests.chaos.shop import Report
from tests.chaos.surroundings import IS_FULL, Surroundings, size
from tests.receiver import Receiver
from tests.waiting import wait_until

# In full, longer than the pause after a wake-up that failed, so that many saves meet the broker, and so long that a
# worker which waits longer and longer before it tries to connect again would be found out.
OUTAGE_S = size(3, 30)
PAUSE_MS = 20
MOST = 5000
OUT_AFTER_S = 10
BACK_AFTER_S = 3  # until everybody has found that it is back
ADDED_MS, WORST_MS = 5.0, 250.0


@pytest.fixture
def codes(around: Surroundings, receiver: Receiver) -> list[str]:
    """Affiliates for whom an order was sent, so worker and beat are up, with connections to everything."""
    codes = around.affiliates(2)
    around.beat()
    around.worker()
    around.shop().do(first=around.next_number(2), count=2, codes=codes)
    receiver.wait_for(2, 30)
    return codes


OUTAGES: dict[str, Callable[[Broker], object]] = {
    "frozen": Broker.frozen,
    "gone": Broker.gone,
    "out of memory": Broker.out_of_memory,
}


@pytest.mark.parametrize("outage", OUTAGES)
def test_broker_away_costs_a_save_little_and_everything_goes_out_after_its_return(
    around: Surroundings, codes: list[str], report: Callable[..., None], outage: str
) -> None:
    shop, without = around.shops[0], [around.affiliate_without_callbacks() for _ in codes]
    first = around.next_number(MOST)
    with OUTAGES[outage](around.broker):
        shop.begin(first=first, count=MOST, codes=[*codes, *without], pause_ms=PAUSE_MS, seconds=OUTAGE_S)
        saved = shop.report(within_s=OUTAGE_S + 60)
    took = around.wait_until_sent(OUT_AFTER_S)
    assert not saved.failures
    counts = around.count()
    assert counts.duplicates == 0
    cost = _assert_cheap(saved, codes, without)
    report(f"broker {outage}, {OUTAGE_S} s", counts, f"{cost}; all out {took:.1f} s after its return")


def _assert_cheap(saved: Report, codes: list[str], without: list[str]) -> str:
    """What callbacks add to the saving of an order is within the figures, plus the noise of savings without callbacks,
    which is what the machine is busy with otherwise; in a sentence.
    """
    with_callbacks, plain = ([ms for code in some for ms in saved.ms[code]] for some in (codes, without))
    lower, median, upper = statistics.quantiles(plain, n=4)
    added, worst = statistics.median(with_callbacks) - median, max(with_callbacks)
    assert added <= ADDED_MS + upper - lower
    assert worst <= WORST_MS + 3 * max(plain)
    return f"adds {added:.1f} ms to a save (p50), {worst:.0f} ms at worst"


def test_broker_restarted_again_and_again_loses_nothing(
    around: Surroundings, codes: list[str], report: Callable[..., None]
) -> None:
    shop, count = around.shops[0], size(200, 1000)
    shop.begin(first=around.next_number(count), count=count, codes=codes, changed_each=1, pause_ms=10)
    for _ in range(5):
        with around.broker.gone():
            pass
        came = len(around.receiver.requests)
        around.receiver.wait_for(min(came + 10, 2 * count), 10 + OUT_AFTER_S)
    assert not shop.report(within_s=120).failures
    took = around.wait_until_sent(OUT_AFTER_S)
    report("broker restarted 5 times", around.count(), f"all out {took:.1f} s after the last order")


def test_broker_flushed_again_and_again_loses_nothing(
    around: Surroundings, codes: list[str], report: Callable[..., None]
) -> None:
    shop, count = around.shops[0], size(100, 1000)
    shop.begin(first=around.next_number(count), count=count, codes=codes, changed_each=1, pause_ms=5)
    flushes = 0
    with around.broker.client() as client:
        for came in range(2, 2 * count, 10):
            around.receiver.wait_for(came, OUT_AFTER_S)
            client.flushall()
            flushes += 1
    assert not shop.report(within_s=120).failures
    took = around.wait_until_sent(OUT_AFTER_S)
    report(f"broker flushed {flushes} times", around.count(), f"all out {took:.1f} s after the last order")


def test_broker_full_with_a_message_under_way_does_not_end_the_worker(
    around: Surroundings, codes: list[str], report: Callable[..., None]
) -> None:
    """The worker writes down at the broker what it takes from it; that it cannot must not be its end."""
    worker = around.programs[-1]
    os.kill(worker.pid, signal.SIGSTOP)
    around.shops[0].do(first=around.next_number(1), count=1, codes=codes)  # its wake-up waits for the worker
    with around.broker.out_of_memory():
        os.kill(worker.pid, signal.SIGCONT)
        wait_until(lambda: worker.has_ended() or _has_complained(around), 10, around.log)
        began = time.monotonic()
        wait_until(lambda: worker.has_ended() or time.monotonic() - began > 2, 5)
        assert not worker.has_ended(), around.log()
    around.wait_until_sent(OUT_AFTER_S)
    report("broker out of memory with a message under way", around.count())


def _has_complained(around: Surroundings) -> bool:
    return "OutOfMemory" in around.log() or "OOM" in around.log()


REFUSALS: dict[str, Callable[[Broker], AbstractContextManager[None]]] = {
    "read-only": Broker.read_only,
    "without its replicas": lambda broker: broker.configured(**{"min-replicas-to-write": 1}),
    "with another password": lambda broker: broker.configured(requirepass="another"),
    "out of memory": Broker.out_of_memory,
    "loading": lambda broker: broker.refusing("LOADING Valkey is loading the dataset in memory"),
    "without a disk": lambda broker: broker.refusing("MISCONF Errors writing to the AOF file: No space left on device"),
    "moved": lambda broker: broker.refusing("MOVED 3999 127.0.0.1:1"),
    "speechless": lambda broker: broker.refusing("ERR unknown command"),
}
SHORT = ["read-only", "with another password", "loading"]
REFUSES_S = size(2, 20)


def test_broker_that_refuses_ends_nobody_and_is_said_once(around: Surroundings, codes: list[str]) -> None:
    beat, worker = around.programs
    refusals = [REFUSALS[name] for name in REFUSALS if IS_FULL or name in SHORT]
    for refusal in refusals:
        with refusal(around.broker):
            _let_pass(REFUSES_S)
        assert not worker.has_ended(), around.log()
        assert not beat.has_ended(), around.log()
        _let_pass(BACK_AFTER_S)
    around.shops[0].do(first=around.next_number(2), count=2, codes=codes)
    around.wait_until_sent(OUT_AFTER_S)
    around.count()
    for program in (beat, worker):
        # Each process asks again after some seconds, and then says that the broker is back.
        wait_until(
            lambda program=program: (
                (found := _broker_events(around, program)).count("broker_failed") == found.count("broker_back")
            ),
            OUT_AFTER_S,
        )
        events = _broker_events(around, program)
        processes = 1 + len(program.pool())
        assert set(events) == {"broker_failed", "broker_back"}
        assert len(refusals) <= events.count("broker_failed") <= processes * len(refusals)


def test_broker_gone_what_is_saved_meanwhile_goes_out_within_seconds(
    around: Surroundings, codes: list[str], report: Callable[..., None]
) -> None:
    with around.broker.gone():
        _let_pass(size(1, 60))
        around.shops[0].do(first=around.next_number(2), count=2, codes=codes)
        took = around.wait_until_sent(OUT_AFTER_S)
    counts = around.count()
    assert counts.duplicates == 0
    report("order saved while the broker is gone", counts, f"out after {took:.1f} s")


def _broker_events(around: Surroundings, program: Program) -> list[str]:
    log = (around.directory / f"{program.name}.log").read_text()
    return re.findall(r"broker_\w+|Traceback|Connection to", log)


def _let_pass(seconds: float) -> None:
    until = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > until, seconds + 5)
