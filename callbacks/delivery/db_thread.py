"""Runs the dispatcher's database work beside its network work: one task at a time, in a thread with its own connection.

Requests in flight are looked after while the database takes its time: a lock that is held for long must not make
answers seem late, and half of what a delivery costs is waiting for the database. Tasks run one after the other, so each
sees what the one before has written. A database that is unavailable is tried again after a while.

A database that says nothing at all must not keep the process from ending, so the thread is a daemon, and nobody waits
for its end for long.
"""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

import structlog
from django.db import DatabaseError, DataError, InterfaceError, close_old_connections, connections
from django.utils import timezone

from callbacks.delivery import circuit_breaker, queue, settle
from callbacks.delivery.wakeup import WakePipe
from callbacks.models import Delivery
from config.db_outages import outage
from config.monitoring import metrics

log = structlog.get_logger(__name__)

RETRY_S = 0.5
CLOSE_S = 5.0  # how long the end of the thread is waited for
T = TypeVar("T")


class DatabaseThread:
    """The thread begins with the first task, so a worker may fork before that and not after it."""

    def __init__(self, retry_s: float = RETRY_S) -> None:
        self._tasks: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._task: Future[Any] | None = None
        self.done = WakePipe()  # ends a wait for something else when the task is done
        self._on_success: Callable[[Any], None]
        self._on_failure: Callable[[], None]
        self.is_unavailable = False  # whether the last task found no database
        self._retry_s, self._retry_at = retry_s, 0.0

    @property
    def is_busy(self) -> bool:
        return self._task is not None

    @property
    def is_free(self) -> bool:
        return self._task is None and time.monotonic() >= self._retry_at

    def submit(
        self,
        task: Callable[[], T],
        on_success: Callable[[T], None] = lambda _: None,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        """Start `task`. `collect` calls `on_success` with its result, or `on_failure`, in the thread of its caller."""
        self._on_success, self._on_failure = on_success, on_failure
        self._task = self._begin(task)
        self._task.add_done_callback(lambda _: self.done.wake())

    def collect(self, timeout_s: float) -> None:
        """Finish the task if it is done within this time. Raises its error, unless the database was unavailable."""
        if self._task is None:
            return
        self.done.clear()
        if timeout_s:
            wait([self._task], timeout_s)
        if not self._task.done():
            return
        task, self._task = self._task, None
        try:
            result = task.result()
        except BaseException as error:
            if reason := outage(error):
                if not self.is_unavailable:  # one line, however long it takes
                    log.warning("database_unavailable", error=type(error).__name__, reason=reason)
                self.is_unavailable, self._retry_at = True, time.monotonic() + self._retry_s
                self._begin(connections.close_all)
            self._on_failure()
            if not reason:
                raise
        else:
            self.is_unavailable = False
            self._on_success(result)

    def refresh(self) -> None:
        """Close a connection that is too old or broken, as Django does between two web requests."""
        self._begin(close_old_connections)

    def close(self) -> None:
        """End the thread after what it does now. One that waits for a silent database ends with the process."""
        self._begin(connections.close_all)
        self._tasks.put(None)
        assert self._thread
        self._thread.join(CLOSE_S)
        if not self._thread.is_alive():
            self.done.close()

    def _begin(self, task: Callable[[], T]) -> "Future[T]":
        if self._thread is None:
            self._thread = Thread(target=self._run, name="database", daemon=True)
            self._thread.start()
        future: Future[T] = Future()
        self._tasks.put((future, task))
        return future

    def _run(self) -> None:
        while given := self._tasks.get():
            future, task = given
            try:
                result = task()
            except BaseException as error:  # noqa: BLE001 - it is raised again by who collects it
                future.set_exception(error)
            else:
                future.set_result(result)


# --- its tasks ---------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class ClaimResult:
    """The claims of one scan of the queue, the hosts in trouble (held or not), and whether more may be due."""

    troubled: dict[str, bool]
    claims: list[queue.Claimed]
    is_more: bool
    now: datetime  # when the scan began, and how long it took
    took_s: float


def claim_due(limit: int, scope: queue.Scope, lease: timedelta) -> ClaimResult:
    """Claim what is due within `scope`, but for hosts that are held nothing but probes."""
    now, began = timezone.now(), time.monotonic()
    troubled = circuit_breaker.troubled()
    held = circuit_breaker.held(troubled)
    probes = circuit_breaker.take_probes() if held else []
    claims = [claimed for host in probes for claimed in queue.claim(1, queue.Scope(only_host=host), lease=lease)]
    more = queue.claim(limit, scope._replace(exclude_hosts={*held, *scope.exclude_hosts}), lease=lease)
    queue.skip(claimed for claimed in claims + more if claimed.reason_to_skip)
    sendable = [claimed for claimed in claims + more if not claimed.reason_to_skip]
    return ClaimResult(troubled, sendable, len(more) == limit, now, time.monotonic() - began)


def settle_batch(batch: list[settle.Settlement], troubled: dict[str, bool]) -> None:
    """Write finished attempts, and count the failures of their hosts."""
    try:
        settle.settle(batch)
    except DataError:  # one answer cannot be stored; the others of the batch must not suffer from it
        log.exception("batch_not_settled", count=len(batch))
        for settlement in batch:
            _settle_one(settlement)
    _tell(batch)
    _count(batch)
    try:
        circuit_breaker.record([(s.claimed.host, s.outcome) for s in batch], troubled)
    except (DatabaseError, InterfaceError) as error:  # the batch is written and must not be written again
        log.warning("circuit_breaker_not_updated", error=type(error).__name__)


def _tell(batch: list[settle.Settlement]) -> None:
    """A line for each delivery that failed for good; at DEBUG also for each that will be tried again."""
    for s in batch:
        if s.outcome.is_success:
            continue
        tell = log.warning if s.status == Delivery.Status.FAILED else log.debug
        tell(
            "delivery_failed" if s.status == Delivery.Status.FAILED else "attempt_failed",
            delivery=s.claimed.pk,
            callback=s.claimed.setting_id,
            host=s.claimed.host,
            code=s.outcome.status_code,
            kind=s.outcome.error_kind,
            request_id=s.claimed.due.request_id,
        )


def _count(batch: list[settle.Settlement]) -> None:
    """All of them at once: one after the other would cost more than a percent of a worker's time."""
    for outcome, count in Counter(s.outcome.error_kind or "delivered" for s in batch).items():
        metrics.ATTEMPTS.labels(outcome).inc(count)
    if failed := sum(s.status == Delivery.Status.FAILED for s in batch):
        metrics.FAILED.inc(failed)
    metrics.ANSWERS.observe(s.outcome.total_ms / 1000 for s in batch if s.outcome.total_ms is not None)
    firsts = [s for s in batch if s.claimed.due.trigger == Delivery.Trigger.INITIAL]
    metrics.FIRST_ATTEMPTS.observe(max(0.0, (s.began_at - s.claimed.due.created_at).total_seconds()) for s in firsts)


def _settle_one(settlement: settle.Settlement) -> None:
    """Settle one attempt; if its answer cannot be stored, without the answer's headers and body."""
    try:
        settle.settle([settlement])
    except DataError:
        bare = settlement.outcome._replace(response_headers=(), response_excerpt="")
        settle.settle([settlement._replace(outcome=bare)])
