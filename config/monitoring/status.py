"""How the installation is, as `/status`, `/metrics`, the overview and the alarms tell it.

What of it is wrong is said by `troubles`. Whether a web process may take traffic is less than that: `database_trouble`
and `migrations_trouble`, which `/readyz` asks.
"""

import sqlite3
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import redis
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import Max
from django.utils import timezone

from callbacks.delivery import circuit_breaker, queue, wakeup
from callbacks.egress.proxy import proxy_from
from config.checks import unapplied_migrations
from config.models import Process
from config.monitoring.background import disk_free
from config.security import encryption

ALIVE_FOR = timedelta(seconds=20)  # each process says every five seconds that it is alive
PROBE_BYTES = 64 * 1024

_are_migrations_applied = False


@dataclass(frozen=True, slots=True)
class Status:
    """The installation at one moment. Raises what the database raises; the broker is asked for a fifth of a second."""

    at: datetime
    workers: int
    beats: int
    webs: int
    worker_seen_at: datetime | None  # the last of them, also if it is gone
    beat_seen_at: datetime | None
    is_broker_there: bool
    oldest_due_at: datetime | None  # of what could be sent now; None if nothing is due
    disk_free: float | None  # share of the fullest disk, of all machines; None if that cannot be said
    database: str = ""  # what is wrong with it, in a sentence; and so with the next two
    migrations: str = ""
    proxy: str = ""
    unreadable_secrets: int = 0


def status() -> Status:
    now = timezone.now()
    processes = list(Process.objects.filter(seen_at__gte=now - ALIVE_FOR).values_list("kind", "disk_free"))
    alive = [kind for kind, _ in processes]
    free = [share for share in (disk_free(), *(share for _, share in processes)) if share is not None]
    last = dict(Process.objects.values_list("kind").annotate(Max("seen_at")))
    return Status(
        at=now,
        workers=alive.count(Process.Kind.WORKER),
        beats=alive.count(Process.Kind.BEAT),
        webs=alive.count(Process.Kind.WEB),
        worker_seen_at=last.get(Process.Kind.WORKER),
        beat_seen_at=last.get(Process.Kind.BEAT),
        is_broker_there=is_broker_there(),
        oldest_due_at=queue.oldest_due_at(circuit_breaker.held(circuit_breaker.troubled())),
        disk_free=min(free, default=None),
        database=database_trouble(),
        migrations=migrations_trouble(),
        proxy=proxy_trouble(),
        unreadable_secrets=encryption.count_unreadable(),
    )


def is_broker_there() -> bool:
    """Whether the broker takes what is written, which one that is read-only or full does not."""
    try:
        return wakeup.can_write()
    except (redis.RedisError, OSError):
        return False


def proxy_trouble() -> str:
    """Why the proxy cannot be used as it is configured; "" if it can, or if there is none."""
    try:
        proxy_from(settings.CALLBACKS_PROXY_URL)
    except ValueError as error:  # its text repeats nothing of the URL
        return str(error)
    return ""


# --- may it take traffic? ------------------------------------------------------
def database_trouble(database: Any = connection) -> str:
    """Why nothing can be saved at present, in a sentence; "" if it can.

    A full disk of PostgreSQL's own is not seen here: saves are refused then, with 503.
    """
    try:
        with database.cursor() as cursor:
            if database.vendor == "sqlite":
                cursor.execute("SELECT 1")
            else:  # so is a standby, and what a failover left behind
                cursor.execute("SHOW transaction_read_only")
                if cursor.fetchone() == ("on",):
                    return "The database is read-only."
    except (DatabaseError, InterfaceError):
        return "The database does not answer."
    return _file_trouble(Path(database.settings_dict["NAME"])) if database.vendor == "sqlite" else ""


def _file_trouble(path: Path) -> str:
    """Whether the file and its directory can be written, without waiting for another writer."""
    try:
        file = sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=0, isolation_level=None)
        try:
            file.execute("BEGIN IMMEDIATE")
            file.execute("ROLLBACK")
        finally:
            file.close()
    except sqlite3.Error as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:  # somebody else writes
            return "The database file cannot be written."
    try:
        with tempfile.TemporaryFile(dir=path.parent, buffering=0) as probe:
            is_written = probe.write(bytes(PROBE_BYTES)) == PROBE_BYTES
    except OSError:
        is_written = False
    return "" if is_written else "The disk of the database is full or read-only."


def migrations_trouble(database: Any = connection) -> str:
    """Whether the tables are those of this release. Once they are it is not asked again."""
    global _are_migrations_applied  # noqa: PLW0603 - one database for the whole process
    if _are_migrations_applied:
        return ""
    try:
        missing = len(unapplied_migrations(database))
    except (DatabaseError, InterfaceError):
        return "Unknown, because the database does not answer."
    _are_migrations_applied = not missing
    return f"Missing migrations of this release: {missing}. Run `manage.py migrate`." if missing else ""
