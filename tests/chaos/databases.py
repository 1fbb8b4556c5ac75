"""New databases with all tables: one is migrated, the others are its copies."""

import shutil
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import psycopg
from django.core.management import call_command

from tests.chaos.surroundings import connected


def of_sqlite(directory: Path) -> Callable[[], str]:
    """Makes a new database there; its URL."""
    template = directory / "template.sqlite3"
    _migrate(f"sqlite:///{template}")

    def make() -> str:
        return f"sqlite:///{shutil.copy(template, directory / f'{uuid4().hex}.sqlite3')}"

    return make


def of_cluster(url: str) -> Callable[[], str]:
    """Makes a new database in the cluster that has this maintenance database; its URL."""

    def create(name: str, template: str) -> str:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return url.replace("/postgres?", f"/{name}?")

    template = f"chaos_{uuid4().hex}"
    _migrate(create(template, "template1"))
    return lambda: create(f"chaos_{uuid4().hex}", template)


def _migrate(url: str) -> None:
    with connected(url):
        call_command("migrate", interactive=False, verbosity=0)
