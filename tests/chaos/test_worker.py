"""Workers that are killed, and one that is asked to end while an endpoint hangs."""

import signal
import time
from collections.abc import Callable

import pytest

from callbacks.models import Attempt
from tests.chaos.surroundings import IS_FULL, Program, Surroundings, size
from tests.receiver import Answer, Receiver
from tests.waiting import wait_until

DELIVERIES = size(1200, 10_000)
KILLS = size(3, 20)


@pytest.mark.parametrize("victim", ["worker", "pool"])
def test_worker_killed_again_and_again_loses_nothing(
    around: Surroundings, receiver: Receiver, report: Callable[..., None], victim: str
) -> None:
    receiver.answer("*", Answer(delay_s=0.02))
    around.place(DELIVERIES)
    around.beat()
    worker = around.worker()
    began = time.monotonic()
    for kill in range(KILLS):
        receiver.wait_for((kill + 1) * DELIVERIES // (KILLS + 2), 60)
        worker = _strike(around, worker, victim)
    around.wait_until_sent(120)
    tally = around.tally()
    assert tally.deliveries == DELIVERIES
    assert tally.in_flight  # or nothing was struck
    report(f"SIGKILL of the {victim}, {KILLS} times", tally, f"{time.monotonic() - began:.0f} s")


def _strike(around: Surroundings, worker: Program, victim: str) -> Program:
    if victim == "pool":
        worker.kill_pool(lambda: (around.note_fault(), around.expire_leases()))
        return worker
    worker.kill()
    around.note_fault()
    around.expire_leases()
    return around.worker()


HANGS = {"for 4 s": Answer(delay_s=4)} | ({"for ever": Answer(delay_s=600)} if IS_FULL else {})


@pytest.mark.parametrize("hang", HANGS)
def test_worker_asked_to_end_while_an_endpoint_hangs_ends_in_time_and_sends_nothing_twice(
    around: Surroundings, receiver: Receiver, report: Callable[..., None], hang: str
) -> None:
    good, bad = around.affiliates(2)
    receiver.answer(f"/{bad}", HANGS[hang])
    shop = around.shop()
    shop.do(first=around.next_number(400), count=400, codes=[good, bad], is_bulk=True)
    worker = around.worker()
    wait_until(lambda: _came(receiver, bad), 30)
    began = time.monotonic()
    worker.signal(signal.SIGTERM)
    worker.process.wait(timeout=20)
    took = time.monotonic() - began
    assert not around.claimed()
    asked = _came(receiver, bad)
    assert len(asked) == len(set(asked)) == Attempt.objects.filter(delivery__affiliate__code=bad).count()
    receiver.answer(f"/{bad}", Answer())
    around.make_due()
    around.worker()
    around.wait_until_sent(30)
    tally = around.tally(refused=asked if hang == "for ever" else ())
    report(f"SIGTERM while an endpoint hangs {hang}", tally, f"ended after {took:.1f} s")


def _came(receiver: Receiver, code: str) -> list[str | None]:
    return [request.header("webhook-id") for request in receiver.requests if request.path == f"/{code}"]
