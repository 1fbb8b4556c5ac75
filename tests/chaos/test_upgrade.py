"""The step from the release before to this one, while orders come in; on PostgreSQL, which several hosts share."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self
from uuid import uuid4

import psycopg
import pytest
from django.contrib.contenttypes.models import ContentType
from django.core import management
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from callbacks.models import Attempt, Delivery
from tests.bench import old_deliveries
from tests.chaos import previous_release
from tests.chaos.offering import Offering, tracebacks
from tests.chaos.processes import ROOT
from tests.chaos.surroundings import QUERY, Surroundings, size
from tests.conftest import CLUSTER_URL
from tests.postgresql import create_database
from tests.receiver import Answer, Receiver

CODES = ["joe", "ann", "bob", "eve"]
BESIDE_S = size(2, 60)
ROWS = size(20_000, 1_000_000)
READER_S = size(4, 12)
WORST_S = 2.0


@pytest.fixture
def new_chaos_database(django_db_blocker: DjangoDbBlocker) -> Callable[[], str]:
    """Makes a new database without any table; its URL."""
    return lambda: create_database(os.environ[CLUSTER_URL], f"upgrade_{uuid4().hex}")


def test_previous_release_works_on_beside_this_one(
    around: Surroundings, receiver: Receiver, report: Callable[..., None], tmp_path: Path
) -> None:
    receiver.answer("*", Answer(delay_s=0.02))
    old = previous_release.unpack(tmp_path)
    previous_release.run(old, around.env, "migrate", "--verbosity=0")
    url = receiver.url("/CODE") + QUERY
    token = previous_release.run(old, around.env, json.dumps(CODES), url, module=previous_release.FILL).strip()
    old_processes = [around.beat(old), around.worker(release=old, concurrency=1), around.web(release=old)]
    for process in old_processes:
        assert Path(f"/proc/{process.pid}/cwd").resolve() == old  # or it would be ours in part
    with Offering([old_processes[-1].port], token, CODES, first=1) as offering:
        offering.wait_for_more(10)
        said = previous_release.run(ROOT, around.env, "migrate")
        assert ("OK" in said) == previous_release.is_known()
        new_web = around.web()
        around.worker(concurrency=1)
        offering.ports.append(new_web.port)
        threading.Event().wait(BESIDE_S)
        offering.wait_for_more(20)
        beside = len(offering.offered.accepted)
        around.beat()
        offering.leave(old_processes[-1].port)
        for process in old_processes:
            process.stop(20)
        offering.wait_for_more(20)
    assert offering.offered.events == offering.offered.accepted, offering.offered.bite
    around.wait_until_sent(30)
    assert not tracebacks(path.read_text() for path in around.directory.glob("*.log")), around.log()
    counts = around.count(offered=offering.offered)
    assert counts.duplicates == 0
    other = "previous release" if previous_release.is_known() else "this release (no history here)"
    report(f"{other} beside this one for {BESIDE_S} s", counts, f"{beside} accepted until the old ones ended")


def test_partitions_of_the_document_take_attempts_and_let_a_month_go(around: Surroundings) -> None:
    """docs/growth.md, word for word."""
    management.call_command("migrate", verbosity=0)
    code = around.affiliates(1)[0]
    around.place(1, [code], changed_each=0)
    delivery = Delivery.objects.get()
    january = datetime(2027, 1, 15, tzinfo=UTC)
    for moment in (january - timedelta(days=60), january - timedelta(days=50)):
        Attempt.objects.create(delivery=delivery, trigger="initial", method="GET", created_at=moment)
    sql = (ROOT / "docs/growth.md").read_text("utf-8").partition("```sql\n")[2].partition("```")[0]
    with connection.cursor() as cursor:
        cursor.execute(sql)
        old, new = (
            Attempt.objects.count(),
            Attempt.objects.create(delivery=delivery, trigger="retry", method="GET", created_at=january),
        )
        assert (old, delivery.attempts.count()) == (2, 3)
        cursor.execute("SELECT tableoid::regclass::text FROM callbacks_attempt WHERE id = %s", [new.pk])
        assert cursor.fetchone() == ("callbacks_attempt_2027_01",)
        cursor.execute("DROP TABLE callbacks_attempt_before")
    assert list(delivery.attempts.all()) == [new]
    migrating = around.program(
        "migrate", ["tests.chaos.tampered", "manage", "migrate"], CHAOS_MIGRATIONS="tests.chaos.next_release"
    )
    assert migrating.process.wait(timeout=60) == 0, around.log()
    delivery.delete()
    assert not Attempt.objects.exists()


# --- migrations ----------------------------------------------------------------------
@pytest.mark.parametrize("how", ["manage", pytest.param("plain-migrate", marks=pytest.mark.full)])
def test_migrations_behind_a_long_reader_keep_no_write_waiting(
    around: Surroundings, report: Callable[..., None], how: str
) -> None:
    """Those since the release before, and one as ARCHITECTURE.md wants it. Django's own keeps them waiting."""
    _fill(ROWS)
    arguments = ["migrate"] if how == "manage" else []
    url = around.env["DATABASE_URL"]
    with _reader(url), _Writer(url) as writer:
        began = time.monotonic()
        migrating = around.program(
            "migrate", ["tests.chaos.tampered", how, *arguments], CHAOS_MIGRATIONS="tests.chaos.next_release"
        )
        migrating.process.wait(timeout=600)
        took = time.monotonic() - began
        assert migrating.process.returncode == 0, around.log()
    assert took > READER_S / 2, "It has not waited for the reader."
    worst = f"a write waited {writer.worst_s:.2f} s at worst; {took:.0f} s; {writer.count:,} writes"
    report(f"{how} behind a reader of {READER_S} s, {ROWS:,} rows", None, worst)
    assert (writer.worst_s <= WORST_S) == (how == "manage")
    assert not writer.refused
    assert ("Waiting for a lock" in around.log()) == (how == "manage")


