"""Empties the outbox: claim, render, send, settle, until nothing is due.

Many attempts are in flight at once; results are written in batches; no transaction is open while anything is on the
wire. What may be called and how is `callbacks.egress`, who may have how many requests in flight `callbacks.lanes`, when
again `callbacks.retry`, state `callbacks.outbox`.
"""

import logging
import math
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from itertools import count

from django.conf import settings
from django.db import DataError, InterfaceError, OperationalError, connection
from django.utils import timezone

from callbacks import addresses, bell, breaker, lanes, messages, outbox, retry
from callbacks.egress import Transport
from callbacks.models import Delivery
from callbacks.outcomes import Outcome, Request
from callbacks.templating import RenderError

log = logging.getLogger(__name__)

BATCH = 500
# While attempts are in flight the pump looks for newly due deliveries when the bell rings, and this often without it.
LOOK_AGAIN_S = 0.5
# Finished attempts are written at the latest after this time, so that a slow one does not hold back the others; while
# more is waiting to be sent they are collected for longer, because a large batch costs little more than a small one.
SETTLE_AFTER_S = 0.02
SETTLE_AFTER_BUSY_S = 0.2
# A database that does not answer is asked again this often; what is finished waits for it until the leases end.
DATABASE_AGAIN_S = 0.5
# A worker that was asked to stop finishes what is in flight; this is longer than the longest attempt.
GIVE_UP_S = 15.0
# What has waited here until its lease would end before its answer comes is given back unsent: whoever takes the lease
# over sends it, and it must not be sent twice.
ATTEMPT_AT_MOST = timedelta(seconds=15)
# Pumps of all processes may be busy for hours, and no sweep gets its turn then.
SWEEP_EVERY_S = 2.0


@cache
def of_process() -> "Pump":
    """This process's pump. It lives as long as the process: connections stay open between bells, what was learned of
    an endpoint is kept, and what a run that ended by an exception left in flight is finished by the next.
    """
    policy = addresses.policy_from(settings)
    return Pump(Transport(policy, ca_bundle=settings.CALLBACKS_CA_BUNDLE, max_in_flight=lanes.PLACES))


def run(is_stopping: Callable[[], bool] = lambda: False) -> int:
    """Send everything that is due or becomes due meanwhile; returns the number of attempts.

    Once `is_stopping` says so nothing more is started; what is in flight is finished and recorded.
    """
    return of_process().until_empty(is_stopping)


def sweep() -> None:
    """Say that this worker is alive, and return what dead workers held."""
    bell.beat_heart()
    if recovered := outbox.recover():
        log.warning("leases_recovered count=%d", recovered)


