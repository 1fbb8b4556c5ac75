"""Faults while a shop offers orders by HTTP: what was offered, accepted, received how often, never, or silently marked
done. A full disk is in `test_disk`.
"""

import contextlib
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import redis
from django.db import connection
from pytest_django import DjangoDbBlocker

from callbacks.delivery import queue
from tests.chaos import databases
from tests.chaos.conftest import IS_POSTGRESQL
from tests.chaos.judging import Strike, judge
from tests.chaos.offering import Offering
from tests.chaos.surroundings import Surroundings, size
from tests.postgresql import Cluster
from tests.receiver import Answer, Receiver
from tests.waiting import wait_until

OUTAGE_S = size(2, 20)
STOPPED_S = size(2, 90)
QUICK, SLOW = Answer(delay_s=0.02), Answer(delay_s=0.5)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster | None]:
    """A cluster that may be ended: the other tests have another."""
    running = Cluster(durable=True) if IS_POSTGRESQL else None
    yield running
    if running:
        running.stop()


@pytest.fixture(scope="module")
def new_chaos_database(
    cluster: Cluster | None, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Callable[[], str]:
    """Makes a new database in that cluster; its URL."""
    with django_db_blocker.unblock():
        return databases.of_cluster(cluster.url) if cluster else databases.of_sqlite(tmp_path_factory.mktemp("faults"))


# --- the faults ------------------------------------------------------------------
def broker_stopped(around: Surroundings, offering: Offering) -> int:
    refused = 0
    with around.broker.gone():
        until = time.monotonic() + OUTAGE_S
        while time.monotonic() < until:
            with around.broker.client() as client:
                try:
                    client.ping()
                except redis.RedisError:
                    refused += 1
            _pause(0.1)
    return refused


def worker_stopped(around: Surroundings, offering: Offering) -> int:
    """Another worker goes on with what it held once its leases have ended; then it wakes up."""
    stopped = next(program for program in around.programs if program.name == "worker")
    around.receiver.answer("*", SLOW)  # it holds something
    wait_until(around.claimed, 20)
    stopped.pause()
    try:
        _pause(0.5)  # what it had sent has been read
        # Leases that do not end by themselves are a surprise for it: it sends what it holds and had not sent yet.
        is_early = STOPPED_S < queue.LEASE.total_seconds()
        fault = around.note_fault(around.claimed(), time.time() + (600 if is_early else 0))
        around.worker()
        if is_early:
            around.expire_leases(fault.identity)
        _pause(STOPPED_S)
    finally:
        stopped.resume()
    around.receiver.answer("*", QUICK)
    return len(fault.identity)


def web_killed(around: Surroundings, offering: Offering) -> int:
    for _ in range(size(2, 20)):
        web = next(program for program in around.programs[::-1] if program.name == "web")
        wait_until(lambda: offering.asking.total() >= 2, 20)
        web.kill()
        around.web(web.port)
        offering.wait_for_more(5)
    return 0


def clock_jumped(around: Surroundings, offering: Offering) -> int:
    """An hour forward, for web, worker and beat at once, and right again. All leases seem to have ended."""
    around.receiver.answer("*", SLOW)
    wait_until(around.claimed, 20)
    held = around.claimed("pending", "sending")
    around.set_clock(3600)
    held |= around.claimed("pending", "sending")
    around.note_fault(held, time.time() + 1)
    _pause(OUTAGE_S)
    around.set_clock(0)
    around.receiver.answer("*", QUICK)
    return len(held)


FAULTS: dict[str, Strike] = {
    f"broker stopped {OUTAGE_S} s": broker_stopped,
    f"worker stopped {STOPPED_S} s": worker_stopped,
    "web killed in the middle of requests": web_killed,
    f"clock an hour wrong for {OUTAGE_S} s": clock_jumped,
}
SHORT = {worker_stopped, web_killed}  # what no other test shows in short


@pytest.mark.parametrize(
    "name", [name if strike in SHORT else pytest.param(name, marks=pytest.mark.full) for name, strike in FAULTS.items()]
)
def test_fault_loses_nothing_that_was_accepted(
    around: Surroundings, offering: Offering, report: Callable[..., None], name: str
) -> None:
    judge(around, offering, report, name, FAULTS[name])


def test_database_stopped_loses_nothing_that_was_accepted(
    around: Surroundings, offering: Offering, report: Callable[..., None], cluster: Cluster | None
) -> None:
    def strike(around: Surroundings, offering: Offering) -> int:
        if cluster:
            cluster.end(signal.SIGQUIT)
            _pause(OUTAGE_S)
            cluster.start()
            connection.close()  # the test's own, which ended with the others
            return 0
        file = around.env["DATABASE_URL"].removeprefix("sqlite:///")
        with contextlib.closing(sqlite3.connect(file, isolation_level=None, timeout=20)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            _pause(OUTAGE_S)
            writer.execute("ROLLBACK")
        return 0

    judge(around, offering, report, f"database {'stopped' if cluster else 'locked'} {OUTAGE_S} s", strike)


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


# --- the detectors -----------------------------------------------------------------
def test_counts_are_red_when_a_safety_is_taken_out(
    around: Surroundings, receiver: Receiver, report: Callable[..., None]
) -> None:
    """Orders that are accepted and not recorded, marked done and not sent, sent and claimed again."""
    receiver.answer("*", Answer(delay_s=1.0))
    codes, token = around.affiliates(4), around.token()
    around.beat()
    around.worker(concurrency=1, CHAOS_WITHOUT="sending")
    around.worker(concurrency=1, CHAOS_WITHOUT="leases")
    web = around.web(CHAOS_WITHOUT="recording")
    with Offering([web.port], token, codes, around.next_number(1), changed_each=1000) as offering:
        wait_until(lambda: _is_red(around, offering), 30, around.log)
    receiver.answer("*", QUICK)
    around.wait_until_sent(30)
    counts = around.tally(offering.offered)
    assert counts.never
    assert counts.silently_done
    assert counts.without_reason
    with pytest.raises(AssertionError, match="never received"):
        around.count(offered=offering.offered)
    report("three safeties taken out", counts, f"red: {counts.without_reason} came again without a reason")


def _is_red(around: Surroundings, offering: Offering) -> bool:
    counts = around.tally(offering.offered)
    return bool(counts.silently_done and counts.without_reason and len(offering.offered.accepted) > 20)
