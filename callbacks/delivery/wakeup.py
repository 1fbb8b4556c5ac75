"""Tells a worker that something is due, and tells the others that a worker has looked for it.

A wake-up is best effort, bounded in time and never an error for its sender: the database is the queue, and the sweep
finds what a lost wake-up left. At most one is waiting at any time, because a worker runs a thousand empty tasks a
second at most, and a thousand saves would otherwise leave a thousand of them.
"""

import contextlib
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from threading import Event, Thread

import redis
import structlog
from celery import current_app
from django.conf import settings
from kombu.exceptions import KombuError

log = structlog.get_logger(__name__)

TASK = "callbacks.tasks.pump"  # by name, because the task's module imports this one
# The names of the keys stay as they are: old and new processes run side by side during a deploy.
_WAITING_KEY = "postbacks:bell"
_SWEPT_KEY = "postbacks:heartbeat"
_PROBE_KEY = "postbacks:probe"
_WAITING_S = 10  # a wake-up that no worker took for so long was lost, and the next one is sent again
_SWEPT_S = 30
_PROBE_S = 30
_RECONNECT_S = 1.0  # the pause before a listener connects again to a broker that is away
_LISTEN_S = 1.0  # how long a paused listener may go on listening
_REASON_LENGTH = 100  # of what a broker says when it refuses
_QUIET_S = 5.0  # how long no broker is asked after it failed to answer

_quiet_until = 0.0
_is_failing = False


@cache
def _valkey() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=settings.BROKER_TIMEOUT,
        socket_connect_timeout=settings.BROKER_TIMEOUT,
        retry=None,
    )


def send() -> bool:
    """Wake a worker unless a wake-up is waiting already. False if the broker did not take it."""

    def send_unless_waiting() -> bool:
        if _valkey().set(_WAITING_KEY, 1, nx=True, ex=_WAITING_S):
            _valkey().publish(_WAITING_KEY, "")  # for busy dispatchers, which take no task
            current_app.send_task(TASK, retry=False)
        return True

    return _ask(send_unless_waiting)


def take() -> bool:
    """Take the wake-up that is waiting, so that the next one is sent again. True if there was one."""
    return _ask(lambda: bool(_valkey().delete(_WAITING_KEY)))


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
        with contextlib.suppress(BlockingIOError):  # full, so whoever waits is woken anyway
            os.write(self._writing, b"!")

    def clear(self) -> bool:
        """Empty the pipe. True if there was a wake-up in it, or several."""
        try:
            return bool(os.read(self._reading, 1 << 16))
        except BlockingIOError:
            return False

    def close(self) -> None:
        os.close(self._reading)
        os.close(self._writing)


class WakeupListener(WakePipe):
    """Receives each wake-up that is sent, for a dispatcher that is too busy to take the task. Paused at first."""

    def __init__(self) -> None:
        super().__init__()
        self._is_listening = Event()
        Thread(target=self._run, name="wakeup-listener", daemon=True).start()

    def resume(self) -> None:
        self._is_listening.set()

    def pause(self) -> None:
        """Stop listening, within a second: an idle process need not wake up each time."""
        self._is_listening.clear()

    def _run(self) -> None:
        while self._is_listening.wait():
            try:
                self._listen()
            except (redis.RedisError, OSError):
                time.sleep(_RECONNECT_S)

    def _listen(self) -> None:
        timeout = {"socket_connect_timeout": settings.BROKER_TIMEOUT}
        with redis.Redis.from_url(settings.REDIS_URL, **timeout) as valkey, valkey.pubsub() as channel:
            channel.subscribe(_WAITING_KEY)
            while self._is_listening.is_set():
                # The first message confirms the subscription; it counts, because wake-ups before it were missed.
                if channel.get_message(timeout=_LISTEN_S):
                    self.wake()


@cache
def listener() -> WakeupListener:
    """The listener of this process. It must not be carried over a fork."""
    return WakeupListener()


def _ask(question: Callable[[], bool]) -> bool:
    """What the broker answers; False if it does not, and then for some seconds without asking it."""
    global _quiet_until  # noqa: PLW0603 - one broker for the whole process
    if time.monotonic() < _quiet_until:
        return False
    try:
        answer = question()
    except (redis.RedisError, KombuError, OSError) as error:
        _quiet_until = time.monotonic() + _QUIET_S
        note_failure(error)
        return False
    note_success()
    return answer


def note_failure(error: Exception) -> None:
    """Say that the broker is away or refuses, once until it is back: it is tried again every second or so."""
    global _is_failing  # noqa: PLW0603 - one broker for the whole process
    if not _is_failing:
        log.warning("broker_failed", error=type(error).__name__, reason=str(error)[:_REASON_LENGTH])
    _is_failing = True


def note_success() -> None:
    """Say that the broker is back, if it was away, and ask it again at once."""
    global _is_failing, _quiet_until  # noqa: PLW0603 - one broker for the whole process
    _quiet_until = 0.0
    if _is_failing:
        log.warning("broker_back")
    _is_failing = False


def note_sweep() -> None:
    """Note at the broker that a worker has run the sweep, so that no other process need look for what is due.

    Who is alive is said by `config.models.Process`. A web process of an older release reads that here, as a time.
    """
    try:
        _valkey().set(_SWEPT_KEY, datetime.now(UTC).isoformat(), ex=_SWEPT_S)
    except (redis.RedisError, OSError) as error:
        note_failure(error)
    else:  # the sweep is to wake a worker now: because of this nobody looks without being woken
        note_success()


def was_swept(within_s: float) -> bool:
    """Whether a worker has run the sweep within this time, by the broker's clock. False if it does not say."""
    try:
        left_ms = _valkey().pttl(_SWEPT_KEY)
    except (redis.RedisError, OSError) as error:
        note_failure(error)
        return False
    return isinstance(left_ms, int) and left_ms > (_SWEPT_S - within_s) * 1000


def can_write() -> bool:
    """Whether the broker takes a write. Raises `redis.RedisError` if it refuses or does not answer."""
    return bool(_valkey().set(_PROBE_KEY, 1, ex=_PROBE_S))
