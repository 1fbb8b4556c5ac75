"""Workers that are killed, and one that is asked to end while an endpoint hangs."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from callbacks.delivery import queue
from callbacks.models import Attempt
from tests.chaos.broker import Broker
from tests.chaos.surroundings import Program, Surroundings, size
from tests.receiver import Answer, Receiver
from tests.waiting import wait_until

DELIVERIES = size(800, 10_000)
KILLS = size(2, 20)


@pytest.mark.parametrize("victim", ["worker", pytest.param("pool", marks=pytest.mark.full)])
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
    counts = around.count()
    assert counts.deliveries == DELIVERIES
    assert counts.in_flight  # or nothing was struck
    report(f"SIGKILL of the {victim}, {KILLS} times", counts, f"{time.monotonic() - began:.0f} s")


def _strike(around: Surroundings, worker: Program, victim: str) -> Program:
    if victim == "pool":
        worker.kill_pool(lambda: (around.note_deaths(), around.expire_leases()))
        return worker
    worker.kill()
    around.note_deaths()
    around.expire_leases()
    return around.worker()


HANGS = {"for 4 s": Answer(delay_s=4), "for ever": Answer(delay_s=600)}


@pytest.mark.parametrize("hang", ["for 4 s", pytest.param("for ever", marks=pytest.mark.full)])
def test_worker_asked_to_end_while_an_endpoint_hangs_ends_in_time_and_sends_nothing_twice(
    around: Surroundings, receiver: Receiver, report: Callable[..., None], hang: str
) -> None:
    good, bad = around.affiliates(2)
    receiver.answer(f"/{bad}", HANGS[hang])
    around.place(400, [good, bad], changed_each=0)
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
    counts = around.count(refused=asked if hang == "for ever" else ())
    report(f"SIGTERM while an endpoint hangs {hang}", counts, f"ended after {took:.1f} s")


def test_worker_whose_processes_are_all_told_to_end_gives_back_what_it_holds(
    around: Surroundings, receiver: Receiver, report: Callable[..., None]
) -> None:
    """As systemd tells them by default, and a terminal."""
    receiver.answer("*", Answer(delay_s=1))
    around.place(DELIVERIES, changed_each=0)
    worker = around.worker()
    receiver.wait_for(100, 30)
    began = time.monotonic()
    os.killpg(worker.pid, signal.SIGTERM)
    worker.process.wait(timeout=15)
    took = time.monotonic() - began
    assert not around.claimed()
    assert len(receiver.requests) == Attempt.objects.count() < DELIVERIES
    receiver.answer("*", Answer())
    around.worker()
    around.wait_until_sent(30)
    counts = around.count()
    assert (counts.deliveries, counts.duplicates) == (DELIVERIES, 0)
    report("SIGTERM to the worker's whole process group", counts, f"ended after {took:.1f} s")


@pytest.mark.parametrize("refusal", [Broker.read_only, pytest.param(Broker.gone, marks=pytest.mark.full)])
def test_worker_without_a_broker_told_to_end_ends(
    around: Surroundings, receiver: Receiver, refusal: Callable[[Broker], AbstractContextManager[None]]
) -> None:
    worker = around.worker()
    around.place(5)
    around.wait_until_sent(30)
    with refusal(around.broker):
        wait_until(lambda: "broker_failed" in around.log(), 10)
        worker.signal(signal.SIGTERM)
        worker.process.wait(timeout=15)


def _came(receiver: Receiver, code: str) -> list[str | None]:
    return [request.header("webhook-id") for request in receiver.requests if request.path == f"/{code}"]


@pytest.mark.full
def test_worker_killed_has_its_deliveries_sent_while_all_others_are_busy(
    around: Surroundings, receiver: Receiver, report: Callable[..., None]
) -> None:
    """A dispatcher that always has something to send must not keep the sweep from running."""
    busy, quick = around.affiliates(2)
    around.place(40, [quick], changed_each=0)
    dying = around.worker(concurrency=1, **around.dying("claimed, not sent"))
    wait_until(lambda: around.has_died, 30, around.log)
    dying.kill()
    dead = around.note_deaths().identity
    receiver.answer(f"/{busy}", Answer(delay_s=1))
    around.beat()
    around.worker()
    shop = around.shop()
    shop.begin(first=around.next_number(10_000), count=10_000, codes=[busy], pause_ms=20)
    receiver.wait_for(100, 60)
    with around.broker.client() as client:
        client.delete("postbacks:heartbeat")
        around.expire_leases(dead)
        wait_until(lambda: len(_came(receiver, quick)) == 40, 15, around.log)
        wait_until(lambda: client.exists("postbacks:heartbeat"), 15, around.log)
    assert around.claimed()  # they are still busy
    shop.process.kill()
    around.wait_until_sent(60)
    report("SIGKILL of a worker while all others are busy", around.count())


@pytest.mark.full
def test_worker_killed_has_its_deliveries_sent_by_another_after_a_minute(
    around: Surroundings, receiver: Receiver, report: Callable[..., None]
) -> None:
    """What the other tests do not wait for."""
    receiver.answer("*", Answer(delay_s=0.2))
    around.place(2000)
    around.beat()
    worker = around.worker()
    receiver.wait_for(200, 30)
    worker.kill()
    began = time.monotonic()
    fault = around.note_deaths()
    assert fault.identity
    around.worker()
    around.wait_until_sent(120)
    took = time.monotonic() - began
    counts = around.count()
    assert took < queue.LEASE.total_seconds() + 10
    report("SIGKILL of the worker, really waiting for its leases", counts, f"all out after {took:.0f} s")