class Pump:
    """For one thread of one process, as its transport is."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.lanes: lanes.Lanes[outbox.Claimed] = lanes.Lanes()
        self.started: dict[int, tuple[outbox.Claimed, Request, datetime]] = {}
        self.finished: list[outbox.Settlement] = []
        self.finished_at = 0.0
        self.returned: list[outbox.Claimed] = []
        self.look_again_at = 0.0
        self.troubled: dict[str, bool] = {}
        self.silent: Counter[str] = Counter()  # failures in a row that the breaker has not been told of yet
        self.database_again_at = 0.0
        self.sweep_at = 0.0
        self.attempts = 0
        self.keys = count()

    def until_empty(self, is_stopping: Callable[[], bool]) -> int:
        before, give_up_at = self.attempts, math.inf
        self.sweep_at = time.monotonic() + SWEEP_EVERY_S  # a sweep rang, or has its turn beside this pump
        while time.monotonic() < give_up_at:
            if time.monotonic() >= self.sweep_at:
                self.sweep_at = time.monotonic() + SWEEP_EVERY_S
                self._database(sweep)
            if is_stopping():
                self.returned += self.lanes.take_out()
                give_up_at = min(give_up_at, time.monotonic() + GIVE_UP_S)
            elif self.lanes.waiting < lanes.PLACES and self._is_time_to_look():
                self._database(self._claim)
            if time.monotonic() >= self.database_again_at:  # what cannot be recorded is not sent
                self._start()
            if not (self.started or self.finished or self.returned):
                break
            if self.returned:
                self._database(self._give_back)
            for outcome in self.transport.poll(0.01) if self.started else ():
                self._finish(outcome)
            if self.finished and self._is_time_to_settle():
                self._database(self._settle)
        return self.attempts - before

    # --- the database --------------------------------------------------------
    def _database(self, do: Callable[[], None]) -> None:
        """Do it, unless the database is away; then the loop goes on and comes back to it."""
        if time.monotonic() < self.database_again_at:
            time.sleep(0 if self.started else 0.05)
            return
        try:
            do()
        except (OperationalError, InterfaceError) as error:
            log.warning("database_away error=%s", type(error).__name__)
            connection.close()
            self.database_again_at = time.monotonic() + DATABASE_AGAIN_S

    def _is_time_to_look(self) -> bool:
        return bell.answer() or not self.started or time.monotonic() >= self.look_again_at

    def _is_time_to_settle(self) -> bool:
        waited = time.monotonic() - self.finished_at
        if self.lanes.waiting or not self.look_again_at:
            return len(self.finished) >= BATCH or waited >= SETTLE_AFTER_BUSY_S
        return not self.started or len(self.finished) >= BATCH or waited >= SETTLE_AFTER_S

    def _claim(self) -> None:
        self.troubled = breaker.troubled()
        held = {host for host, is_held in self.troubled.items() if is_held}
        for host in held:
            self.returned += self.lanes.take_out(host)
        self._give_back()
        just_tripped = {host for host, failures in self.silent.items() if failures >= breaker.THRESHOLD}
        for host in breaker.take_probes() if held else ():
            self._take(outbox.claim(1, only_host=host))
        claims = outbox.claim(BATCH, but_settings=self.lanes.full(), but_hosts=held | just_tripped)
        self.look_again_at = 0.0 if len(claims) == BATCH else time.monotonic() + LOOK_AGAIN_S
        self._take(claims)
        self._give_back()

    def _take(self, claims: list[outbox.Claimed]) -> None:
        for claimed in claims:
            if claimed.template is None:
                outbox.skip(claimed, Delivery.SkipReason.SETTING_DELETED)
            elif not self.lanes.offer(claimed):
                self.returned.append(claimed)

    def _give_back(self) -> None:
        outbox.give_back(self.returned)
        self.returned = []

    def _settle(self) -> None:
        try:
            outbox.settle(self.finished)
        except DataError:  # an answer that the database cannot hold; the others of its batch must not pay for it
            log.exception("batch_not_settled count=%d", len(self.finished))
            for settlement in self.finished:
                _settle_alone(settlement)
        results = [(s.claimed.host, breaker.is_silent(s.outcome)) for s in self.finished]
        self.attempts += len(self.finished)
        self.finished = []
        self.silent.clear()
        breaker.note(results, self.troubled)

    # --- the wire ------------------------------------------------------------
    def _start(self) -> None:
        for claimed in self.lanes.start():
            began_at = timezone.now()
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

    def _refuse(self, key: int, claimed: outbox.Claimed, began_at: datetime, kind: str, sentence: str) -> None:
        """Record an attempt that had nothing to send."""
        request = Request(key=key, method=claimed.method or "", url="", headers=(), body=None)
        self.started[key] = (claimed, request, began_at)
        self._finish(Outcome(key, None, kind, sentence))

    def _finish(self, outcome: Outcome) -> None:
        claimed, request, began_at = self.started.pop(outcome.key)
        self.lanes.finish(claimed, is_slow=outcome.error_kind == "timeout")
        self._listen(claimed.host, outcome)
        verdict = retry.decide(
            outcome,
            retry_step=claimed.retry_step,
            was_gone=claimed.last_status_code == 410,
            now=timezone.now(),
            jitter=random.random(),  # noqa: S311 - spreads load, keeps no secret
        )
        if not self.finished:
            self.finished_at = time.monotonic()
        self.finished.append(
            outbox.Settlement(
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
        if not breaker.is_silent(outcome):
            self.silent.pop(host, None)
            return
        self.silent[host] += 1
        if self.silent[host] >= breaker.THRESHOLD:
            self.returned += self.lanes.take_out(host)


def _settle_alone(settlement: outbox.Settlement) -> None:
    """Settle one; if the database cannot hold its answer, without that."""
    try:
        outbox.settle([settlement])
    except DataError:
        bare = replace(settlement.outcome, response_headers=(), response_excerpt="")
        outbox.settle([replace(settlement, outcome=bare)])


def _request(key: int, claimed: outbox.Claimed, began_at: datetime) -> Request:
    return messages.build(
        key=key,
        event_id=str(claimed.event_id),
        happened_at=claimed.created_at,
        method=claimed.method or "",
        template=claimed.template or "",
        body_format=claimed.body_format or "",
        secret=claimed.secret or "",
        previous_secret=claimed.previous_secret_at(began_at),
        variables=claimed.variables,
        timestamp=int(began_at.timestamp()),
        user_agent=f"AffiliatePostbacks/{settings.VERSION}",
    )
