"""The loop that empties the queue: claim, render, send, settle, until nothing is due.

Many requests are in flight at once; results are written in batches; no transaction is open while anything is on the
wire. Claims are made in `queue`, limits in `concurrency`, the schedule in `retry`, a request in `callbacks.postback`;
what may be called and how is `callbacks.egress.transport`.
"""

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import cache
from itertools import count
from threading import Lock

import structlog
from django.conf import settings
from django.utils import timezone

from callbacks.delivery import circuit_breaker, concurrency, queue, retry, settle, wakeup
from callbacks.delivery.db_thread import ClaimResult, DatabaseThread, claim_due, settle_batch
from callbacks.delivery.scan_window import LATE_COMMIT, ScanWindow
from callbacks.delivery.wakeup import WakePipe
from callbacks.egress.outcome import KINDS, Outcome, Request
from callbacks.egress.transport import Transport, transport_from
from callbacks.models import Delivery
from callbacks.postback import request as postback
from callbacks.postback.render import RenderError
from callbacks.postback.signing import SecretError
from config.monitoring import metrics

log = structlog.get_logger(__name__)

BATCH_SIZE = 500
# While requests are in flight, what is newly due is claimed at each wake-up, and without one at this interval. But not
# more often than the minimum: each claim is a transaction, and other writers have to wait for it.
CLAIM_INTERVAL_S, MIN_CLAIM_INTERVAL_S = 0.5, 0.003
# Finished attempts are settled at the latest after this time, so that a slow one does not hold back the others. While
# more is waiting to be sent they are collected for longer, because a large batch costs little more than a small one.
SETTLE_AFTER_S, SETTLE_AFTER_BUSY_S = 0.02, 0.2
# The longest wait for the network at a time; a wake-up or a finished database task ends it earlier.
POLL_S = 0.005
USER_AGENT = postback.user_agent(settings.VERSION)
# A worker that was asked to stop finishes what is in flight; this is longer than the longest attempt.
SHUTDOWN_S = 11.0
# A delivery whose lease ends sooner is given back unsent: the lease could end before the answer comes, and then another
# worker would send it again.
MIN_LEASE_LEFT = timedelta(seconds=15)
# What waits for a callback that is held for so long or less stays claimed; the rest goes back to the queue.
SHORT_HOLD_S = 5.0
# The dispatchers of all processes may be busy for hours, and then no other Celery task can run: neither sweep nor jobs,
# nor what applies the messages of shops.
SWEEP_INTERVAL_S = 0.5
_running = Lock()


@cache
def of_process() -> "Dispatcher":
    """The dispatcher of this process. Between two runs its connections stay open and what it knows about endpoints is
    kept; what a run that ended by an exception left in flight is finished by the next.
    """
    return Dispatcher(transport_from(settings, max_in_flight=concurrency.SLOTS))


def run(
    is_stopping: Callable[[], bool] = lambda: False,
    *,
    is_woken: bool = False,
    periodic: Iterable[Callable[[], None]] = (),
) -> int:
    """Send everything that is due or becomes due meanwhile; returns the number of attempts.

    As soon as `is_stopping` is true nothing more is started; what is in flight is finished and recorded. With
    `is_woken` (an order was saved, or a sweep found something) the first scan need not be a full one. The `periodic`
    functions are called every `SWEEP_INTERVAL_S`, after the sweep. A second call waits for the end of the first.
    """
    with _running:
        if not is_woken:
            of_process().scan_window.reset()
        return of_process().run(is_stopping, periodic)


def is_running() -> bool:
    return _running.locked()


def sweep() -> None:
    """Make due again what dead workers held, and note that a worker has looked."""
    wakeup.note_sweep()
    if recovered := queue.recover():
        log.warning("leases_recovered", count=recovered)
        metrics.LEASES_RETURNED.inc(recovered)


