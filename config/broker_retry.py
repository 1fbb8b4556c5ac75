"""How worker and beat outlive a broker that is away, or that refuses what it is asked.

Whatever a broker answers (read-only, full, loading, another password), they try again every second until it is well:
one line when it begins to fail, one when it is back. Other processes do not import this, because what it imports of
Celery is large; what they do is in `callbacks.delivery.wakeup`.
"""

import logging
import time
from typing import Any

from celery.apps.beat import Beat
from celery.beat import Scheduler
from celery.worker.consumer import Consumer
from celery.worker.state import maybe_shutdown
from django.conf import settings
from kombu.exceptions import KombuError
from redis import RedisError

from callbacks.delivery import wakeup

# Celery's own interval grows by two seconds each time, up to half a minute, and everything would wait so long after the
# broker is back.
PAUSE_S = 1
# A worker's standing question to the broker is refused at once or not at all. If none was for so long, the broker is
# back.
BACK_AFTER_S = 1.5
# Workers say in the database that they are alive. They need not look for each other at the start, which takes a second,
# nor send heartbeats to each other.
ALONE = {"without_mingle": True, "without_gossip": True, "without_heartbeat": True}
# It has a line, and a warning, for each try.
logging.getLogger("celery.worker.consumer.consumer").setLevel(logging.ERROR)


class QuietBeat(Beat):
    """Without its banner, which no line of a log looks like."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options | {"quiet": settings.LOG_LEVEL != "DEBUG"})


class PromptConsumer(Consumer):
    connection_errors: tuple[type[Exception], ...]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs | ALONE)
        # Celery takes most refusals for errors of ours, and ends the worker.
        self.connection_errors += (RedisError, KombuError)
        self._back: Any = None

    def ensure_connected(self, conn: Any) -> Any:
        def on_error(error: Exception, interval: float) -> None:
            wakeup.note_failure(error)

        connected = conn.ensure_connection(on_error, None, PAUSE_S, 0, callback=maybe_shutdown)
        self.first_connection_attempt = False
        return connected

    def on_ready(self) -> None:
        super().on_ready()
        self._back = self.timer.call_after(BACK_AFTER_S, wakeup.note_success)

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        wakeup.note_failure(exc)
        time.sleep(PAUSE_S)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        if self._back is not None:
            self._back.cancel()
        wakeup.note_failure(exc)
        super().on_connection_error_after_connected(exc)
        time.sleep(PAUSE_S)


class PromptScheduler(Scheduler):
    """Keeps the schedule in memory: a task that runs once more does no harm, so beat needs no file."""

    # Celery would connect before the first task, wait for that as long as it takes, and end if the broker refuses.
    # Without a producer a task is sent as a web process sends one: at once or not at all.
    producer: Any = None

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        try:
            wakeup.can_write()  # it takes a fifth of a second at most
            self.apply_async(entry, advance=False)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next task is tried after a second
            wakeup.note_failure(error)
        else:
            wakeup.note_success()
