"""The only writer of delivery state: record, claim, settle, recover; what a person resends is `callbacks.delivery.resend`.

The database is the queue. Every change of state is conditional on the state it starts from, so two workers, two
sweeps or a person and a worker can meet on one row and only one of them wins. Sending is somebody else's.
"""

import json
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from affiliates.models import Affiliate
from callbacks.delivery import attempts, order_events, queue, subscriptions, wakeup
from callbacks.delivery.order_events import Happening
from callbacks.delivery.queue import Due, Endpoint
from callbacks.delivery.subscriptions import Listener
from callbacks.egress.outcome import Outcome, Request
from callbacks.models import Attempt, CallbackSetting, Delivery, history, sql
from callbacks.models.delivery import new_event_id
from callbacks.postback.variables import Event, snapshot
from orders.models import Order

# How long a claimed delivery belongs to its worker. Longer than the longest attempt (10 s) plus the longest wait for
# a free place among the attempts in flight; a dead worker's deliveries go out after this time.
LEASE = timedelta(seconds=60)

Status, Skip = Delivery.Status, Delivery.SkipReason


# --- record ------------------------------------------------------------------
def record(orders: Iterable[Order]) -> int:
    """Write a delivery for each callback setting that wants to hear of these just saved orders.

    Runs in the transaction that saved them. Returns how many deliveries are due.
    """
    return tell([happening for order in orders for happening in order_events.of(order)])


def tell(news: Sequence[Happening], origin: str = Delivery.Origin.EVENT, *, only_setting: int | None = None) -> int:
    """Write a delivery for each of `news` and each callback setting, or this one, that wants to hear of it.

    Rings the bell after the commit of the transaction around. A setting that exists but does not apply gets a skipped
    delivery with the reason. Returns how many deliveries are due.
    """
    if not news:
        return 0
    wanted: dict[tuple[int, str], list[Listener]] = defaultdict(list)
    for listener in subscriptions.of({happening.affiliate_id for happening in news}):
        if only_setting in (None, listener.setting_id):
            wanted[listener.affiliate_id, listener.event].append(listener)
    told = [(h, listener) for h in news for listener in wanted[h.affiliate_id, h.event]]
    if not told:
        return 0
    links = order_events.link_urls(happening for happening, _ in told)
    rows = [_row(h, listener, links.get(h.state.link_id or 0, ""), origin) for h, listener in told]
    sql.insert(Delivery._meta.db_table, _COLUMNS, rows)  # noqa: SLF001 - Django's documented name
    count = len([row for row in rows if row[_COLUMNS.index("status")] == Status.PENDING])
    if count:
        transaction.on_commit(wakeup.ring, robust=True)
    return count


_COLUMNS = (
    "event_id", "setting_id", "affiliate_id", "order_id", "event", "status", "skip_reason", "next_attempt_at",
    "variables", "created_at", "next_trigger", "retry_step", "attempt_count", "last_error_kind",
    "origin",
)  # fmt: skip


def _row(happening: Happening, listener: Listener, link_url: str, origin: str) -> tuple[Any, ...]:
    event_id = new_event_id()
    event = Event(
        type=happening.event.value,
        event_id=str(event_id),
        order=happening.state,
        created_at=happening.order.created_at,
        affiliate_code=listener.affiliate_code,
        link_url=link_url,
    )
    reason = _reason_to_skip(listener, happening)
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    return (
        _as_column(event_id),
        listener.setting_id,
        listener.affiliate_id,
        happening.order.pk,
        happening.event.value,
        Status.SKIPPED.value if reason else Status.PENDING.value,
        reason.value,
        None if reason else now,
        json.dumps(snapshot(event)),
        now,
        Delivery.Trigger.INITIAL.value,
        0,
        0,
        "",
        str(origin),
    )


def _as_column(number: uuid.UUID) -> uuid.UUID | str:
    return number if connection.features.has_native_uuid_field else number.hex


def _reason_to_skip(listener: Listener, happening: Happening) -> Delivery.SkipReason:
    if listener.affiliate_status == Affiliate.Status.BLOCKED:
        return Skip.AFFILIATE_BLOCKED
    if not listener.is_active:
        return Skip.PAUSED
    is_left_out = listener.only_statuses and happening.reached not in listener.only_statuses
    return Skip.FILTERED if is_left_out else Skip.NONE


# --- claim -------------------------------------------------------------------
class Claimed(NamedTuple):
    """A delivery that is this worker's until its lease ends. It has no endpoint if its setting was deleted."""

    token: uuid.UUID
    leased_until: datetime
    endpoint: Endpoint | None
    due: Due

    @property
    def pk(self) -> int:
        return self.due.pk

    @property
    def setting_id(self) -> int | None:
        return self.due.setting_id

    @property
    def host(self) -> str:
        return self.endpoint.host if self.endpoint else ""


def claim(
    limit: int,
    *,
    but_settings: Collection[int] = (),
    but_hosts: Collection[str] = (),
    only_host: str | None = None,
    since: datetime | None = None,
) -> list[Claimed]:
    """Take up to `limit` due deliveries for `LEASE`: first attempts before retries, then the earliest due.

    Those of `but_settings` and `but_hosts` stay where they are; with `only_host`, those of all other hosts do,
    with `since` those that were due before.
    """
    but = {"but_settings": but_settings, "but_hosts": but_hosts, "only_host": only_host, "since": since}
    # Where rows are locked as they are read, until the transaction ends. Elsewhere (SQLite) reading locks nobody out,
    # and only the conditional update below has to wait for its turn.
    locks = connection.features.has_select_for_update_skip_locked
    with transaction.atomic() if locks else nullcontext():
        found = queue.first_attempts(limit, **but)
        if len(found) < limit:
            found += queue.retries(limit - len(found), **but)
        return _take(found) if found else []


