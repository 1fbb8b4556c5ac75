"""Starts, watches and stops all that an installation needs on one machine: Valkey, worker, beat and web, as children.
Once everything was there, a child that ends is started again.

What has to be there before is `config.stack.prerequisites`; a new database is filled by `config.stack.first_start`.
"""

import http.client
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from config import db_locks, static_files
from config.models import Process
from config.stack import prerequisites, web_processes
from config.stack.child import Child
from config.stack.prerequisites import StackError
from config.stack.valkey import Valkey, ValkeyError

READY_TIMEOUT_S = 120.0
WATCH_EVERY_S = 0.1
# How long each child may take to end, in the order in which they are waited for. All are asked at once: the worker
# finishes what is on the wire, and all of it, with Valkey after them, has to be over within 20 s.
STOP_TIMEOUTS_S = {"web": 5.0, "beat": 5.0, "worker": 15.0}
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - and where such a listener is asked
SAME_SIGNAL_S = 1.0  # a second signal that comes sooner is the first one, sent to a whole group of processes
# The pause before a child is started again: twice as long each time, until one has lived for so long.
FIRST_PAUSE_S, LONGEST_PAUSE_S, LIVED_S = 1.0, 30.0, 60.0


@dataclass
class Watched:
    """A child, how it is started again, and when, if it has ended."""

    child: Child
    start: Callable[[], Child]
    began_at: float = field(default_factory=time.monotonic)
    pause_s: float = FIRST_PAUSE_S
    again_at: float | None = None


