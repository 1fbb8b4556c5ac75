"""The pump's clerk: one job at a time in a thread of its own, and patience with a database that is away."""

import select
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError

from callbacks.delivery import db_thread
from callbacks.delivery.db_thread import DatabaseThread

PATIENCE_S = 5.0


@pytest.fixture
def ours() -> Iterator[DatabaseThread]:
    ours = DatabaseThread()
    yield ours
    ours.close()


def done(ours: DatabaseThread, job: Callable[[], Any]) -> list[Any]:
    """What was called when `job` was over: `then` with its result, or `otherwise`."""
    heard: list[Any] = []
    ours.do(job, heard.append, lambda: heard.append("otherwise"))
    assert ours.is_busy
    assert not ours.is_free
    ours.collect(PATIENCE_S)
    return heard


def failing(error: Exception) -> Callable[[], None]:
    def job() -> None:
        raise error

    return job


def test_job_is_done_in_another_thread_and_its_result_handed_over_in_ours(ours: DatabaseThread) -> None:
    threads = []
    ours.do(threading.get_ident, lambda ident: threads.extend([ident, threading.get_ident()]), list)
    ours.collect(PATIENCE_S)
    there, here = threads
    assert here == threading.get_ident() != there
    assert ours.is_free


def test_jobs_are_done_in_one_thread(ours: DatabaseThread) -> None:
    assert done(ours, threading.get_ident) == done(ours, threading.get_ident)


def test_job_that_takes_its_time_is_not_waited_for(ours: DatabaseThread) -> None:
    over, heard = threading.Event(), []
    ours.do(lambda: over.wait(PATIENCE_S), heard.append, list)
    began = time.monotonic()
    ours.collect(0)
    assert time.monotonic() - began < 1
    assert ours.is_busy
    assert heard == []
    over.set()
    ours.collect(PATIENCE_S)
    assert heard == [True]


@pytest.mark.parametrize("error", [OperationalError("server closed"), InterfaceError("connection already closed")])
def test_database_that_is_away_is_asked_again_after_a_while(
    ours: DatabaseThread, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db_thread, "AGAIN_S", 0.2)
    began = time.monotonic()
    assert done(ours, failing(error)) == ["otherwise"]
    assert ours.is_away
    assert not ours.is_free
    while not ours.is_free:
        assert time.monotonic() - began < PATIENCE_S
        time.sleep(0.01)
    assert time.monotonic() - began >= 0.2
    assert done(ours, lambda: "written") == ["written"]
    assert not ours.is_away


def test_error_of_our_own_is_raised_after_what_was_kept_is_back(ours: DatabaseThread) -> None:
    heard: list[str] = []
    ours.do(failing(ZeroDivisionError("ours")), heard.append, lambda: heard.append("otherwise"))
    with pytest.raises(ZeroDivisionError):
        ours.collect(PATIENCE_S)
    assert heard == ["otherwise"]
    assert ours.is_free


def test_job_that_is_over_wakes_who_waits_beside_something_else(ours: DatabaseThread) -> None:
    ours.do(list, list, list)
    assert select.select([ours.done], [], [], PATIENCE_S)[0]
    ours.collect(0)
    assert not ours.is_busy
    assert not ours.done.hear()
