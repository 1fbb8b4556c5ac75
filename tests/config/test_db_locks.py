"""SQLite's lock: many who write a little each are neither refused nor kept waiting for long."""

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest
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


@pytest.mark.usefixtures("short_timeout")
def test_write_gives_up_when_the_lock_is_held_too_long(other: BaseDatabaseWrapper) -> None:
    affiliate = AffiliateFactory()
    release, began = held_for(other, 1.0), time.monotonic()
    with pytest.raises(OperationalError, match="lock"):
        Affiliate.objects.filter(pk=affiliate.pk).update(name="Joe")
    assert 0.05 < time.monotonic() - began < 0.9
    release.join()


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
