"""Django's backend for PostgreSQL. Where it is watched, who waits for a server that froze is told so within a second.

The kernel of a machine whose PostgreSQL is frozen goes on acknowledging what it is sent, so no setting of TCP ends the
wait, and a timeout of the server's own does not either. A statement that waits for a lock or takes long is another
thing. So who has heard nothing for a while knocks: a server that is there answers that before anybody logs in.
"""

import contextlib
import select
import socket
import time
from collections.abc import Generator, Iterator, Mapping
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus

SILENT_S = 0.3  # how long a statement waits until it knocks; later it waits longer each time
KNOCK_S = 0.3  # two ways to the server and back
AWAY_S = 1.0  # after nobody answered: for so long nobody else tries
SSL_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"  # PostgreSQL's manual, "Message Formats"

_is_watched = False
_away_until = float("-inf")


def watch() -> None:
    """For the web process: wait for no server that says nothing. Others wait for as long as it takes."""
    global _is_watched  # noqa: PLW0603 - one for the process
    _is_watched = True


class DatabaseWrapper(base.DatabaseWrapper):
    def is_usable(self) -> bool:
        """As Django, which asks the server once in each request; but only if the server has sent something unasked.

        A server that has ended, or ended the connection, has: that it did so. One that froze would not answer this
        either.
        """
        if self.connection is None or self.connection.pgconn.transaction_status != TransactionStatus.IDLE:
            return super().is_usable()
        poll = select.poll()
        poll.register(self.connection.pgconn.socket, select.POLLIN)
        return not poll.poll(0) or super().is_usable()

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        if not _is_watched:
            return super().get_new_connection(conn_params)
        _refuse_silence(conn_params)
        made = super().get_new_connection(conn_params)
        wait, info = made.wait, made.info
        made.wait = lambda gen, *args, **kwargs: wait(_impatient(gen, made, info), *args, **kwargs)
        return made


def _impatient(
    waiting: Generator[Any, Any, Any], connection: Any, info: psycopg.ConnectionInfo
) -> Generator[Any, Any, Any]:
    """What psycopg waits with, which also hears that nothing came: it is sent 0 ten times a second."""
    silent_since, patience = time.monotonic(), SILENT_S
    try:
        wanted = next(waiting)
        while True:
            ready = yield wanted
            now = time.monotonic()
            if ready:
                silent_since, patience = now, SILENT_S
            elif now >= silent_since + patience:
                patience = now - silent_since + patience
                try:
                    _refuse_silence({"host": info.hostaddr or info.host, "port": info.port})
                except psycopg.OperationalError:
                    connection.pgconn.finish()
                    raise
            wanted = waiting.send(ready)
    except StopIteration as end:
        return end.value


def _refuse_silence(place: Mapping[str, Any]) -> None:
    """Raise `OperationalError` if a server says nothing. One that is not there at all, connecting tells better."""
    global _away_until  # noqa: PLW0603 - as above
    if time.monotonic() >= _away_until and _is_silent(place):
        _away_until = time.monotonic() + AWAY_S
    if time.monotonic() < _away_until:
        raise psycopg.OperationalError("The server says nothing.")


def _is_silent(place: Mapping[str, Any]) -> bool:
    host, port = str(place.get("hostaddr") or place.get("host") or ""), place.get("port") or 5432
    if not host or "," in host:  # libpq's own choice
        return False
    try:
        with _door(host, int(port)) as server:
            server.sendall(SSL_REQUEST)
            server.recv(1)
    except TimeoutError:
        return True
    except OSError:
        return False
    return False


@contextlib.contextmanager
def _door(host: str, port: int) -> Iterator[socket.socket]:
    if not host.startswith("/"):
        with socket.create_connection((host, port), KNOCK_S) as server:
            yield server
        return
    with socket.socket(socket.AF_UNIX) as server:
        server.settimeout(KNOCK_S)
        server.connect(f"{host}/.s.PGSQL.{port}")
        yield server
