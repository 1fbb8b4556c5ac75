"""Starts, watches and stops all that an installation needs on one machine: Valkey, worker, beat and web, as children.

What stands in the way of a start is one sentence (`StackError`). What is made in a new database is `config.stack.first_start`.
"""

import fcntl
import http.client
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from typing import IO

import redis
from django.conf import settings
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import DatabaseError, connection, connections
from django.db.migrations.executor import MigrationExecutor

from callbacks.delivery import wakeup
from config.stack.child import Child
from config.stack.valkey import Valkey, ValkeyError

READY_S = 120.0
LOCK_S = 5.0  # how long the last start's Valkey may take to end
WATCH_S = 0.1
# How long each child may take to end, in the order in which they are asked. The worker finishes what is on the wire.
PATIENCE_S = {"web": 5.0, "beat": 5.0, "worker": 15.0}
HURRY_S = 1.0  # a second signal that comes sooner is the same one, sent to a whole group of processes


class StackError(Exception):
    """Why the stack could not be started, or did not stay up, in one sentence."""


class Stack:
    def __init__(self, *, is_demo: bool, say: Callable[[str], object]) -> None:
        self.is_demo = is_demo
        self.say = say
        self.address = f"http://127.0.0.1:{settings.PORT}/"
        self.env: dict[str, str] = {}
        self.children: dict[str, Child] = {}
        self.watched: list[Child] = []
        self.stopped_at: float | None = None
        self.is_hurried = False

    def run(self, on_ready: Callable[["Stack"], None]) -> None:
        """Start everything, call `on_ready`, and return once everything has ended because a signal asked for it.

        Raises `StackError` if something stands in the way, or if a child ends by itself.
        """
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        with ExitStack() as ending:
            _check_environment()
            listener = ending.enter_context(_open_port())
            lock = ending.enter_context(_lock())
            _reach_database()
            self._start_broker(ending, lock)
            _migrate(self.say)
            self._set_environment()
            ending.callback(self._stop_children)
            began_at = datetime.now(UTC)
            self.say("Starting worker, beat and web ...")
            self._start_children(listener)
            if self._wait_until_ready(began_at):
                on_ready(self)
                self._watch()

    def _on_signal(self, number: int, frame: object) -> None:
        now = time.monotonic()
        if self.stopped_at is None:
            self.stopped_at = now
        elif now - self.stopped_at > HURRY_S:
            self.is_hurried = True

    # --- start ---------------------------------------------------------------
    def _start_broker(self, ending: ExitStack, lock: IO[str]) -> None:
        url = os.environ.get("REDIS_URL", "")
        if not url:
            try:
                # It holds the lock too, so that a next start waits for its end even if this process is killed.
                valkey = Valkey(settings.DATA_DIR, pass_fds=[lock.fileno()])
            except (ValkeyError, OSError) as error:
                raise StackError(str(error)) from error
            ending.callback(valkey.stop)
            self.watched.append(valkey.child)
            url = valkey.url
        settings.REDIS_URL = settings.CELERY_BROKER_URL = url  # this process looks for the worker's heartbeat there
        _reach_broker(url)

    def _set_environment(self) -> None:
        self.env = os.environ | {
            "DATA_DIR": str(settings.DATA_DIR),
            "PORT": str(settings.PORT),
            "REDIS_URL": settings.REDIS_URL,
            "DEMO": "1" if self.is_demo else "",
            "LOG_LEVEL": os.environ.get("LOG_LEVEL") or "WARNING",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(settings.BASE_DIR), os.environ.get("PYTHONPATH", "")])),
            "PYTHONUNBUFFERED": "1",
        }
        if self.is_demo:
            ports = sorted({*settings.CALLBACKS_ALLOWED_PORTS, settings.PORT})
            self.env["CALLBACKS_ALLOWED_PORTS"] = ",".join(map(str, ports))
            if not settings.CALLBACKS_ALLOWED_NETWORKS:
                self.env["CALLBACKS_ALLOWED_NETWORKS"] = "127.0.0.1/32,::1/128"

    def _start_children(self, listener: socket.socket) -> None:
        level = self.env["LOG_LEVEL"].lower()
        # On somebody's own machine that it runs as root, say in a container, is no news.
        celery = [
            sys.executable,
            "-W",
            "ignore:You're running the worker with superuser",
            "-m",
            "celery",
            "--quiet",
            "--skip-checks",
        ]
        celery += ["-A", "config"]
        # It is the only worker: looking for others at the start would take a second.
        alone = ["--without-mingle", "--without-gossip"]
        schedule = str(settings.DATA_DIR / "beat-schedule")
        self._start("worker", *celery, "worker", "--pool=prefork", "--concurrency=2", *alone, f"--loglevel={level}")
        self._start("beat", *celery, "beat", f"--schedule={schedule}", "--pidfile=", f"--loglevel={level}")
        self._start("web", *gunicorn(f"fd://{listener.fileno()}", workers=1), pass_fds=[listener.fileno()])

    def _start(self, name: str, *command: str, pass_fds: Sequence[int] = ()) -> None:
        child = self.children[name] = Child(name, command, self.env, pass_fds=pass_fds)
        self.watched.append(child)

    # --- watch ---------------------------------------------------------------
    def _wait_until_ready(self, began_at: datetime) -> bool:
        """Whether the web answers and a worker has taken a task; False if a signal came first."""
        deadline = time.monotonic() + READY_S
        while self._is_wanted():
            if _is_worker_there(began_at) and _is_web_there():
                return True
            if time.monotonic() > deadline:
                raise StackError(f"It was not ready within {READY_S:.0f} seconds; what was printed above may say why.")
            time.sleep(0.02)
        return False

    def _watch(self) -> None:
        while self._is_wanted():
            time.sleep(WATCH_S)

    def _is_wanted(self) -> bool:
        """False once a signal asked for the end. Raises `StackError` if a child has ended by itself."""
        if self.stopped_at is not None:
            return False
        for child in self.watched:
            if child.has_ended():
                raise StackError(f"The {child.name} process {child.ending}, so everything else was ended too.")
        return True

    # --- stop ----------------------------------------------------------------
    def _stop_children(self) -> None:
        for name, patience_s in PATIENCE_S.items():
            if child := self.children.get(name):
                child.stop(patience_s, lambda: self.is_hurried)


