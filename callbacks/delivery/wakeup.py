"""The doorbell: tells a worker that something is due, and says whether a worker is alive.

Best effort, bounded, and never an error for the one who rings: the database is the queue, and the sweep finds what a
lost ring left. At most one ring is waiting at any time, because a worker runs a thousand empty tasks a second at most
and a thousand saves would otherwise leave a thousand of them.
"""

import contextlib
import logging
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from threading import Event, Thread

import redis
from celery import current_app
from django.conf import settings
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)

TASK = "callbacks.tasks.pump"  # by name: the task imports what drains the queue, and that imports this module
_WAITING = "postbacks:bell"
_HEART = "postbacks:heartbeat"
_WAITING_S = 10  # a ring that nobody answered for so long was lost, and the next one is made anew
_HEART_S = 30
_DEAF_S = 1.0  # how long a broker that is away is not listened to
_SHUT_S = 1.0  # how long an ear that was shut may go on listening
_QUIET_S = 5.0  # how long nobody tries again after a ring failed

_quiet_until = 0.0


@cache
def _valkey() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=settings.BROKER_TIMEOUT,
        socket_connect_timeout=settings.BROKER_TIMEOUT,
        retry=None,
    )


def send() -> bool:
    """Wake a worker unless a ring is waiting already. False if the broker did not take it."""

    def waiting_or_sent() -> bool:
        if _valkey().set(_WAITING, 1, nx=True, ex=_WAITING_S):
            _valkey().publish(_WAITING, "")  # busy pumps take no task
            current_app.send_task(TASK, retry=False)
        return True

    return _tried(waiting_or_sent)


def take() -> bool:
    """Take the ring that is waiting, so that the next one is heard anew. True if there was one."""
    return _tried(lambda: bool(_valkey().delete(_WAITING)))


class WakePipe:
    """Ends a wait for sockets from another thread of this process: a pipe that is waited for beside them."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)

    def fileno(self) -> int:
        """What becomes readable."""
        return self._reading

    def wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full of what nobody has heard yet
            os.write(self._writing, b"!")

    def hear(self) -> bool:
        """Whether somebody woke us since the last time, however often."""
        try:
            return bool(os.read(self._reading, 1 << 16))
        except BlockingIOError:
            return False

    def close(self) -> None:
        os.close(self._reading)
        os.close(self._writing)


class WakeupListener(WakePipe):
    """Hears each ring while it is open, for a pump that is too busy to take the task."""

    def __init__(self) -> None:
        super().__init__()
        self._is_open = Event()
        Thread(target=self._listen, name="ear", daemon=True).start()

    def open(self) -> None:
        self._is_open.set()

    def shut(self) -> None:
        """Soon nothing is heard any more: who is idle need not wake at each ring."""
        self._is_open.clear()

    def _listen(self) -> None:
        while self._is_open.wait():
            try:
                self._hear_all()
            except (redis.RedisError, OSError):
                time.sleep(_DEAF_S)

    def _hear_all(self) -> None:
        patience = {"socket_connect_timeout": settings.BROKER_TIMEOUT}
        with redis.Redis.from_url(settings.REDIS_URL, **patience) as valkey, valkey.pubsub() as channel:
            channel.subscribe(_WAITING)
            while self._is_open.is_set():
                if channel.get_message(timeout=_SHUT_S):  # first that we listen: a ring may have been missed before
                    self.wake()


@cache
def listener() -> WakeupListener:
    """This process's. Not to be carried over a fork."""
    return WakeupListener()


def _tried(ask: Callable[[], bool]) -> bool:
    """What `ask` says; False if the broker does not answer it, and then for some seconds without asking."""
    global _quiet_until  # noqa: PLW0603 - one bell a process
    if time.monotonic() < _quiet_until:
        return False
    try:
        return ask()
    except (redis.RedisError, OperationalError, OSError) as error:
        _quiet_until = time.monotonic() + _QUIET_S
        log.warning("bell_failed error=%s", type(error).__name__)
        return False


def record_heartbeat() -> None:
    """Say that a worker is alive and hears its tasks."""
    try:
        _valkey().set(_HEART, datetime.now(UTC).isoformat(), ex=_HEART_S)
    except (redis.RedisError, OSError) as error:
        log.warning("heartbeat_failed error=%s", type(error).__name__)


def last_heartbeat() -> datetime | None:
    """When a worker last beat its heart, or None if none did lately. Raises `redis.RedisError` without a broker."""
    text = _valkey().get(_HEART)
    return datetime.fromisoformat(text.decode()) if isinstance(text, bytes) else None
