"""How a process waits for a lock of the database: for how long, and on SQLite how often it looks whether it is free.

Between two looks SQLite itself sleeps longer and longer, up to a tenth of a second. Where many write a little each,
one that has waited twice is overtaken again and again, and orders were told of after a third of a second.

PostgreSQL is asked not to compile statements before it runs them: for a page's, that takes longer than they do.
"""

import sqlite3
import time
from collections.abc import Callable
from typing import Any

from django.db import OperationalError
from django.db.backends.signals import connection_created

LOOK_EVERY_S = 0.001

patience_s = 20.0


def begin() -> None:
    """From now on, for every connection of this process."""
    connection_created.connect(_prepare)


def be_brief(seconds: float) -> None:
    """Wait no longer than this, on PostgreSQL too: for a process that has other things to look after."""
    global patience_s, lock_timeout
    patience_s, lock_timeout = seconds, f"{seconds * 1000:.0f}ms"


lock_timeout = ""  # of PostgreSQL; its own if there is none


def _prepare(connection: Any, **_: Any) -> None:
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 0")
        if _insist not in connection.execute_wrappers:
            connection.execute_wrappers.append(_insist)
    else:
        with connection.cursor() as cursor:
            cursor.execute("SET jit = off")
            if lock_timeout:
                cursor.execute(f"SET lock_timeout = '{lock_timeout}'")


def _insist(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Execute, again and again while somebody else writes. A transaction waits at its beginning and not later."""
    give_up_at = None
    while True:
        try:
            return execute(sql, params, many, context)
        except OperationalError as error:
            now = time.monotonic()
            give_up_at = give_up_at or now + patience_s
            is_busy = getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or context["connection"].in_atomic_block or now >= give_up_at:
                raise
            time.sleep(LOOK_EVERY_S)
