"""How worker and beat come back to a broker that was away. Only they import it; what it stands on is large."""

from functools import partial
from typing import Any

from celery.beat import PersistentScheduler
from celery.worker.consumer import Consumer

# Once a second. Celery's own patience grows by two seconds each time, up to half a minute, and for so long would
# everything wait after the broker's return.
PROMPTLY: dict[str, Any] = {"interval_start": 1, "interval_step": 0}


class PromptConsumer(Consumer):
    def ensure_connected(self, conn: Any) -> Any:
        conn.ensure_connection = partial(conn.ensure_connection, **PROMPTLY)
        return super().ensure_connected(conn)


class PromptScheduler(PersistentScheduler):
    def _ensure_connected(self) -> Any:
        connection: Any = self.connection
        connection.ensure_connection = partial(connection.ensure_connection, **PROMPTLY)
        return super()._ensure_connected()  # type: ignore[misc]  # private, so celery-types leaves it out