_TAKE = """
UPDATE callbacks_delivery SET status = 'sending', claim_token = %s, leased_until = %s, next_attempt_at = NULL
WHERE status = 'pending' AND id
"""


def _take(found: list[Due]) -> list[Claimed]:
    token, leased_until = uuid.uuid4(), timezone.now() + LEASE
    among, ids = sql.one_of(row.pk for row in found)
    as_columns = (_as_column(token), connection.ops.adapt_datetimefield_value(leased_until))
    with connection.cursor() as cursor:
        cursor.execute(f"{_TAKE} {among}", [*as_columns, ids])
        count = cursor.rowcount
    if count < len(found):  # somebody else was quicker
        ours = set(Delivery.objects.filter(claim_token=token).values_list("pk", flat=True))
        found = [row for row in found if row.pk in ours]
    endpoints = queue.endpoints({row.setting_id for row in found if row.setting_id})
    return [Claimed(token, leased_until, endpoints.get(row.setting_id or 0), row) for row in found]


# --- settle ------------------------------------------------------------------
class Settlement(NamedTuple):
    """The end of one attempt: what was sent and answered, and what follows for its delivery."""

    claimed: Claimed
    began_at: datetime
    request: Request
    outcome: Outcome
    status: str
    next_attempt_at: datetime | None
    retry_step: int
    pause_setting: bool = False


def settle(settlements: Sequence[Settlement]) -> None:
    """Write the attempts and the next state of their deliveries, in one transaction.

    A delivery whose lease was lost meanwhile keeps the state that its new owner gave it; the attempt is kept all the
    same, since it was made. One that was deleted meanwhile takes its attempt with it.
    """
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for s in settlements:
        key = (s.claimed.token, s.status, s.next_attempt_at, s.retry_step, s.outcome.status_code, s.outcome.error_kind)
        groups[key].append(s.claimed.pk)
    rows = attempts.rows((s.claimed.pk, s.claimed.due.trigger, s.began_at, s.request, s.outcome) for s in settlements)
    now, owned = timezone.now(), 0
    with transaction.atomic():
        for (token, status, next_attempt_at, retry_step, code, kind), pks in groups.items():
            owned += Delivery.objects.filter(pk__among=pks, claim_token=token).update(
                status=status,
                next_attempt_at=next_attempt_at,
                next_trigger=Delivery.Trigger.RETRY,
                retry_step=retry_step,
                attempt_count=F("attempt_count") + 1,
                last_attempt_at=now,
                last_status_code=code,
                last_error_kind=kind,
                claim_token=None,
                leased_until=None,
            )
        if owned < len(settlements):
            missing = _to_be_written(settlements)
            rows = [row for s, row in zip(settlements, rows, strict=True) if (s.claimed.pk, s.began_at) in missing]
        attempts.write(rows)
        for s in settlements:
            if s.pause_setting and s.claimed.setting_id and s.claimed.endpoint:
                _pause(s.claimed.setting_id, s.claimed.endpoint.template)


def _pause(setting_id: int, gone: str) -> None:
    """Pause a callback whose URL is gone, unless somebody corrected or paused it meanwhile."""
    unchanged = CallbackSetting.objects.filter(pk=setting_id, url=gone, is_active=True)
    if unchanged.update(is_active=False, pause_reason=CallbackSetting.PauseReason.GONE):
        history.note_gone(CallbackSetting.objects.get(pk=setting_id))


def _to_be_written(settlements: Sequence[Settlement]) -> set[tuple[int, datetime]]:
    """By delivery and beginning, the attempts whose delivery is still there, and stays until the transaction ends.

    But not those that are written already: the connection may have been lost while they were committed.
    """
    ids = [s.claimed.pk for s in settlements]
    present = Delivery.objects.select_for_update(no_key=True).filter(pk__among=ids).order_by("pk")
    pks = set(present.values_list("pk", flat=True))
    written = set(Attempt.objects.filter(delivery__in=ids).values_list("delivery_id", "created_at"))
    return {(s.claimed.pk, s.began_at) for s in settlements if s.claimed.pk in pks} - written


def skip(claimed: Claimed, reason: Delivery.SkipReason) -> None:
    """End a claimed delivery that there is nothing to attempt for."""
    Delivery.objects.filter(pk=claimed.pk, claim_token=claimed.token).update(
        status=Status.SKIPPED, skip_reason=reason, claim_token=None, leased_until=None
    )


def give_back(claims: Iterable[Claimed]) -> None:
    """Return claimed deliveries unattempted, as due as the first of them was."""
    groups: dict[uuid.UUID, list[Claimed]] = defaultdict(list)
    for claimed in claims:
        groups[claimed.token].append(claimed)
    for token, members in groups.items():
        Delivery.objects.filter(pk__among=[claimed.pk for claimed in members], claim_token=token).update(
            status=Status.PENDING,
            next_attempt_at=min(claimed.due.due_at for claimed in members),
            claim_token=None,
            leased_until=None,
        )


# --- recover -----------------------------------------------------------------
def recover() -> int:
    """Return what dead workers held: claimed deliveries whose lease has ended become due at once."""
    now = timezone.now()
    return Delivery.objects.filter(status=Status.SENDING, leased_until__lt=now).update(
        status=Status.PENDING, next_attempt_at=now, claim_token=None, leased_until=None
    )
