"""PostgreSQL that goes away, hangs up or lets nobody in."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

from callbacks.models import Attempt
from orders.intake import received
from orders.models import Message, Order
from tests.chaos import databases
from tests.chaos.asking import ask, ask_often, questions
from tests.chaos.surroundings import Surroundings, size
from tests.postgresql import Cluster
from tests.receiver import Answer, Receiver
from tests.waiting import wait_until

DELIVERIES = size(400, 4000)
LOCK_S = size(3, 30)
RESTARTS = size(2, 10)
MOST, SAVING_S = 10_000, size(3, 20)
WAYS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}  # of pg_ctl stop


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A cluster that may be ended: the other tests have another."""
    running = Cluster(durable=True)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def new_chaos_database(cluster: Cluster, django_db_blocker: DjangoDbBlocker) -> Callable[[], str]:
    """Makes a new database in that cluster; its URL."""
    with django_db_blocker.unblock():
        return databases.of_cluster(cluster.url)


@pytest.mark.parametrize("how", [pytest.param("fast", marks=pytest.mark.full), "immediate"])
def test_postgresql_restarted_loses_nothing_that_was_saved(
    around: Surroundings, cluster: Cluster, receiver: Receiver, report: Callable[..., None], how: str
) -> None:
    receiver.answer("*", Answer(delay_s=0.02))
    codes = around.place(DELIVERIES)
    around.beat()
    around.worker()
    shop, placed = around.shop(), Order.objects.count()
    shop.begin(first=around.next_number(MOST), count=MOST, codes=codes, changed_each=1, pause_ms=10, seconds=SAVING_S)
    wait_until(lambda: Order.objects.count() > placed, 30)  # so it is saving when the server goes
    for restart in range(RESTARTS):
        receiver.wait_for((restart + 1) * DELIVERIES // (RESTARTS + 2), 60)
        cluster.end(WAYS[how])
        cluster.start()
    connection.close()  # the test's own, which ended with the others
    live = shop.report(within_s=120)
    around.wait_until_sent(60)
    counts = around.count()
    assert counts.deliveries >= DELIVERIES + len(live.saved)  # more if the answer to a commit was lost
    refused = f"{len(live.failures)} savings refused"
    report(f"PostgreSQL restarted ({how}), {RESTARTS} times", counts, refused)


def test_postgresql_backends_terminated_again_and_again_lose_nothing(
    around: Surroundings, cluster: Cluster, receiver: Receiver, report: Callable[..., None]
) -> None:
    receiver.answer("*", Answer(delay_s=0.02))
    around.place(DELIVERIES)
    around.beat()
    around.worker()
    times = size(5, 50)
    connection.close()  # the test's own would end with the others
    with psycopg.connect(cluster.url, autocommit=True) as administrator:
        for time_ in range(times):
            receiver.wait_for((time_ + 1) * DELIVERIES // (times + 2), 60)
            administrator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
    around.wait_until_sent(60)
    report(f"PostgreSQL's backends terminated, {times} times", around.count())


def test_outbox_locked_makes_nobody_send_anything_twice(
    around: Surroundings, cluster: Cluster, receiver: Receiver, report: Callable[..., None]
) -> None:
    receiver.answer("*", Answer(delay_s=0.1))
    codes = around.place(DELIVERIES)
    around.beat()
    around.worker()
    shop = around.shop()
    receiver.wait_for(DELIVERIES // 4, 60)
    url = around.env["DATABASE_URL"]
    released = threading.Event()
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE callbacks_delivery IN ACCESS EXCLUSIVE MODE")
        claimed = other.execute("SELECT count(*) FROM callbacks_delivery WHERE status = 'sending'").fetchone()
        assert claimed
        assert claimed[0]  # something is on the wire
        shop.begin(first=around.next_number(5), count=5, codes=codes)  # waits, and is not refused
        released.wait(LOCK_S)
        other.rollback()
    began = time.monotonic()
    assert not shop.report(within_s=60).failures
    around.wait_until_sent(60)
    took = time.monotonic() - began
    counts = around.count()
    assert Attempt.objects.count() == counts.deliveries  # nothing seemed to have timed out meanwhile
    report(f"outbox locked for {LOCK_S} s", counts, f"all out {took:.1f} s after it")
    assert took < 20


@pytest.mark.full
def test_worker_asked_to_end_while_postgresql_is_away_ends_in_time(
    around: Surroundings, cluster: Cluster, receiver: Receiver, report: Callable[..., None]
) -> None:
    """What was answered cannot be recorded, and is sent again: it was in flight when the database went."""
    receiver.answer("*", Answer(delay_s=0.5))
    around.place(100)
    worker = around.worker()
    receiver.wait_for(4, 30)
    cluster.end(signal.SIGQUIT)
    began = time.monotonic()
    worker.signal(signal.SIGTERM)
    worker.process.wait(timeout=25)
    took = time.monotonic() - began
    cluster.start()
    connection.close()
    around.note_deaths()
    around.expire_leases()
    around.beat()
    around.worker()
    around.wait_until_sent(60)
    report("SIGTERM while PostgreSQL is away", around.count(), f"ended after {took:.1f} s")
    assert took < 20


@pytest.mark.full
def test_worker_told_to_end_while_the_database_says_nothing_ends_in_time(
    around: Surroundings, receiver: Receiver
) -> None:
    receiver.answer("*", Answer(delay_s=0.5))
    around.place(2000, changed_each=0)
    worker = around.worker()
    receiver.wait_for(100, 30)
    others = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with connection.cursor() as cursor:
        cursor.execute(others)
        silent = [pid for (pid,) in cursor.fetchall()]
    assert silent
    for pid in silent:
        os.kill(pid, signal.SIGSTOP)
    try:
        worker.signal(signal.SIGTERM)
        worker.process.wait(timeout=15)
    finally:
        for pid in silent:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("how", ["frozen", "ended"])
def test_programs_are_told_within_a_second_that_postgresql_is_away_and_their_repetition_lands(
    around: Surroundings, cluster: Cluster, report: Callable[..., None], how: str
) -> None:
    port, (order, message) = around.web().port, questions(around.token())
    assert ask(port, *order)[0] == 201
    assert set(ask_often(port, *order)[0]) == {200}  # each thread has a connection now
    connection.close()
    _ = cluster.freeze() if how == "frozen" else cluster.end(signal.SIGQUIT)
    try:
        worst = 0.0
        for asked in (order, message, order):  # with connections that were open, and without
            statuses, seconds = ask_often(port, *asked)
            assert set(statuses) == {503}
            worst = max(worst, seconds)
    finally:
        _ = cluster.thaw() if how == "frozen" else cluster.start()
    wait_until(lambda: ask(port, *order)[0] == 200, 20)
    assert ask(port, *message)[0] == 200
    # A web process that was asked so often just before may only have stored it; then a worker applies it.
    wait_until(lambda: received.run() or Message.objects.get().outcome == "created", 20)
    report(f"PostgreSQL {how}: 503", None, f"after {worst:.2f} s at worst")
    assert worst < 1.5  # a second, and what other tests on the machine may add
    assert set(Order.objects.values_list("number", flat=True)) == {"#1", "#2"}
