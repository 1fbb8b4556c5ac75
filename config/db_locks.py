"""How a process waits for a lock of the database: for how long, and on SQLite how often it tries again.

SQLite's own waiting sleeps longer each time, up to a tenth of a second. Where many processes write a little each, one
that has waited twice is then overtaken again and again. So SQLite is told not to wait, and we try every millisecond.

A command or a script, such as an import, waits for as long as it takes: nobody waits for its answer. Web, worker and
beat set a limit, because somebody else, or a later attempt, does their work. Waiting long is one line of the log.

PostgreSQL is asked not to compile statements: for those of a page, compiling takes longer than running. And to notice
within ten seconds that we are gone: until then it keeps the locks of a transaction that nobody will end.
"""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import structlog
from django.db import OperationalError
from django.db.backends.signals import connection_created

log = structlog.get_logger(__name__)

RETRY_EVERY_S = 0.001
SQLITE_TIMEOUT_S = 3600.0  # of commands and scripts; one that holds a lock for longer is stuck
SERVER_TIMEOUT_S = 20.0  # of what answers somebody, or is to end in time
SAY_AFTER_S, SAY_EVERY_S = 5.0, 60.0
IDLE_TIMEOUT_S = 30.0

_deadline = ContextVar("deadline", default=float("inf"))  # of what is done now, on the clock of `time.monotonic()`
_timeout_s: float | None = None
_sqlite_timeout_s = SQLITE_TIMEOUT_S
_said_at = float("-inf")


def prepare_connections() -> None:
    """Prepare every connection that this process opens from now on."""
    connection_created.connect(_prepare)


def set_timeout(seconds: float | None) -> None:
    """Wait no longer than this for a lock. None is the timeout of commands on SQLite, and PostgreSQL's own setting.

    Who waits briefly is also not waited for: PostgreSQL ends a transaction of this process in which nothing was asked
    for half a minute, as when the process is stopped or its machine is paused, and others get its locks.
    PostgreSQL is told when a connection is opened, so connections that are open already keep what they have.
    """
    global _timeout_s, _sqlite_timeout_s
    _timeout_s, _sqlite_timeout_s = seconds, SQLITE_TIMEOUT_S if seconds is None else seconds


def limit_waiting() -> None:
    """For web and beat: on SQLite no longer than `SERVER_TIMEOUT_S`. PostgreSQL's own setting stays."""
    global _sqlite_timeout_s  # noqa: PLW0603 - as above
    _sqlite_timeout_s = SERVER_TIMEOUT_S


@contextlib.contextmanager
def waiting_at_most(seconds: float) -> Iterator[None]:
    """On SQLite, what is done meanwhile waits for no lock after so many seconds."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def _prepare(connection: Any, **_: Any) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA busy_timeout = 0")
            if _retry_while_locked not in connection.execute_wrappers:
                connection.execute_wrappers.append(_retry_while_locked)
        else:
            cursor.execute(
                "SET jit = off; SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; "
                "SET tcp_keepalives_count = 3; SET tcp_user_timeout = 10000"
            )
            if _timeout_s is not None:
                cursor.execute(
                    f"SET lock_timeout = '{_timeout_s * 1000:.0f}ms'; "
                    f"SET idle_in_transaction_session_timeout = '{IDLE_TIMEOUT_S * 1000:.0f}ms'"
                )


def _retry_while_locked(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Execute a statement, again and again while somebody else writes.

    Inside a transaction it is executed once: an IMMEDIATE transaction has waited for the lock when it began.
    """
    began_at = None
    while True:
        try:
            return execute(sql, params, many, context)
        except OperationalError as error:
            now = time.monotonic()
            began_at = began_at or now
            until = min(began_at + _sqlite_timeout_s, _deadline.get())
            is_busy = getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or context["connection"].in_atomic_block or now >= until:
                raise
            if now >= began_at + SAY_AFTER_S:
                _say(now, now - began_at)
            time.sleep(RETRY_EVERY_S)


def _say(now: float, waited_s: float) -> None:
    """One line for all threads of the process, and not one for each statement."""
    global _said_at  # noqa: PLW0603 - as above
    if now >= _said_at + SAY_EVERY_S:
        _said_at = now
        log.warning("database_locked", reason="Another process is writing. Waiting for it.", seconds=round(waited_s))
