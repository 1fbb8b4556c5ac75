"""New databases with all tables: one is migrated, the others are its copies."""

import shutil
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from django.core.management import call_command

from tests.chaos.surroundings import connected
from tests.postgresql import create_database


def of_sqlite(directory: Path) -> Callable[[], str]:
    """Makes a new database there; its URL."""
    template = directory / "template.sqlite3"
    _migrate(f"sqlite:///{template}")

    def make() -> str:
        return f"sqlite:///{shutil.copy(template, directory / f'{uuid4().hex}.sqlite3')}"

    return make


def of_cluster(url: str) -> Callable[[], str]:
    """Makes a new database in the cluster that has this maintenance database; its URL."""
    template = f"chaos_{uuid4().hex}"
    _migrate(create_database(url, template))
    return lambda: create_database(url, f"chaos_{uuid4().hex}", template)


def _migrate(url: str) -> None:
    with connected(url):
        call_command("migrate", interactive=False, verbosity=0)
