"""Empties the outbox: claim, render, send, settle, until nothing is due.

Many attempts are in flight at once; results are written in batches; no transaction is open while anything is on the
wire. What may be called and how is `callbacks.egress.transport`, who may have how many requests in flight `callbacks.delivery.concurrency`, when
again `callbacks.delivery.retry`, state `callbacks.delivery.outbox`.
"""

import logging
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import cache
from itertools import count

from django.conf import settings
from django.utils import timezone

from callbacks.delivery import circuit_breaker, concurrency, queue, retry, settle, wakeup
from callbacks.delivery.db_thread import DatabaseThread, Found, claim_due, write_down
from callbacks.delivery.scan_window import ScanWindow
from callbacks.delivery.wakeup import WakePipe
from callbacks.egress.outcome import Outcome, Request
from callbacks.egress.transport import Transport, transport_from
from callbacks.postback import request as messages
from callbacks.postback.render import RenderError

log = logging.getLogger(__name__)

BATCH = 500
# While attempts are in flight the pump looks for newly due deliveries when the bell rings, and this often without it.
# But not more often than this: each look is a transaction, for which the others who write have to wait.
LOOK_AGAIN_S, LOOK_PAUSE_S = 0.5, 0.003
# Finished attempts are written at the latest after this time, so that a slow one does not hold back the others; while
# more is waiting to be sent they are collected for longer, because a large batch costs little more than a small one.
SETTLE_AFTER_S = 0.02
SETTLE_AFTER_BUSY_S = 0.2
# How long the wire is waited for at a time, if neither the bell nor the clerk ends that.
POLL_S = 0.005
USER_AGENT = messages.user_agent(settings.VERSION)
# A worker that was asked to stop finishes what is in flight; this is longer than the longest attempt.
GIVE_UP_S = 12.0
# What has waited here until its lease would end before its answer comes is given back unsent: whoever takes the lease
# over sends it, and it must not be sent twice.
ATTEMPT_AT_MOST = timedelta(seconds=15)
# Pumps of all processes may be busy for hours, and no sweep gets its turn then, nor does any errand.
SWEEP_EVERY_S = 2.0


@cache
def of_process() -> "Dispatcher":
    """This process's pump. It lives as long as the process: connections stay open between bells, what was learned of
    an endpoint is kept, and what a run that ended by an exception left in flight is finished by the next.
    """
    return Dispatcher(transport_from(settings, max_in_flight=concurrency.PLACES))


def run(
    is_stopping: Callable[[], bool] = lambda: False,
    *,
    is_woken: bool = False,
    chores: Iterable[Callable[[], None]] = (),
) -> int:
    """Send everything that is due or becomes due meanwhile; returns the number of attempts.

    Once `is_stopping` says so nothing more is started; what is in flight is finished and recorded. `is_woken`: somebody
    saved something or it is time for a sweep, so that what was passed over lately need not be looked through again.
    `chores` are done beside it every `SWEEP_EVERY_S`, after the sweep.
    """
    dispatcher = of_process()
    if not is_woken:
        dispatcher.horizon.forget()
    return dispatcher.until_empty(is_stopping, chores)


def sweep() -> None:
    """Say that this worker is alive, and return what dead workers held."""
    wakeup.record_heartbeat()
    if recovered := queue.recover():
        log.warning("leases_recovered count=%d", recovered)


