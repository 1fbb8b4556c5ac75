"""SQLite's lock: many who write a little each are neither refused nor kept waiting for long."""

import contextlib
import math
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest
import structlog
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from affiliates.models import Affiliate
from config import db_locks
from tests.factories import AffiliateFactory
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def other(postgresql: bool) -> Iterator[BaseDatabaseWrapper]:
    """A second connection to the same database."""
    made = connections.create_connection(DEFAULT_DB_ALIAS)
    yield made
    made.close()


LOCK = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "BEGIN; LOCK TABLE affiliates_affiliate IN EXCLUSIVE MODE"}


def held_for(other: BaseDatabaseWrapper, seconds: float) -> threading.Timer:
    """The lock, in another's hand; it lets go after a while."""
    with other.cursor() as cursor:
        cursor.execute(LOCK[other.vendor])
    other.inc_thread_sharing()
    release = threading.Timer(seconds, lambda: other.cursor().execute("ROLLBACK"))
    release.start()
    return release


def test_new_connection_neither_sleeps_at_a_lock_nor_compiles_statements(other: BaseDatabaseWrapper) -> None:
    question, answer = {"sqlite": ("PRAGMA busy_timeout", 0), "postgresql": ("SHOW jit", "off")}[other.vendor]
    with other.cursor() as cursor:
        assert cursor.execute(question).fetchone() == (answer,)


@pytest.mark.parametrize("is_in_transaction", [False, True])
def test_write_waits_for_the_lock_and_goes_on_at_once_when_it_is_free(
    other: BaseDatabaseWrapper, is_in_transaction: bool
) -> None:
    affiliate = AffiliateFactory()
    release, began = held_for(other, 0.5), time.monotonic()
    if is_in_transaction:
        with transaction.atomic():
            Affiliate.objects.filter(pk=affiliate.pk).update(name="Joe")
    else:
        Affiliate.objects.filter(pk=affiliate.pk).update(name="Joe")
    took = time.monotonic() - began
    release.join()
    assert 0.4 < took < 2
    affiliate.refresh_from_db()
    assert affiliate.name == "Joe"


@pytest.fixture
def short_timeout() -> Iterator[None]:
    db_locks.set_timeout(0.1)
    connections.close_all()
    yield
    db_locks.set_timeout(None)
    connections.close_all()


@pytest.fixture
def server_timeout(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(db_locks, "SERVER_TIMEOUT_S", 0.1)
    db_locks.limit_waiting()
    yield
    db_locks.set_timeout(None)


@pytest.mark.usefixtures("server_timeout")
def test_server_gives_up_before_an_import_would(other: BaseDatabaseWrapper, postgresql: bool) -> None:
    release = held_for(other, 0.5)
    with nullcontext() if postgresql else pytest.raises(OperationalError, match="lock"):
        AffiliateFactory()
    release.join()


@pytest.mark.usefixtures("short_timeout")
def test_write_gives_up_when_the_lock_is_held_too_long(other: BaseDatabaseWrapper) -> None:
    affiliate = AffiliateFactory()
    release, began = held_for(other, 1.0), time.monotonic()
    with pytest.raises(OperationalError, match="lock"):
        Affiliate.objects.filter(pk=affiliate.pk).update(name="Joe")
    assert 0.05 < time.monotonic() - began < 0.9
    release.join()


def test_long_wait_of_an_import_is_one_line_for_all_its_threads(
    other: BaseDatabaseWrapper, postgresql: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db_locks, "SAY_AFTER_S", 0.2)
    monkeypatch.setattr(db_locks, "_said_at", -math.inf)
    affiliate = AffiliateFactory()
    release = held_for(other, 1.0)

    def write() -> None:
        try:
            Affiliate.objects.filter(pk=affiliate.pk).update(name="Joe")
        finally:
            connections.close_all()

    with structlog.testing.capture_logs() as lines, ThreadPoolExecutor() as pool:
        for done in [pool.submit(write) for _ in range(2)]:
            done.result()
    release.join()
    assert [line["event"] for line in lines] == ([] if postgresql else ["database_locked"])
    affiliate.refresh_from_db()
    assert affiliate.name == "Joe"


@pytest.mark.usefixtures("short_timeout")
def test_lock_of_a_worker_that_is_stopped_in_a_transaction_is_given_to_others(
    monkeypatch: pytest.MonkeyPatch, postgresql: bool
) -> None:
    if not postgresql:  # nobody writes beside a transaction on SQLite, and there is one machine
        return
    monkeypatch.setattr(db_locks, "IDLE_TIMEOUT_S", 0.3)
    affiliate, stopped = AffiliateFactory(), connections.create_connection(DEFAULT_DB_ALIAS)
    with stopped.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT 1 FROM affiliates_affiliate WHERE id = %s FOR UPDATE", [affiliate.pk])
    with pytest.raises(OperationalError, match="lock"):
        Affiliate.objects.filter(pk=affiliate.pk).update(name="Joe")
    wait_until(lambda: _is_updated(affiliate), 5)
    stopped.close()


def _is_updated(affiliate: Affiliate) -> bool:
    with contextlib.suppress(OperationalError):
        Affiliate.objects.filter(pk=affiliate.pk).update(name="Joe")
        return True
    return False


def test_other_errors_are_not_tried_again(other: BaseDatabaseWrapper) -> None:
    calls = 0

    def failing(*_: object) -> None:
        nonlocal calls
        calls += 1
        raise OperationalError("disk I/O error")

    with pytest.raises(OperationalError, match="disk"):
        db_locks._retry_while_locked(failing, "SELECT 1", (), False, {"connection": other})
    assert calls == 1
