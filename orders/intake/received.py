"""Applies the messages that were only stored, in the order in which they came: what a worker does for `receive`.

A message is applied in the transaction that says so. A worker that dies has applied nothing of its batch, and two
cannot apply one message: on PostgreSQL only one worker applies at a time, on SQLite only one writes at a time.
"""

import time
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import timedelta

import structlog
from django.core.exceptions import ValidationError
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.utils import timezone

from config.db_outages import outage
from orders.intake import applying, place
from orders.intake.incoming import IncomingOrder
from orders.intake.place import UnknownOrderError
from orders.models import Message

BATCH = 25  # who writes meanwhile waits for it on SQLite, and for its orders on PostgreSQL
AGE = timedelta(seconds=2)  # from when on they are applied: what comes in a burst is answered first
TIME_S = 0.5  # for how long one run keeps a worker
BATCH_S = 0.1  # and a batch whose messages are applied one by one keeps what it locks
FAILURES = 3  # in one run, each of which may have waited for a lock
_LOCK = 7_286_110_923_441  # any number that nothing else in the database has

log = structlog.get_logger(__name__)


def run() -> None:
    """Apply what was received, for a bounded time. Another worker that does so already is left alone."""
    until = time.monotonic() + TIME_S
    while time.monotonic() < until and (keys := _oldest()):
        try:
            if not _apply_batch(keys, until=time.monotonic() + BATCH_S):
                return
        except (DatabaseError, InterfaceError) as error:  # one may be why, and must not hold back the others for ever
            log.warning("messages_not_applied", count=len(keys), error=type(error).__name__)
            _apply_each(keys)
            return


def _oldest() -> list[int]:
    now = timezone.now()
    received = Message.objects.filter(outcome=Message.Outcome.RECEIVED).exclude(received_at__range=(now - AGE, now))
    return list(received.order_by("pk").values_list("pk", flat=True)[:BATCH])


def _apply_each(keys: Sequence[int]) -> None:
    """Apply each in a transaction of its own. One that fails stays, with those that came later about its order.

    Raises the last error after some of them.
    """
    found = Message.objects.filter(pk__in=keys).values_list("pk", "shop", "external_id")
    about = {pk: (shop, key) for pk, shop, key in found}
    failed: set[tuple[int, str] | None] = set()
    until = time.monotonic() + TIME_S
    for pk in keys:
        if about.get(pk) in failed or time.monotonic() > until:
            continue
        try:
            _apply_batch([pk], until=until)
        except (DatabaseError, InterfaceError):
            failed.add(about.get(pk))
            if len(failed) == FAILURES:
                raise
            until = time.monotonic() + TIME_S


def _apply_batch(keys: Collection[int], until: float) -> bool:
    """Apply those of these that nobody has applied yet, in one transaction. False if another worker is at it."""
    with transaction.atomic():
        if not _is_alone():
            return False
        found = Message.objects.filter(pk__in=keys, outcome=Message.Outcome.RECEIVED)
        applying.lock_orders(found.only("shop_id", "external_id"))
        messages = list(found.select_for_update(no_key=True, of=("self",)).select_related("shop").order_by("pk"))
        # What depends on another one waits for it: those about one order, and those that name none.
        about = Counter((message.shop_id, message.external_id) for message in messages)
        alone = [each for each in messages if each.external_id and about[each.shop_id, each.external_id] == 1]
        together = _apply_together(alone) if len(alone) > 1 else set()
        for message in messages:
            if message.pk not in together and time.monotonic() < until:
                applying.apply(message)
    return True


def _is_alone() -> bool:
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        return bool(cursor.fetchone()[0])


def _apply_together(messages: Sequence[Message]) -> set[int]:
    """Apply these, each about another order, and return their keys; none if something of ours fails."""
    try:
        with transaction.atomic():
            incoming = {message: order for message in messages if (order := _translated(message))}
            for message, result in zip(incoming, place.place_many(list(incoming.values())), strict=True):
                applying.conclude(message, result)
            Message.objects.bulk_update(messages, ["order", "outcome", "reason"])
            created = [message for message in messages if message.outcome == Message.Outcome.CREATED]
            applying.apply_waiting(created)
    except Exception as error:
        if outage(error):
            raise
        log.exception("messages_not_applied_together", count=len(messages))
        return set()
    return {message.pk for message in messages}


def _translated(message: Message) -> IncomingOrder | None:
    try:
        return applying.translated(message)
    except (ValidationError, UnknownOrderError) as error:
        applying.conclude(message, error)
        return None
