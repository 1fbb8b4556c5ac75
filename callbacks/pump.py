"""Empties the outbox: claim, render, send, settle, until nothing is due.

Many attempts are in flight at once; results are written in batches; no transaction is open while anything is on the
wire. What may be called and how is `callbacks.egress`, when again is `callbacks.retry`, state is `callbacks.outbox`.
"""

import logging
import random
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from functools import cache

from django.conf import settings
from django.utils import timezone

from callbacks import addresses, bell, messages, outbox, retry
from callbacks.egress import Transport
from callbacks.models import Delivery
from callbacks.outcomes import Outcome, Request
from callbacks.templating import RenderError

log = logging.getLogger(__name__)

IN_FLIGHT = 256
BATCH = 500
# While attempts are in flight the pump looks for newly due deliveries when the bell rings, and this often without it.
LOOK_AGAIN_S = 0.5
# Finished attempts are written at the latest after this time, so that a slow one does not hold back the others.
SETTLE_AFTER_S = 0.02


@cache
def transport() -> Transport:
    """This process's transport. It lives as long as the process, so connections stay open between bells."""
    return Transport(addresses.policy_from(settings), ca_bundle=settings.CALLBACKS_CA_BUNDLE, max_in_flight=IN_FLIGHT)


def run(is_stopping: Callable[[], bool] = lambda: False) -> int:
    """Send everything that is due or becomes due meanwhile; returns the number of attempts.

    Once `is_stopping` says so nothing more is started; what is in flight is finished and recorded.
    """
    return _Run(transport(), is_stopping).until_empty()


class _Run:
    def __init__(self, transport: Transport, is_stopping: Callable[[], bool]) -> None:
        self.transport = transport
        self.is_stopping = is_stopping
        self.waiting: deque[outbox.Claimed] = deque()
        self.started: dict[int, tuple[outbox.Claimed, Request, datetime]] = {}
        self.finished: list[outbox.Settlement] = []
        self.finished_at = 0.0
        self.look_again_at = 0.0
        self.attempts = 0

    def until_empty(self) -> int:
        while True:
            if self.is_stopping():
                outbox.give_back(self.waiting)
                self.waiting.clear()
            elif len(self.waiting) < IN_FLIGHT and self._is_time_to_look():
                self._claim()
            self._start()
            if not self.started and not self.finished:
                return self.attempts
            for outcome in self.transport.poll(0.01) if self.started else ():
                self._finish(outcome)
            if self.finished and self._is_time_to_settle():
                outbox.settle(self.finished)
                self.attempts += len(self.finished)
                self.finished = []

    def _is_time_to_look(self) -> bool:
        return bell.answer() or not self.started or time.monotonic() >= self.look_again_at

    def _is_time_to_settle(self) -> bool:
        waited = time.monotonic() - self.finished_at
        return not self.started or len(self.finished) >= BATCH or waited >= SETTLE_AFTER_S

    def _claim(self) -> None:
        claimed = outbox.claim(BATCH)
        full = len(claimed) == BATCH
        self.look_again_at = 0.0 if full else time.monotonic() + LOOK_AGAIN_S
        for delivery in claimed:
            if delivery.template is None:
                outbox.skip(delivery, Delivery.SkipReason.SETTING_DELETED)
            else:
                self.waiting.append(delivery)

    def _start(self) -> None:
        while self.waiting and self.transport.in_flight < IN_FLIGHT:
            claimed, began_at = self.waiting.popleft(), timezone.now()
            try:
                request = _request(claimed, began_at)
            except RenderError as error:
                self._refuse(claimed, began_at, "template", str(error))
            except Exception:  # our own bug with this one must not keep the others waiting
                log.exception("request_not_built delivery=%d", claimed.pk)
                self._refuse(claimed, began_at, "internal", "This could not be sent because of an error on our side.")
            else:
                self.started[claimed.pk] = (claimed, request, began_at)
                self.transport.submit(request)

    def _refuse(self, claimed: outbox.Claimed, began_at: datetime, kind: str, sentence: str) -> None:
        """Record an attempt that had nothing to send."""
        request = Request(key=claimed.pk, method=claimed.method or "", url="", headers=(), body=None)
        self.started[claimed.pk] = (claimed, request, began_at)
        self._finish(Outcome(claimed.pk, None, kind, sentence))

    def _finish(self, outcome: Outcome) -> None:
        claimed, request, began_at = self.started.pop(outcome.key)
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


def _request(claimed: outbox.Claimed, began_at: datetime) -> Request:
    return messages.build(
        key=claimed.pk,
        event_id=str(claimed.event_id),
        happened_at=claimed.created_at,
        method=claimed.method or "",
        template=claimed.template or "",
        body_format=claimed.body_format or "",
        secret=claimed.secret or "",
        variables=claimed.variables,
        timestamp=int(began_at.timestamp()),
        user_agent=f"AffiliatePostbacks/{settings.VERSION}",
    )
