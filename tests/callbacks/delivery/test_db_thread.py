"""The database's thread: one task at a time, and another try when the database was unavailable."""

import contextlib
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
import structlog
from django.db import InterfaceError, InternalError, OperationalError, ProgrammingError

from callbacks.delivery import db_thread
from callbacks.delivery.db_thread import DatabaseThread

TIMEOUT_S = 5.0


@pytest.fixture
def make() -> Iterator[Callable[..., DatabaseThread]]:
    with contextlib.ExitStack() as stack:
        yield lambda *given: stack.enter_context(contextlib.closing(DatabaseThread(*given)))


@pytest.fixture
def ours(make: Callable[..., DatabaseThread]) -> DatabaseThread:
    return make()


def done(ours: DatabaseThread, task: Callable[[], Any]) -> list[Any]:
    """What was called when `task` was done: `on_success` with its result, or `on_failure`."""
    called: list[Any] = []
    ours.submit(task, called.append, lambda: called.append("failed"))
    assert ours.is_busy
    assert not ours.is_free
    ours.collect(TIMEOUT_S)
    return called


def failing(error: Exception) -> Callable[[], None]:
    def task() -> None:
        raise error

    return task


def test_task_runs_in_another_thread_and_its_result_is_handed_over_in_ours(ours: DatabaseThread) -> None:
    threads = []
    ours.submit(threading.get_ident, lambda ident: threads.extend([ident, threading.get_ident()]), list)
    ours.collect(TIMEOUT_S)
    there, here = threads
    assert here == threading.get_ident() != there
    assert ours.is_free


def test_tasks_run_in_one_thread(ours: DatabaseThread) -> None:
    assert done(ours, threading.get_ident) == done(ours, threading.get_ident)


def test_database_that_is_away_for_long_is_one_line_of_the_log(make: Callable[..., DatabaseThread]) -> None:
    ours = make(0.0)
    with structlog.testing.capture_logs() as lines:
        for _ in range(3):
            assert done(ours, failing(OperationalError("away"))) == ["failed"]
        assert done(ours, lambda: 1) == [1]
        done(ours, failing(OperationalError("away again")))
    assert [line["event"] for line in lines] == ["database_unavailable"] * 2


def test_collect_task_that_is_not_done_does_not_wait(ours: DatabaseThread) -> None:
    over, called = threading.Event(), []
    ours.submit(lambda: over.wait(TIMEOUT_S), called.append, list)
    began = time.monotonic()
    ours.collect(0)
    assert time.monotonic() - began < 1
    assert ours.is_busy
    assert called == []
    over.set()
    ours.collect(TIMEOUT_S)
    assert called == [True]


def read_only() -> InternalError:
    """As after a failover, when the connection leads to a standby."""
    error = InternalError("cannot execute UPDATE in a read-only transaction")
    error.__cause__ = psycopg.errors.ReadOnlySqlTransaction()
    return error


@pytest.mark.parametrize(
    "error", [OperationalError("server closed"), InterfaceError("connection already closed"), read_only()]
)
def test_database_that_is_unavailable_is_tried_again_after_a_while(
    make: Callable[..., DatabaseThread], error: Exception
) -> None:
    ours = make(0.2)
    began = time.monotonic()
    assert done(ours, failing(error)) == ["failed"]
    assert ours.is_unavailable
    assert not ours.is_free
    while not ours.is_free:
        assert time.monotonic() - began < TIMEOUT_S
        time.sleep(0.01)
    assert time.monotonic() - began >= 0.2
    assert done(ours, lambda: "written") == ["written"]
    assert not ours.is_unavailable


@pytest.mark.parametrize("error", [ZeroDivisionError("ours"), ProgrammingError("no such column")])
def test_collect_other_error_is_raised_after_on_failure(ours: DatabaseThread, error: Exception) -> None:
    called: list[str] = []
    ours.submit(failing(error), called.append, lambda: called.append("failed"))
    with pytest.raises(type(error)):
        ours.collect(TIMEOUT_S)
    assert called == ["failed"]
    assert ours.is_free


def test_task_that_is_done_ends_a_wait_for_something_else(ours: DatabaseThread) -> None:
    ours.submit(list, list, list)
    assert select.select([ours.done], [], [], TIMEOUT_S)[0]
    ours.collect(0)
    assert not ours.is_busy
    assert not ours.done.clear()


# --- a database that says nothing ---------------------------------------------------
HANGING = """
import threading, django
django.setup()
from callbacks.delivery.db_thread import DatabaseThread
DatabaseThread().submit(threading.Event().wait)
print("ends")
"""


def test_task_that_never_ends_keeps_no_process_from_ending() -> None:
    done = subprocess.run([sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "ends\n"


def test_task_that_never_ends_is_not_waited_for_when_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db_thread, "CLOSE_S", 0.1)
    ours, over = DatabaseThread(), threading.Event()
    ours.submit(over.wait)
    began = time.monotonic()
    ours.close()
    assert time.monotonic() - began < TIMEOUT_S
    over.set()
