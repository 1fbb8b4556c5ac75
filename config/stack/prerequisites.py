"""What a start needs: valid settings, a free port, a data directory, a database that is up to date, a broker.

Each function either provides it or raises `StackError`. The processes are started by `config.stack.supervisor`.
"""

import errno
import os
import socket
from collections.abc import Callable
from typing import IO

import redis
from django.conf import settings
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, connections

from config.checks import unapplied_migrations
from config.security import encryption
from config.stack import data_dir

LOCK_TIMEOUT_S = 5.0  # the Valkey of the last start may need so long to end


class StackError(Exception):
    """Why the stack could not be started, or did not stay up, in one sentence."""


def check_settings() -> None:
    for message in run_checks(tags=["postbacks"]):
        raise StackError(f"{message.msg} {message.hint}")


def open_port(host: str) -> socket.socket:
    """The socket that the web process will listen on, opened now so that nobody else takes the port meanwhile."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, settings.PORT, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=1024)
    except socket.gaierror as error:
        raise StackError(f"{host} is not an address of this machine ({error.strerror}). Choose another one.") from error
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        if error.errno == errno.EADDRNOTAVAIL:
            raise StackError(f"{host} is not an address of this machine ({reason}). Choose another one.") from error
        raise StackError(
            f"Port {settings.PORT} of {host} cannot be used ({reason}). Choose another one, "
            f"such as PORT={settings.PORT + 1 if settings.PORT < 65535 else 8000}."
        ) from error


def lock_data_dir() -> IO[str]:
    try:
        return data_dir.lock(settings.DATA_DIR, LOCK_TIMEOUT_S)
    except BlockingIOError:
        raise StackError(
            f"Already running with the data in {settings.DATA_DIR}. Choose another DATA_DIR to start a second one."
        ) from None
    except OSError as error:
        raise StackError(f"DATA_DIR cannot be used ({error.strerror}): {settings.DATA_DIR}") from error


def reach_database() -> None:
    try:
        connection.ensure_connection()
    except DatabaseError as error:
        raise StackError(f"The database cannot be reached: {_reason(error)}") from error


def migrate(say: Callable[[str], object]) -> None:
    try:
        if unapplied_migrations():
            say("Updating the database ...")
            call_command("migrate", interactive=False, verbosity=0)
        encryption.encrypt_plain()  # no process of an older release runs beside this one
    except CommandError as error:  # a lock that others hold; it says so
        raise StackError(str(error)) from error
    except DatabaseError as error:
        raise StackError(f"The database could not be updated: {_reason(error)}") from error
    finally:
        connections.close_all()


def _reason(error: Exception) -> str:
    """The first line of what the database said, without the password."""
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    password = str(settings.DATABASES["default"].get("PASSWORD") or "")
    return reason.replace(password, "***") if password else reason


def reach_broker(url: str) -> None:
    try:
        with redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5) as client:
            client.ping()
    except (redis.RedisError, OSError, ValueError) as error:
        raise StackError(f"The broker at REDIS_URL cannot be reached: {error}") from error
