"""How worker and beat reconnect to a broker that was away.

Other processes do not import it, because what it imports of Celery is large.
"""

from functools import partial
from typing import Any

from celery.apps.beat import Beat
from celery.beat import PersistentScheduler
from celery.worker.consumer import Consumer
from django.conf import settings

# Every second. Celery's own interval grows by two seconds each time, up to half a minute, and everything would wait so
# long after the broker is back.
EVERY_SECOND: dict[str, Any] = {"interval_start": 1, "interval_step": 0}


class QuietBeat(Beat):
    """Without its banner, which no line of a log looks like."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options | {"quiet": settings.LOG_LEVEL != "DEBUG"})


class PromptConsumer(Consumer):
    def ensure_connected(self, conn: Any) -> Any:
        conn.ensure_connection = partial(conn.ensure_connection, **EVERY_SECOND)
        return super().ensure_connected(conn)


class PromptScheduler(PersistentScheduler):
    def _ensure_connected(self) -> Any:
        connection: Any = self.connection
        connection.ensure_connection = partial(connection.ensure_connection, **EVERY_SECOND)
        return super()._ensure_connected()  # type: ignore[misc]  # private, so celery-types leaves it out