def _fill(rows: int) -> None:
    """The tables of the release before, with so many deliveries and attempts, and an order."""
    ContentType.objects.clear_cache()
    executor = MigrationExecutor(connection)
    ours = dict(previous_release.DATABASE)
    targets = [leaf for leaf in executor.loader.graph.leaf_nodes() if leaf[0] not in ours] + previous_release.DATABASE
    executor.migrate(targets)
    old = executor.loader.project_state(targets).apps
    order, delivery, attempt = (
        old.get_model(*name.split(".")) for name in ("orders.Order", "callbacks.Delivery", "callbacks.Attempt")
    )
    affiliate = old.get_model("affiliates", "Affiliate").objects.create(
        name="Joe", email="joe@x.example", code="joe", commission_rate="0.15"
    )
    only = order.objects.create(number="#1", affiliate=affiliate, amount=58, commission=8, currency="USD")
    first = delivery.objects.create(affiliate=affiliate, order=only, event="order.created", status="succeeded")
    attempt.objects.create(delivery=first, trigger="initial", method="GET", status_code=200, created_at=timezone.now())
    have = 1
    with connection.cursor() as cursor:
        while have < rows:
            more = min(have, rows - have)
            last = first.pk + have
            fresh = {"id": f"id + {have}", "event_id": "gen_random_uuid()"}
            cursor.execute(old_deliveries.copied(delivery, fresh, f"WHERE id < {first.pk + more}"))
            moved = {"delivery_id": f"delivery_id + {have}"}
            where = f"WHERE delivery_id < {first.pk + more}"
            cursor.execute(old_deliveries.copied(attempt, moved, where, but=("id",)))
            have += more
        assert last
        cursor.execute(f"SELECT setval(pg_get_serial_sequence('callbacks_delivery', 'id'), {first.pk + have})")
        cursor.execute("ANALYZE")


@contextmanager
def _reader(url: str) -> Iterator[None]:
    """Somebody who has read the tables and keeps the transaction open, as a backup or a report does."""
    with psycopg.connect(url) as reading:
        for table in ("callbacks_delivery", "callbacks_attempt", "orders_order"):
            reading.execute(f"SELECT count(*) FROM {table}")
        ending = threading.Timer(READER_S, reading.rollback)
        ending.start()
        try:
            yield
        finally:
            ending.join()


class _Writer:
    """Writes a row of each table again and again, and notes how long the longest took."""

    WRITES = (
        "UPDATE callbacks_delivery SET last_error_kind = '' WHERE id = (SELECT max(id) FROM callbacks_delivery)",
        "UPDATE callbacks_attempt SET detail = '' WHERE id = (SELECT max(id) FROM callbacks_attempt)",
        "UPDATE orders_order SET amount = amount + 1 WHERE id = (SELECT max(id) FROM orders_order)",
    )

    def __init__(self, url: str) -> None:
        self._url = url
        self.worst_s, self.count, self.refused = 0.0, 0, 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(60)

    def _run(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as writing:
            while not self._stopping.wait(0.01):
                for statement in self.WRITES:
                    began = time.monotonic()
                    try:
                        writing.execute(statement)
                    except psycopg.Error:
                        self.refused += 1
                    self.count += 1
                    self.worst_s = max(self.worst_s, time.monotonic() - began)
