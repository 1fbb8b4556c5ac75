"""`manage.py backup FILE`: a copy of the database that is whole, while everything goes on running.

SQLite writes it itself (`VACUUM INTO`): a copy of the file alone lacks what is still in the write-ahead log. For
PostgreSQL `pg_dump` is called. How to restore it is in docs/operations.md.
"""

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.db.backends.sqlite3._functions import register  # type: ignore[import-untyped]  # no stubs for this
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo

ALSO_KEEP = "Store SECRET_KEY as well, in another place: without it the signing secrets in this file cannot be read."


class Command(BaseCommand):
    help = "Write a backup of the database into a new file, while the installation is running."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help="a new file")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        unfinished = file.with_name(f"{file.name}.unfinished")
        if os.path.lexists(file):
            raise CommandError(f"{file} already exists and is not overwritten.")
        try:
            os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600))
            unfinished.chmod(0o600)
            _copy_sqlite(unfinished) if connection.vendor == "sqlite" else _dump_postgresql(unfinished)
            _write_out(unfinished)
            os.link(unfinished, file)  # which writes over nothing
        except FileExistsError:
            raise CommandError(f"{file} already exists and is not overwritten.") from None
        except (OSError, sqlite3.Error) as error:
            raise CommandError(f"{file} could not be written: {error}") from error
        finally:
            unfinished.unlink(missing_ok=True)
        self.stdout.write(f"{file}: {file.stat().st_size / (1 << 20):,.1f} MiB, checked. {ALSO_KEEP}")


def _copy_sqlite(target: Path) -> None:
    """The state of one moment. Nobody waits for it, and it waits for nobody."""
    with closing(_opened(f"{Path(connection.settings_dict['NAME']).absolute().as_uri()}?mode=ro")) as source:
        source.execute("VACUUM INTO ?", [str(target)])
    with closing(_opened(target.absolute().as_uri())) as copy:
        found = copy.execute("PRAGMA integrity_check").fetchone()[0]
    if found != "ok":
        raise CommandError(f"The copy is damaged; the database may be damaged too: {found}")


def _opened(uri: str) -> sqlite3.Connection:
    """With Django's functions, which constraints of the tables call."""
    opened = sqlite3.connect(uri, uri=True)
    register(opened)
    return opened


def _dump_postgresql(target: Path) -> None:
    """In pg_dump's own format, which is compressed. It is checked by reading its table of contents."""
    program, restore = shutil.which("pg_dump"), shutil.which("pg_restore")
    if program is None or restore is None:
        raise CommandError(
            "pg_dump is not installed on this machine (Debian: package postgresql-client). On a machine that has it, "
            f"run: pg_dump --format=custom --file={target.name.removesuffix('.unfinished')} DATABASE_URL"
        )
    parameters = connection.get_connection_params()
    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    # What stands in a command line can be read by everybody on the machine.
    environment = {**os.environ}
    if password := parameters.pop("password", None):
        environment["PGPASSWORD"] = str(password)
    where = make_conninfo(**{name: value for name, value in parameters.items() if name in known})
    _run(
        [program, "--format=custom", "--no-owner", "--no-password", f"--file={target}", "--dbname", where], environment
    )
    _run([restore, "--list", str(target)], environment)


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandError(f"{Path(command[0]).name} failed: {done.stderr.strip()[-1000:]}")


def _write_out(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
