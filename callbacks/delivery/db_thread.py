"""Does the pump's work at the database beside the wire: one job at a time, in one thread with a connection of its own.

Requests on the wire are looked after while the database takes its time: a lock that is held for long must not make
answers seem late, and half of what a delivery costs is waiting for the database. One job at a time, in the order they
were given, so that what one job wrote the next one sees. A database that is away is asked again after a while.
"""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from django.db import DataError, InterfaceError, OperationalError, close_old_connections, connections
from django.utils import timezone

from callbacks.delivery import circuit_breaker, queue, settle
from callbacks.delivery.wakeup import WakePipe
from callbacks.models import Delivery

log = logging.getLogger(__name__)

AGAIN_S = 0.5
T = TypeVar("T")


class DatabaseThread:
    """Not for a fork: the thread begins with the first job."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "clerk")
        self._job: Future[Any] | None = None
        self.done = WakePipe()  # wakes who waits for the job beside something else
        self._then: Callable[[Any], None]
        self._otherwise: Callable[[], None]
        self.is_away = False  # whether the last job found no database
        self._again_at = 0.0

    @property
    def is_busy(self) -> bool:
        return self._job is not None

    @property
    def is_free(self) -> bool:
        return self._job is None and time.monotonic() >= self._again_at

    def do(self, job: Callable[[], T], then: Callable[[T], None], otherwise: Callable[[], None]) -> None:
        """Have `job` done. `collect` calls `then` with its result, or `otherwise` if it failed."""
        self._then, self._otherwise = then, otherwise
        self._job = self._thread.submit(job)
        self._job.add_done_callback(lambda _: self.done.wake())

    def collect(self, patience_s: float) -> None:
        """Finish the job if it is done within so long. Raises what the job raised, but for a database that is away."""
        if self._job is None:
            return
        self.done.hear()
        if patience_s:
            wait([self._job], patience_s)
        if not self._job.done():
            return
        job, self._job = self._job, None
        try:
            result = job.result()
        except (OperationalError, InterfaceError) as error:
            log.warning("database_away error=%s", type(error).__name__)
            self.is_away, self._again_at = True, time.monotonic() + AGAIN_S
            self._thread.submit(connections.close_all)
            self._otherwise()
        except BaseException:
            self._otherwise()
            raise
        else:
            self.is_away = False
            self._then(result)

    def refresh(self) -> None:
        """Let go of a connection that is too old or broken, as Django does between two web requests."""
        self._thread.submit(close_old_connections)

    def close(self) -> None:
        self._thread.submit(connections.close_all)
        self._thread.shutdown()
        self.done.close()


# --- its jobs ----------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Found:
    """What a look into the outbox gave: hosts in trouble and whether they are held, claims, and whether more is due."""

    troubled: dict[str, bool]
    claims: list[queue.Claimed]
    is_more: bool
    now: datetime  # when the look began, and how long it took
    took_s: float


def claim_due(full: list[int], tripped: set[str], limit: int, since: datetime | None = None) -> Found:
    """Claim what is due, but nothing of endpoints that have enough waiting or of hosts that must be left alone."""
    now, began = timezone.now(), time.monotonic()
    troubled = circuit_breaker.troubled()
    held = circuit_breaker.held(troubled)
    probes = circuit_breaker.take_probes() if held else []
    claims = [claimed for host in probes for claimed in queue.claim(1, only_host=host)]
    more = queue.claim(limit, but_settings=full, but_hosts=held | tripped, since=since)
    for claimed in claims + more:
        if claimed.endpoint is None:
            queue.skip(claimed, Delivery.SkipReason.SETTING_DELETED)
    wanted = [claimed for claimed in claims + more if claimed.endpoint is not None]
    return Found(troubled, wanted, len(more) == limit, now, time.monotonic() - began)


def write_down(batch: list[settle.Settlement], troubled: dict[str, bool]) -> None:
    """Write down what became of these, and tell the breaker."""
    try:
        settle.settle(batch)
    except DataError:  # an answer that the database cannot hold; the others of its batch must not pay for it
        log.exception("batch_not_settled count=%d", len(batch))
        for settlement in batch:
            _settle_alone(settlement)
    try:
        circuit_breaker.note([(s.claimed.host, circuit_breaker.is_silent(s.outcome)) for s in batch], troubled)
    except (InterfaceError, OperationalError) as error:  # they are written down, and must not be once more
        log.warning("breaker_not_told error=%s", type(error).__name__)


def _settle_alone(settlement: settle.Settlement) -> None:
    """Settle one; if the database cannot hold its answer, without that."""
    try:
        settle.settle([settlement])
    except DataError:
        bare = settlement.outcome._replace(response_headers=(), response_excerpt="")
        settle.settle([settlement._replace(outcome=bare)])