def gunicorn(bind: str, *, workers: int) -> list[str]:
    """The command that serves the site at `bind`."""
    threads = ["--worker-class=gthread", "--threads=8"]
    # A long callback URL that arrives at the echo receiver is one request line.
    limits = ["--limit-request-line=8190", "--timeout=30", "--graceful-timeout=5", "--no-control-socket"]
    return [
        *(sys.executable, "-m", "gunicorn", "config.wsgi", f"--bind={bind}", f"--workers={workers}"),
        *(*threads, *limits, f"--log-level={os.environ.get('LOG_LEVEL', 'WARNING').lower()}"),
    ]


# --- what must be so before ----------------------------------------------------
def _check_environment() -> None:
    for message in run_checks(tags=["postbacks"]):
        raise StackError(f"{message.msg} {message.hint}")


def _open_port() -> socket.socket:
    """The socket that the web will listen on: taken now, so that nothing comes in between."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", settings.PORT))
        listener.listen()
    except OSError as error:
        listener.close()
        raise StackError(
            f"Port {settings.PORT} cannot be used ({error.strerror}): choose another one, "
            f"such as PORT={settings.PORT + 1 if settings.PORT < 65535 else 8000}."
        ) from error
    return listener


def _lock() -> IO[str]:
    """The lock on DATA_DIR. The kernel takes it back when the last process that holds it ends, however it ends."""
    try:
        settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
        lock = (settings.DATA_DIR / "lock").open("w")
    except OSError as error:
        raise StackError(f"DATA_DIR cannot be used ({error.strerror}): {settings.DATA_DIR}") from error
    deadline = time.monotonic() + LOCK_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > deadline:
                lock.close()
                raise StackError(
                    f"It is running already with its data in {settings.DATA_DIR}: choose another DATA_DIR for a "
                    "second one."
                ) from None
            time.sleep(0.05)
        else:
            return lock


def _reach_database() -> None:
    try:
        connection.ensure_connection()
    except DatabaseError as error:
        raise StackError(f"The database cannot be reached: {_reason(error)}") from error


def _migrate(say: Callable[[str], object]) -> None:
    try:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            say("Bringing the database up to date ...")
            call_command("migrate", interactive=False, verbosity=0)
    except DatabaseError as error:
        raise StackError(f"The database could not be brought up to date: {_reason(error)}") from error
    finally:
        connections.close_all()


def _reason(error: Exception) -> str:
    """The first line of what the database said, without the password."""
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    password = str(settings.DATABASES["default"].get("PASSWORD") or "")
    return reason.replace(password, "***") if password else reason


def _reach_broker(url: str) -> None:
    try:
        with redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5) as client:
            client.ping()
    except (redis.RedisError, OSError, ValueError) as error:
        raise StackError(f"The broker at REDIS_URL cannot be reached: {error}") from error


# --- what must be so for it to be ready ---------------------------------------
def _is_worker_there(began_at: datetime) -> bool:
    with suppress(redis.RedisError, OSError):
        beat_at = wakeup.last_heartbeat()
        return beat_at is not None and beat_at >= began_at
    return False


def _is_web_there() -> bool:
    web = http.client.HTTPConnection("127.0.0.1", settings.PORT, timeout=1)
    try:
        web.request("GET", "/healthz")
        return web.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        web.close()
