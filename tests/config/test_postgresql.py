"""A PostgreSQL that says nothing is left within a second; one that is busy is waited for."""

import socket
import time
from collections.abc import Iterator

import psycopg
import pytest
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from config.postgresql import base


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[BaseDatabaseWrapper]:
    """A connection of a process that waits for no server that says nothing."""
    monkeypatch.setattr(base, "_is_watched", True)
    monkeypatch.setattr(base, "_away_until", float("-inf"))
    made = connections.create_connection(DEFAULT_DB_ALIAS)
    yield made
    made.close()


@pytest.mark.django_db
def test_statement_that_takes_long_is_waited_for(watched: BaseDatabaseWrapper, postgresql: bool) -> None:
    if postgresql:  # nothing on SQLite has a server
        with watched.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(1.5), 1")
            assert cursor.fetchone()[1] == 1


def test_server_that_says_nothing_is_asked_once_a_second(watched: BaseDatabaseWrapper) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = {"host": "127.0.0.1", "port": silent.getsockname()[1]}
        waited = [_refused_after(place) for _ in range(3)]
        assert base.KNOCK_S <= waited[0] < 1
        assert max(waited[1:]) < base.KNOCK_S / 2  # nobody waits who can know
        base._away_until -= base.AWAY_S
        assert _refused_after(place) >= base.KNOCK_S


def _refused_after(place: dict[str, object]) -> float:
    began = time.monotonic()
    with pytest.raises(psycopg.OperationalError, match="says nothing"):
        base._refuse_silence(place)
    return time.monotonic() - began


@pytest.mark.parametrize("host", ["127.0.0.1", "/nothing", "a.example,b.example", ""])
def test_server_that_is_not_there_is_left_to_libpq(watched: BaseDatabaseWrapper, host: str) -> None:
    base._refuse_silence({"host": host, "port": 1})


@pytest.mark.django_db(transaction=True)
def test_connection_that_the_server_has_ended_is_noticed_without_asking(
    postgresql: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not postgresql:
        return
    mine, other = (connections.create_connection(DEFAULT_DB_ALIAS) for _ in range(2))
    try:
        mine.ensure_connection()
        key = mine.connection.info.backend_pid
        with monkeypatch.context() as patch:
            patch.setattr(base.base.DatabaseWrapper, "is_usable", lambda _: pytest.fail("The server was asked."))
            assert mine.is_usable()
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [key])
        assert not mine.is_usable()
    finally:
        mine.close()
        other.close()


@pytest.mark.django_db(transaction=True)
def test_connection_that_was_lost_while_it_was_asked_is_not_usable(postgresql: bool) -> None:
    if not postgresql:
        return
    mine = connections.create_connection(DEFAULT_DB_ALIAS)
    try:
        with pytest.raises(OperationalError), mine.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        assert not mine.is_usable()
        mine.close_if_unusable_or_obsolete()
        assert mine.connection is None
        assert not mine.is_usable()
        with mine.cursor() as cursor:
            cursor.execute("SELECT 1")
        mine.connection.pgconn.finish()  # as after a server that said nothing
        assert not mine.is_usable()
    finally:
        mine.close()