class Stack:
    def __init__(
        self, *, is_demo: bool, say: Callable[[str], object], is_production: bool = False, host: str = "127.0.0.1"
    ) -> None:
        """In production migrations have been seen to, and a broker that is away is no reason not to start."""
        self.is_demo, self.is_production = is_demo, is_production
        self.say = say
        self.host = host
        self.address = f"http://{f'[{host}]' if ':' in host else host}:{settings.PORT}/"
        self.env: dict[str, str] = {}
        self.watched: dict[str, Watched] = {}
        self.stopped_at: float | None = None
        self.is_hurried = False

    def run(self, on_ready: Callable[["Stack"], None]) -> None:
        """Start everything, call `on_ready`, and return once everything has ended because a signal asked for it.

        Raises `StackError` if something stands in the way, or if a child ends by itself before everything is there.
        """
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        db_locks.limit_waiting()
        with ExitStack() as ending:
            prerequisites.check_settings()
            listener = ending.enter_context(prerequisites.open_port(self.host))
            lock = ending.enter_context(prerequisites.lock_data_dir())
            prerequisites.reach_database()
            self._start_broker(ending, lock)
            if not self.is_production:
                prerequisites.migrate(self.say)
            self._set_environment()
            ending.callback(self._stop_children)
            started_at = timezone.now()
            self.say("Starting worker, beat and web ...")
            self._start_children(listener)
            if self._wait_until_ready(started_at):
                on_ready(self)
                while self.stopped_at is None:
                    self._start_again()
                    time.sleep(WATCH_EVERY_S)

    def _on_signal(self, number: int, frame: object) -> None:
        now = time.monotonic()
        if self.stopped_at is None:
            self.stopped_at = now
        elif now - self.stopped_at > SAME_SIGNAL_S:
            self.is_hurried = True

    # --- start ---------------------------------------------------------------
    def _start_broker(self, ending: ExitStack, lock: IO[str]) -> None:
        url = os.environ.get("REDIS_URL", "")
        if not url:
            try:
                # It holds the lock too, so that the next start waits for its end even if this process is killed.
                valkey = Valkey(settings.DATA_DIR, pass_fds=[lock.fileno()])
            except (ValkeyError, OSError) as error:
                raise StackError(str(error)) from error
            ending.callback(valkey.stop)
            self.watched["valkey"] = Watched(valkey.child, valkey.start_again)
            url = valkey.url
        settings.REDIS_URL = settings.CELERY_BROKER_URL = url
        try:
            prerequisites.reach_broker(url)
        except StackError as error:
            if not self.is_production:
                raise
            self.say(f"{error} Starting without it.")

    def _set_environment(self) -> None:
        self.env = os.environ | {
            "DATA_DIR": str(settings.DATA_DIR),
            "PORT": str(settings.PORT),
            "REDIS_URL": settings.REDIS_URL,
            "DEMO": "1" if self.is_demo else "",
            "SECRET_KEY": settings.SECRET_KEY,  # also if it is this machine's own: all of them are here
            "LOG_LEVEL": os.environ.get("LOG_LEVEL") or ("INFO" if self.is_production else "WARNING"),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(settings.BASE_DIR), os.environ.get("PYTHONPATH", "")])),
            "PYTHONUNBUFFERED": "1",
        }

    def _start_children(self, listener: socket.socket) -> None:
        level = self.env["LOG_LEVEL"].lower()
        # Celery warns of running as root, which is usual in a container.
        celery = [sys.executable, "-W", "ignore:You're running the worker with superuser", "-m", "celery"]
        celery += ["--quiet", "--skip-checks", "-A", "config"]
        self._start("worker", *celery, "worker", "--pool=prefork", f"--loglevel={level}")
        self._start("beat", *celery, "beat", f"--loglevel={level}")
        static_files.collect()  # while worker and beat start
        web = web_processes.command(listener, settings.WEB_CONCURRENCY)
        self._start("web", *web, pass_fds=[listener.fileno()])

    def _start(self, name: str, *command: str, pass_fds: Sequence[int] = ()) -> None:
        def start() -> Child:
            return Child(name, command, self.env, pass_fds=pass_fds)

        self.watched[name] = Watched(start(), start)

    # --- watch ---------------------------------------------------------------
    def _wait_until_ready(self, started_at: datetime) -> bool:
        """Whether the web answers and a worker has said that it lives; False if a signal came first."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while self._goes_on():
            if _worker_is_ready(started_at) and _web_is_ready(self.host):
                return True
            if time.monotonic() > deadline:
                raise StackError(f"Not ready within {READY_TIMEOUT_S:.0f} seconds. See the lines above for the reason.")
            time.sleep(0.02)
        return False

    def _goes_on(self) -> bool:
        """False once a signal asked it to stop. Raises `StackError` if a child has ended by itself."""
        if self.stopped_at is not None:
            return False
        for name, watched in self.watched.items():
            if watched.child.has_ended():
                raise StackError(f"The {name} process {watched.child.ending}, so everything else was stopped too.")
        return True

    def _start_again(self) -> None:
        """Start what has ended, after a pause."""
        now = time.monotonic()
        for name, watched in self.watched.items():
            if watched.again_at is None and watched.child.has_ended():
                if now - watched.began_at >= LIVED_S:
                    watched.pause_s = FIRST_PAUSE_S
                watched.again_at = now + watched.pause_s
                self.say(f"The {name} process {watched.child.ending}. Restarting it in {watched.pause_s:.0f} s.")
                watched.pause_s = min(2 * watched.pause_s, LONGEST_PAUSE_S)
            elif watched.again_at is not None and now >= watched.again_at:
                watched.child.stop(0)  # what it started and left behind
                try:
                    watched.child = watched.start()
                except OSError as error:  # such as no memory for another process
                    watched.again_at = now + watched.pause_s
                    self.say(f"The {name} process could not be started: {error}. Trying again.")
                else:
                    watched.began_at, watched.again_at = now, None

    # --- stop ----------------------------------------------------------------
    def _stop_children(self) -> None:
        began = time.monotonic()
        children = [
            (self.watched[name].child, until) for name, until in STOP_TIMEOUTS_S.items() if name in self.watched
        ]
        for child, _ in children:
            child.ask_to_end()
        for child, until in children:
            child.stop(max(0.0, began + until - time.monotonic()), lambda: self.is_hurried)


# --- is it ready? --------------------------------------------------------------
def _worker_is_ready(started_at: datetime) -> bool:
    """Whether a worker has shown itself in the database, which works without a broker too."""
    with suppress(DatabaseError, InterfaceError):
        return Process.objects.filter(kind=Process.Kind.WORKER, seen_at__gte=started_at).exists()
    return False


def _web_is_ready(host: str) -> bool:
    web = http.client.HTTPConnection(ANY_ADDRESS.get(host, host), settings.PORT, timeout=1)
    try:
        web.request("GET", "/healthz")
        return web.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        web.close()
