"""SQLite with several writers, a long reader and a long writer: "database is locked" reaches nobody."""

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing

from callbacks.models import Attempt
from tests.chaos.asking import ask
from tests.chaos.surroundings import Surroundings, size
from tests.receiver import Answer, Receiver

WRITERS = 4
ORDERS = size(30, 500)
DELIVERIES = size(400, 4000)
LOCK_S = size(5, 30)  # longer than a worker waits


def file_of(around: Surroundings) -> str:
    return around.env["DATABASE_URL"].removeprefix("sqlite:///")


def test_four_writers_and_a_long_reader_are_never_told_that_it_is_locked(
    around: Surroundings, receiver: Receiver, report: Callable[..., None]
) -> None:
    codes = around.affiliates(WRITERS)
    around.beat()
    around.worker()
    with closing(sqlite3.connect(file_of(around), isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM callbacks_delivery").fetchone() == (0,)
        shops = [around.shop() for _ in range(WRITERS)]
        for shop in shops:
            shop.begin(first=around.next_number(ORDERS), count=ORDERS, codes=codes, changed_each=1)
        reports = [shop.report(within_s=300) for shop in shops]
        around.wait_until_sent(120)
        assert reader.execute("SELECT count(*) FROM callbacks_delivery").fetchone() == (0,)  # it reads on
    assert [written.failures for written in reports] == [[]] * WRITERS
    assert "locked" not in around.log()
    counts = around.count()
    assert (counts.deliveries, counts.duplicates) == (2 * WRITERS * ORDERS, 0)
    worst = max(ms for written in reports for some in written.ms.values() for ms in some)
    report("SQLite: four writers, a long reader", counts, f"a saving took {worst:.0f} ms at worst")


def test_database_locked_makes_nobody_send_anything_twice(
    around: Surroundings, receiver: Receiver, report: Callable[..., None]
) -> None:
    receiver.answer("*", Answer(delay_s=0.1))
    codes = around.place(DELIVERIES)
    around.beat()
    around.worker()
    shop = around.shop()
    receiver.wait_for(DELIVERIES // 4, 60)
    released = threading.Event()
    with closing(sqlite3.connect(file_of(around), isolation_level=None, timeout=20)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        shop.begin(first=around.next_number(5), count=5, codes=codes)  # waits, and is not refused
        released.wait(LOCK_S)
        writer.execute("ROLLBACK")
    began = time.monotonic()
    assert not shop.report(within_s=60).failures
    around.wait_until_sent(60)
    took = time.monotonic() - began
    assert "Traceback" not in around.log()
    assert around.log().count("event=database_unavailable") <= 2  # one line for each process of the worker
    counts = around.count()
    assert Attempt.objects.count() == counts.deliveries + counts.duplicates
    report(f"database locked for {LOCK_S} s", counts, f"all out {took:.1f} s after it")
    assert took < 20


def test_programs_are_told_within_a_second_that_sqlite_is_locked_and_their_repetition_lands(
    around: Surroundings, report: Callable[..., None]
) -> None:
    port, headers = around.web().port, {"Authorization": f"Bearer {around.token()}"}
    order = ("/api/orders", '{"number": "#1", "amount": "1"}', headers)
    with closing(sqlite3.connect(file_of(around), isolation_level=None, timeout=20)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        status, seconds = ask(port, *order)
        writer.execute("ROLLBACK")
    report("SQLite locked: 503", None, f"after {seconds:.2f} s")
    assert status == 503
    assert seconds < 1
    assert ask(port, *order)[0] == 201
