"""`manage.py migrate`: Django's, which on PostgreSQL does not make everybody wait behind it.

Who alters a table waits for all who read it, and all others wait behind that. So nothing is waited for longer than half
a second: the migration is taken back, the others go on, and it is tried again. What a migration may do is in
`config.migration_operations` and ARCHITECTURE.md.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, connections

LOCK_TIMEOUT_S = 0.5  # less than deadlock_timeout, which is 1 s: this gives way, and no writer is refused
PAUSE_S = 1.0
TRIES = 120  # about three minutes
GAVE_WAY = {"55P03", "40P01"}  # lock_not_available, deadlock_detected
MIGRATING = 7_105_551_204  # the number of an advisory lock
LONGEST = """
    SELECT format('process %s of %s (%s), since %s', pid, usename, coalesce(nullif(application_name, ''), 'no name'),
        to_char(xact_start, 'HH24:MI:SS'))
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
    ORDER BY xact_start LIMIT 1
"""


class Command(migrate.Command):
    verbosity_wanted = 1

    def handle(self, *args: Any, **options: Any) -> None:
        self.verbosity_wanted = options["verbosity"]
        connection = connections[options["database"]]
        if connection.vendor != "postgresql":
            super().handle(*args, **options)
            return
        with _brief_lock_timeout(connection):
            for _ in range(TRIES):
                if not _lock(connection):
                    self._wait("Waiting for another migrate to finish ...")
                    continue
                try:
                    super().handle(*args, **options)
                except OperationalError as error:
                    if getattr(error.__cause__, "sqlstate", "") not in GAVE_WAY:
                        raise
                else:
                    return
                finally:
                    _unlock(connection)
                options["verbosity"] = 0  # what it is going to do has been said
                self._wait(" Waiting for a lock ...")  # behind Django's "Applying ..."
            holder = _asked(connection, LONGEST)
        raise CommandError(
            f"The migration was not completed: after {TRIES} tries another process still holds a lock. "
            f"The longest transaction: {holder or 'none'}. End it or wait for it, then run migrate again. "
            "It continues where it stopped."
        )

    def migration_progress_callback(self, *args: Any, **kwargs: Any) -> None:
        self.verbosity = self.verbosity_wanted
        super().migration_progress_callback(*args, **kwargs)

    def _wait(self, line: str) -> None:
        self.stdout.write(line if self.verbosity_wanted else line.strip())
        self.stdout.flush()
        time.sleep(PAUSE_S)


@contextmanager
def _brief_lock_timeout(connection: Any) -> Iterator[None]:
    before = _asked(connection, "SELECT current_setting('lock_timeout')")
    _asked(connection, f"SELECT set_config('lock_timeout', '{LOCK_TIMEOUT_S * 1000:.0f}ms', false)")
    try:
        yield
    finally:
        if connection.is_usable():
            _asked(connection, f"SELECT set_config('lock_timeout', '{before}', false)")


def _lock(connection: Any) -> bool:
    """Several hosts may start at once, each with a `serve --migrate`. To be asked for, not waited for: an index that is
    built concurrently would wait for the one who waits.
    """
    return bool(_asked(connection, f"SELECT pg_try_advisory_lock({MIGRATING})"))


def _unlock(connection: Any) -> None:
    if connection.is_usable():  # if not, it is gone with the connection
        _asked(connection, f"SELECT pg_advisory_unlock({MIGRATING})")


def _asked(connection: Any, sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        row = cursor.fetchone()
    return row and row[0]
