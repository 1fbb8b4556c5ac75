"""Starts, watches and stops all that an installation needs on one machine: Valkey, worker, beat and web, as children.

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
from datetime import UTC, datetime
from typing import IO

import redis
from django.conf import settings

from callbacks.delivery import wakeup
from config.stack import prerequisites, web
from config.stack.child import Child
from config.stack.prerequisites import StackError
from config.stack.valkey import Valkey, ValkeyError

READY_TIMEOUT_S = 120.0
WATCH_EVERY_S = 0.1
# How long each child may take to end, in the order in which they are asked. The worker finishes what is on the wire.
STOP_TIMEOUTS_S = {"web": 5.0, "beat": 5.0, "worker": 15.0}
SAME_SIGNAL_S = 1.0  # a second signal that comes sooner is the first one, sent to a whole group of processes


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
            prerequisites.check_settings()
            listener = ending.enter_context(prerequisites.open_port())
            lock = ending.enter_context(prerequisites.lock_data_dir())
            prerequisites.reach_database()
            self._start_broker(ending, lock)
            prerequisites.migrate(self.say)
            self._set_environment()
            ending.callback(self._stop_children)
            started_at = datetime.now(UTC)
            self.say("Starting worker, beat and web ...")
            self._start_children(listener)
            if self._wait_until_ready(started_at):
                on_ready(self)
                while self._goes_on():
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
            self.watched.append(valkey.child)
            url = valkey.url
        settings.REDIS_URL = settings.CELERY_BROKER_URL = url  # this process looks for the worker's heartbeat there
        prerequisites.reach_broker(url)

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

    def _start_children(self, listener: socket.socket) -> None:
        level = self.env["LOG_LEVEL"].lower()
        # Celery warns of running as root, which is usual in a container.
        celery = [sys.executable, "-W", "ignore:You're running the worker with superuser", "-m", "celery"]
        celery += ["--quiet", "--skip-checks", "-A", "config"]
        self._start("worker", *celery, "worker", "--pool=prefork", "--concurrency=2", f"--loglevel={level}")
        self._start("beat", *celery, "beat", f"--loglevel={level}")
        self._start("web", *web.command(listener), pass_fds=[listener.fileno()])

    def _start(self, name: str, *command: str, pass_fds: Sequence[int] = ()) -> None:
        child = self.children[name] = Child(name, command, self.env, pass_fds=pass_fds)
        self.watched.append(child)

    # --- watch ---------------------------------------------------------------
    def _wait_until_ready(self, started_at: datetime) -> bool:
        """Whether the web answers and a worker has taken a task; False if a signal came first."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while self._goes_on():
            if _worker_is_ready(started_at) and _web_is_ready():
                return True
            if time.monotonic() > deadline:
                raise StackError(
                    f"It was not ready within {READY_TIMEOUT_S:.0f} seconds; what was printed above may say why."
                )
            time.sleep(0.02)
        return False

    def _goes_on(self) -> bool:
        """False once a signal asked it to stop. Raises `StackError` if a child has ended by itself."""
        if self.stopped_at is not None:
            return False
        for child in self.watched:
            if child.has_ended():
                raise StackError(f"The {child.name} process {child.ending}, so everything else was ended too.")
        return True

    # --- stop ----------------------------------------------------------------
    def _stop_children(self) -> None:
        for name, timeout_s in STOP_TIMEOUTS_S.items():
            if child := self.children.get(name):
                child.stop(timeout_s, lambda: self.is_hurried)


# --- is it ready? --------------------------------------------------------------
def _worker_is_ready(started_at: datetime) -> bool:
    with suppress(redis.RedisError, OSError):
        beat_at = wakeup.last_heartbeat()
        return beat_at is not None and beat_at >= started_at
    return False


def _web_is_ready() -> bool:
    web = http.client.HTTPConnection("127.0.0.1", settings.PORT, timeout=1)
    try:
        web.request("GET", "/healthz")
        return web.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        web.close()