class Dispatcher:
    """For one process: the wire is driven by the thread that calls, the database is its clerk's."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.clerk = DatabaseThread()
        self.horizon = ScanWindow()
        self.lanes: concurrency.EndpointQueues[queue.Claimed] = concurrency.EndpointQueues()
        self.started: dict[int, tuple[queue.Claimed, Request, datetime]] = {}
        self.finished: list[settle.Settlement] = []
        self.finished_at = 0.0
        self.returned: list[queue.Claimed] = []
        self.look_again_at = self.pause_until = 0.0
        self.may_find_more = True
        self.troubled: dict[str, bool] = {}
        self.silent: Counter[str] = Counter()  # failures in a row that the breaker has not been told of yet
        self.sweep_at = 0.0
        self.attempts = 0
        self.chores: tuple[Callable[[], None], ...] = (sweep,)
        self.keys = count()

    def close(self) -> None:
        self.transport.close()
        self.clerk.close()

    def until_empty(self, is_stopping: Callable[[], bool], chores: Iterable[Callable[[], None]] = ()) -> int:
        self.chores = (sweep, *chores)
        before, give_up_at = self.attempts, math.inf
        self.sweep_at = time.monotonic() + SWEEP_EVERY_S  # a sweep rang, or has its turn beside this pump
        self.look_again_at, self.may_find_more = 0.0, True
        self.clerk.refresh()
        while time.monotonic() < give_up_at:
            if stopping := is_stopping():
                self.returned += self.lanes.take_out()
                give_up_at = min(give_up_at, time.monotonic() + GIVE_UP_S)
            if self.clerk.is_free:
                self._employ(may_look=not stopping)
            if not self.clerk.is_away:  # what cannot be recorded is not sent
                self._start()
            if self.started:
                outcomes = self.transport.poll(*self._patience(may_look=not stopping))
                if not (outcomes or self.clerk.is_busy):
                    wakeup.listener().open()
                now = timezone.now()
                for outcome in outcomes:
                    self._finish(outcome, now)
            elif not (self.clerk.is_busy or self.finished or self.returned or self.lanes.waiting):
                break
            elif not self.clerk.is_busy and not self.clerk.is_free:
                time.sleep(POLL_S)
            self.clerk.collect(0 if self.started else POLL_S)
        wakeup.listener().shut()
        return self.attempts - before

    def _patience(self, *, may_look: bool) -> tuple[float, list[WakePipe]]:
        """How long the wire is waited for at a time, and what else ends that: only what will then be heard."""
        if self.clerk.is_busy:
            return POLL_S, [self.clerk.done]
        pause_s = self.pause_until - time.monotonic()
        may_hear = may_look and self.clerk.is_free and self.lanes.waiting < concurrency.PLACES
        return (min(pause_s, POLL_S), []) if pause_s > 0 else (POLL_S, [wakeup.listener()] if may_hear else [])

    # --- the database --------------------------------------------------------
    def _employ(self, *, may_look: bool) -> None:
        """Give the clerk what is most urgent, if anything is."""
        if self.returned:
            returned, self.returned = self.returned, []
            self.horizon.forget()
            self.clerk.do(lambda: queue.give_back(returned), lambda _: None, lambda: self.returned.extend(returned))
        elif self.finished and self._is_time_to_settle():
            self._have_settled()
        elif may_look and (self.lanes.waiting < concurrency.PLACES or self.clerk.is_away) and self._is_time_to_look():
            self._have_looked()
        elif time.monotonic() >= self.sweep_at:
            self.sweep_at = time.monotonic() + SWEEP_EVERY_S
            self.clerk.do(self._do_chores, lambda _: None, lambda: None)

    def _do_chores(self) -> None:
        for chore in self.chores:
            chore()

    def _is_time_to_look(self) -> bool:
        is_idle, now = self.may_find_more and not self.started, time.monotonic()
        if is_idle or now < self.look_again_at:
            return is_idle or (now >= self.pause_until and wakeup.listener().hear() and wakeup.take())
        if self.look_again_at:
            wakeup.take()  # a ring that waits now got lost on its way here
        return True

    def _is_time_to_settle(self) -> bool:
        waited = time.monotonic() - self.finished_at
        if self.lanes.waiting or not self.look_again_at:
            return len(self.finished) >= BATCH or waited >= SETTLE_AFTER_BUSY_S
        return not self.started or len(self.finished) >= BATCH or waited >= SETTLE_AFTER_S

    def _found_nothing(self) -> None:
        self.may_find_more = False
        now = time.monotonic()
        self.look_again_at, self.pause_until = now + LOOK_AGAIN_S, now + LOOK_PAUSE_S

    def _have_looked(self) -> None:
        full = self.lanes.full()
        tripped = {host for host, failures in self.silent.items() if failures >= circuit_breaker.THRESHOLD}
        alone = frozenset(full) | tripped
        since = self.horizon.since(alone | circuit_breaker.held(self.troubled), time.monotonic())

        def take(found: Found) -> None:
            self._take(found)
            held = circuit_breaker.held(found.troubled)
            if not found.is_more and not self.horizon.saw(
                since, found.now, alone | held, found.took_s, time.monotonic()
            ):
                self.may_find_more, self.look_again_at = True, 0.0

        self.clerk.do(lambda: claim_due(full, tripped, BATCH, since), take, self._found_nothing)

    def _take(self, found: Found) -> None:
        self.troubled = found.troubled
        self._found_nothing()
        for host in circuit_breaker.held(found.troubled):
            self.returned += self.lanes.take_out(host)
        self.may_find_more = bool(found.claims)
        if found.is_more:
            self.look_again_at = 0.0
        self.returned += [claimed for claimed in found.claims if not self.lanes.offer(claimed)]

    def _have_settled(self) -> None:
        batch, self.finished = self.finished, []
        silent, self.silent = self.silent, Counter()
        troubled = self.troubled

        def count_them(_: object) -> None:
            self.attempts += len(batch)
            self.may_find_more = True  # a host may have healed, and an update had to wait for its order's first attempt

        def keep_them() -> None:
            self.finished = batch + self.finished
            self.silent.update(silent)

        self.clerk.do(lambda: write_down(batch, troubled), count_them, keep_them)

    # --- the wire ------------------------------------------------------------
    def _start(self) -> None:
        began_at = timezone.now()
        for claimed in self.lanes.start():
            if began_at > claimed.leased_until - ATTEMPT_AT_MOST:
                self.lanes.cancel(claimed)
                self.returned.append(claimed)
                continue
            key = next(self.keys)
            try:
                request = _request(key, claimed, began_at)
            except RenderError as error:
                self._refuse(key, claimed, began_at, "template", str(error))
            except Exception:  # our own bug with this one must not keep the others waiting
                log.exception("request_not_built delivery=%d", claimed.pk)
                self._refuse(
                    key, claimed, began_at, "internal", "This could not be sent because of an error on our side."
                )
            else:
                self.started[key] = (claimed, request, began_at)
                self.transport.submit(request)

    def _refuse(self, key: int, claimed: queue.Claimed, began_at: datetime, kind: str, sentence: str) -> None:
        """Record an attempt that had nothing to send."""
        request = Request(
            key=key, method=claimed.endpoint.method if claimed.endpoint else "", url="", headers=(), body=None
        )
        self.started[key] = (claimed, request, began_at)
        self._finish(Outcome(key, None, kind, sentence), began_at)

    def _finish(self, outcome: Outcome, now: datetime) -> None:
        claimed, request, began_at = self.started.pop(outcome.key)
        self.lanes.finish(claimed, is_slow=outcome.error_kind == "timeout")
        self._listen(claimed.host, outcome)
        verdict = retry.decide(
            outcome,
            retry_step=claimed.due.retry_step,
            was_gone=claimed.due.last_status_code == 410,
            now=now,
            jitter=random.random(),  # noqa: S311 - spreads load, keeps no secret
        )
        if not self.finished:
            self.finished_at = time.monotonic()
        self.finished.append(
            settle.Settlement(
                claimed=claimed,
                began_at=began_at,
                request=request,
                outcome=outcome,
                status=verdict.state,
                next_attempt_at=verdict.next_attempt_at,
                retry_step=verdict.retry_step,
                pause_setting=verdict.pause_setting,
            )
        )

    def _listen(self, host: str, outcome: Outcome) -> None:
        """Stop sending to a host as soon as it has been silent too often, not only when that is written down."""
        if not circuit_breaker.is_silent(outcome):
            self.silent.pop(host, None)
            return
        self.silent[host] += 1
        if self.silent[host] >= circuit_breaker.THRESHOLD:
            self.returned += self.lanes.take_out(host)


def _request(key: int, claimed: queue.Claimed, began_at: datetime) -> Request:
    endpoint = claimed.endpoint
    assert endpoint is not None, "one without a setting is skipped when it is claimed"
    return messages.build(
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