class Dispatcher:
    """One for each process: its caller's thread does the network work, `db_thread` that of the database."""

    def __init__(
        self,
        transport: Transport,
        *,
        lease: timedelta = queue.LEASE,
        claim_interval_s: float = CLAIM_INTERVAL_S,
        sweep_interval_s: float = SWEEP_INTERVAL_S,
    ) -> None:
        self.transport = transport
        self.lease, self.claim_interval_s, self.sweep_interval_s = lease, claim_interval_s, sweep_interval_s
        self.db_thread = DatabaseThread()
        self.scan_window = ScanWindow()
        self.queues: concurrency.EndpointQueues[queue.Claimed] = concurrency.EndpointQueues()
        self.in_flight: dict[int, tuple[queue.Claimed, Request, datetime]] = {}
        self.finished: list[settle.Settlement] = []
        self.finished_at = 0.0  # when the first of them was
        self.to_give_back: list[queue.Claimed] = []
        self.next_claim_at = self.earliest_claim_at = 0.0  # the first is 0.0 while more is certainly due
        self.may_claim_more = True
        self.troubled: dict[str, bool] = {}
        self.unanswered: Counter[str] = Counter()  # in a row by host, as far as the circuit breaker does not know them
        self.sweep_at = 0.0
        self.attempts = 0
        self.periodic: tuple[Callable[[], None], ...] = (sweep,)
        self.keys = count()

    def close(self) -> None:
        self.transport.close()
        self.db_thread.close()

    def run(self, is_stopping: Callable[[], bool] = lambda: False, periodic: Iterable[Callable[[], None]] = ()) -> int:
        """As the function `run`."""
        self.periodic = (sweep, *periodic)
        attempts_before, give_up_at = self.attempts, math.inf
        self.sweep_at = time.monotonic() + self.sweep_interval_s  # the sweep is a Celery task until then
        self.next_claim_at, self.may_claim_more = 0.0, True
        self.db_thread.refresh()
        while time.monotonic() < give_up_at:
            if stopping := is_stopping():
                self.to_give_back += self.queues.remove_waiting()
                give_up_at = min(give_up_at, time.monotonic() + SHUTDOWN_S)
            if self.db_thread.is_free:
                self._start_database_task(may_claim=not stopping)
            if not self.db_thread.is_unavailable:  # what cannot be recorded is not sent
                self._send()
            if self.in_flight:
                outcomes = self.transport.poll(*self._longest_wait(may_claim=not stopping))
                if not (outcomes or self.db_thread.is_busy):
                    wakeup.listener().resume()
                now = timezone.now()
                for outcome in outcomes:
                    self._finish(outcome, now)
            elif not (self.db_thread.is_busy or self.finished or self.to_give_back or self.queues.waiting):
                break
            elif not self.db_thread.is_busy:  # it is unavailable, or what waits is held
                time.sleep(POLL_S)
            self.db_thread.collect(0 if self.in_flight else POLL_S)
        wakeup.listener().pause()
        return self.attempts - attempts_before

    def _longest_wait(self, *, may_claim: bool) -> tuple[float, list[WakePipe]]:
        """How long to wait for the network, and what else ends the wait: only what can be acted upon then."""
        if self.db_thread.is_busy:
            return POLL_S, [self.db_thread.done]
        pause_s = self.earliest_claim_at - time.monotonic()
        if pause_s > 0:
            return min(pause_s, POLL_S), []
        can_claim = may_claim and self.db_thread.is_free and self.queues.waiting < concurrency.SLOTS
        return POLL_S, [wakeup.listener()] if can_claim else []

    # --- the database --------------------------------------------------------
    def _start_database_task(self, *, may_claim: bool) -> None:
        """Start the most urgent task, if there is one."""
        has_room = self.queues.waiting < concurrency.SLOTS or self.db_thread.is_unavailable
        if time.monotonic() >= self.sweep_at:  # first, or it would wait for as long as orders come
            self.sweep_at = time.monotonic() + self.sweep_interval_s
            self.db_thread.submit(lambda: [function() for function in self.periodic])
        elif self.to_give_back:
            self._give_back()
        elif self.finished and self._is_time_to_settle():
            self._settle()
        elif may_claim and has_room and self._is_time_to_claim():
            self._claim()

    def _give_back(self) -> None:
        claims, self.to_give_back = self.to_give_back, []
        self.scan_window.reset()
        self.db_thread.submit(lambda: queue.give_back(claims), on_failure=lambda: self.to_give_back.extend(claims))

    def _is_time_to_settle(self) -> bool:
        waited = time.monotonic() - self.finished_at
        if self.queues.waiting or not self.next_claim_at:
            return len(self.finished) >= BATCH_SIZE or waited >= SETTLE_AFTER_BUSY_S
        return not self.in_flight or len(self.finished) >= BATCH_SIZE or waited >= SETTLE_AFTER_S

    def _settle(self) -> None:
        batch, self.finished = self.finished, []
        unanswered, self.unanswered = self.unanswered, Counter()

        def count_attempts(_: object) -> None:
            self.attempts += len(batch)
            self.may_claim_more = True  # a host may have recovered; an *updated* may have waited for its *created*
            if any(_is_late(settlement) for settlement in batch):
                self.scan_window.reset()  # what waited for it was due long ago
            self.to_give_back += self.queues.release_long_holds(time.monotonic() + SHORT_HOLD_S)

        def keep() -> None:
            self.finished = batch + self.finished
            self.unanswered.update(unanswered)

        self.db_thread.submit(lambda: settle_batch(batch, self.troubled), count_attempts, keep)

    def _is_time_to_claim(self) -> bool:
        if self.may_claim_more and not self.in_flight:
            return True
        now = time.monotonic()
        if now < self.next_claim_at:
            return now >= self.earliest_claim_at and wakeup.listener().clear() and wakeup.take()
        if self.next_claim_at:
            wakeup.take()  # one that waits now was lost on its way to this process
        return True

    def _claim(self) -> None:
        full = self.queues.full()
        tripped = {host for host, failures in self.unanswered.items() if failures >= circuit_breaker.THRESHOLD}
        excluded = frozenset(full) | tripped
        start = self.scan_window.start(excluded | circuit_breaker.held(self.troubled), time.monotonic())
        scope = queue.Scope(full, tripped, start=start)
        self.db_thread.submit(
            lambda: claim_due(BATCH_SIZE, scope, self.lease),
            lambda found: self._accept(found, start, excluded),
            self._postpone_claim,
        )

    def _accept(self, found: ClaimResult, start: datetime | None, excluded: frozenset[int | str]) -> None:
        self.troubled, held = found.troubled, circuit_breaker.held(found.troubled)
        for host in held:
            self.to_give_back += self.queues.remove_waiting(host)
        self.to_give_back += [claimed for claimed in found.claims if not self.queues.put(claimed)]
        self._postpone_claim()
        self.may_claim_more = bool(found.claims)
        clock = time.monotonic()
        if found.is_more or not self.scan_window.record(start, found.now, excluded | held, found.took_s, clock):
            self.may_claim_more, self.next_claim_at = True, 0.0

    def _postpone_claim(self) -> None:
        self.may_claim_more, now = False, time.monotonic()
        self.next_claim_at, self.earliest_claim_at = now + self.claim_interval_s, now + MIN_CLAIM_INTERVAL_S

    # --- the network ---------------------------------------------------------
    def _send(self) -> None:
        began_at = timezone.now()
        if self.queues.release(time.monotonic()):
            self.scan_window.reset()
            self.may_claim_more, self.next_claim_at = True, 0.0
        for claimed in self.queues.start():
            if began_at > claimed.leased_until - MIN_LEASE_LEFT:
                self.queues.cancel(claimed)
                self.to_give_back.append(claimed)
                continue
            key = next(self.keys)
            try:
                request = _request(key, claimed, began_at)
            except RenderError as error:
                self._finish_unsent(key, claimed, began_at, "template", str(error))
            except SecretError as error:  # tried again: the secret can be read once the right key is back
                self._finish_unsent(key, claimed, began_at, "secret", str(error))
            except Exception:  # an error of ours with this one must not stop the others
                log.exception("request_not_built", delivery=claimed.pk, request_id=claimed.due.request_id)
                self._finish_unsent(key, claimed, began_at, "internal", KINDS["internal"])
            else:
                self.in_flight[key] = (claimed, request, began_at)
                self.transport.submit(request)

    def _finish_unsent(self, key: int, claimed: queue.Claimed, began_at: datetime, kind: str, sentence: str) -> None:
        """Record an attempt for which no request could be made."""
        method = claimed.endpoint.method if claimed.endpoint else ""
        self.in_flight[key] = (claimed, Request(key, method, url="", headers=(), body=None), began_at)
        self._finish(Outcome(key, None, kind, sentence), began_at)

    def _finish(self, outcome: Outcome, now: datetime) -> None:
        claimed, request, began_at = self.in_flight.pop(outcome.key)
        hold = None
        if asked_s := retry.asked_to_wait(outcome, now):
            hold = timedelta(seconds=self.queues.hold(claimed, asked_s))
        else:
            self.queues.finish(claimed, is_slow=outcome.error_kind == "timeout", is_success=outcome.is_success)
        self._count_unanswered(claimed.host, outcome)
        decision = retry.decide(
            outcome,
            retry_step=claimed.due.retry_step,
            was_gone=claimed.due.was_gone,
            now=now,
            jitter=random.random(),  # noqa: S311 - spreads load, keeps no secret
            hold=hold,
            age=now - claimed.due.created_at if hold else timedelta(),
        )
        hold_until = now + hold if hold else None
        if not self.finished:
            self.finished_at = time.monotonic()
        self.finished.append(settle.Settlement(claimed, began_at, request, outcome, *decision, hold_until))

    def _count_unanswered(self, host: str, outcome: Outcome) -> None:
        """Stop sending to a host after too many failures at once, not only when they are settled."""
        if not circuit_breaker.is_unanswered(outcome):
            self.unanswered.pop(host, None)
            return
        self.unanswered[host] += 1
        if self.unanswered[host] >= circuit_breaker.THRESHOLD:
            self.to_give_back += self.queues.remove_waiting(host)


def _is_late(settlement: settle.Settlement) -> bool:
    """Whether another event of its order may have waited for it for longer than the scan window looks back."""
    is_over = settlement.status != Delivery.Status.PENDING
    return is_over and settlement.began_at - settlement.claimed.due.created_at > LATE_COMMIT


def _request(key: int, claimed: queue.Claimed, began_at: datetime) -> Request:
    endpoint = claimed.endpoint
    assert endpoint is not None, "a delivery without a setting is skipped when it is claimed"
    return postback.build(
        key=key,
        event_id=claimed.due.variables["event.id"],
        happened_at=claimed.due.created_at,
        method=endpoint.method,
        template=endpoint.template,
        body_format=endpoint.body_format,
        secret=endpoint.secret,
        previous_secret=endpoint.previous_secret_at(began_at),
        variables=claimed.due.variables,
        timestamp=int(began_at.timestamp()),
        user_agent=USER_AGENT,
    )
