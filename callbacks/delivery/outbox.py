"""Records events of saved orders: a delivery for each callback setting that wants the event.

Claiming and sending what was recorded is `callbacks.delivery.queue` and `callbacks.delivery.dispatcher`.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.utils import timezone

from callbacks.delivery import order_events, superseded, told, wakeup
from callbacks.delivery.order_events import OrderEvent
from callbacks.delivery.queue import AFFILIATE_REASONS
from callbacks.models import Delivery, EventType, sql
from callbacks.models.delivery import new_event_id
from callbacks.postback.variables import Event, changes, snapshot
from config.monitoring import logs, metrics
from orders.models import Order

Status, Skip = Delivery.Status, Delivery.SkipReason


class Subscription(NamedTuple):
    """A callback setting, with the status and the code of its affiliate."""

    setting_id: int
    affiliate_id: int
    event: str
    is_active: bool
    only_statuses: list[str]
    affiliate_status: str
    affiliate_code: str
    host: str

    @property
    def callback(self) -> told.Callback:
        return told.Callback(self.affiliate_id, self.setting_id, self.event, self.host)


def record(orders: Iterable[Order]) -> int:
    """Write the deliveries of these orders, in the transaction that has just saved them.

    Returns how many deliveries are due.
    """
    events = [event for order in orders for event in order_events.of_saved(order)]
    return record_events(order_events.with_what_was_told(events))


def record_deletion(order_keys: Sequence[int]) -> int:
    """Write the deliveries that tell of the orders' rejection, in the transaction that is about to delete them.

    They need nothing of the orders. Returns how many of them are due.
    """
    return record_events(order_events.of_deleted(order_keys))


def hear_of_deletion(order: Order) -> set[int]:
    """The keys of the affiliates whose trackers would be sent the order's rejection if it were deleted now."""
    events = {event.affiliate_id: event for event in order_events.rejections([order])}
    subscriptions = [s for s in _subscriptions(events) if s.event == EventType.UPDATED] if events else []
    return {s.affiliate_id for s in subscriptions if not _reason_to_skip(s, events[s.affiliate_id])}


def record_events(
    events: Sequence[OrderEvent], origin: str = Delivery.Origin.EVENT, *, only_setting: int | None = None
) -> int:
    """Write a delivery for each event and each callback setting that wants it, or for `only_setting`.

    A setting that exists but does not apply gets a skipped delivery with the reason. A wake-up is sent after the commit
    of the surrounding transaction. Returns how many deliveries are due.
    """
    if not events:
        return 0
    wanted: dict[tuple[int, str], list[Subscription]] = defaultdict(list)
    for subscription in _subscriptions({event.affiliate_id for event in events}):
        if only_setting in (None, subscription.setting_id):
            wanted[subscription.affiliate_id, subscription.event].append(subscription)
    pairs = [(event, subscription) for event in events for subscription in wanted[event.affiliate_id, event.event]]
    if any(event.is_return for event in events):
        pairs = _where_no_created_goes(pairs)
    if not pairs:
        return 0
    links = order_events.link_urls(event for event, _ in pairs)
    changed = {event.order.pk for event, _ in pairs if _may_replace(event, origin)}
    before = told.Told(changed)
    rows = [
        _row(event, subscription, links.get(event.state.link_id or 0, ""), origin, before)
        for event, subscription in pairs
    ]
    sql.insert(Delivery._meta.db_table, _COLUMNS, rows)  # noqa: SLF001 - Django's documented name
    if changed:
        superseded.end(orders=changed)
    transaction.on_commit(partial(_count, rows), robust=True)
    count = len([row for row in rows if row[_COLUMNS.index("status")] == Status.PENDING])
    if count:
        transaction.on_commit(wakeup.send, robust=True)
    return count


def _count(rows: Sequence[tuple[Any, ...]]) -> None:
    event, reason = _COLUMNS.index("event"), _COLUMNS.index("skip_reason")
    for row in rows:
        metrics.RECORDED.labels(row[event]).inc()
        if row[reason]:
            metrics.SKIPPED.labels(row[reason]).inc()


_COLUMNS = (
    "event_id", "setting_id", "affiliate_id", "order_id", "event", "status", "skip_reason", "next_attempt_at",
    "variables", "created_at", "next_trigger", "retry_step", "attempt_count", "last_error_kind",
    "origin", "request_id",
)  # fmt: skip


def _row(
    event: OrderEvent, subscription: Subscription, link_url: str, origin: str, before: told.Told
) -> tuple[Any, ...]:
    event_id, happened_at = new_event_id(), timezone.now()
    variables = snapshot(
        Event(
            type=event.event.value,
            event_id=str(event_id),
            order=event.state,
            created_at=event.order.created_at,
            affiliate_code=subscription.affiliate_code,
            link_url=link_url,
            happened_at=happened_at,
        )
    )
    variables = _repeated(event.told, variables) if event.told else variables
    variables |= changes(variables, before.last(event.order.pk, subscription.callback, origin))
    reason = _reason_to_skip(subscription, event)
    now = connection.ops.adapt_datetimefield_value(happened_at)
    return (
        sql.uuid_value(event_id),
        subscription.setting_id,
        subscription.affiliate_id,
        event.order.pk,
        event.event.value,
        Status.SKIPPED.value if reason else Status.PENDING.value,
        reason.value,
        None if reason else now,
        json.dumps(variables),
        now,
        Delivery.Trigger.INITIAL.value,
        0,
        0,
        "",
        str(origin),
        event.order.request_id or logs.request_id(),
    )


def _may_replace(event: OrderEvent, origin: str) -> bool:
    """Whether there may be older deliveries of the order: not if it has just been made."""
    return event.event != EventType.CREATED or origin != Delivery.Origin.EVENT or event.order.before is not None


def _where_no_created_goes(pairs: list[tuple[OrderEvent, Subscription]]) -> list[tuple[OrderEvent, Subscription]]:
    """Without what tells a host that an order came back if a *created* tells it too."""
    told = {
        (event.order.pk, subscription.affiliate_id, subscription.host)
        for event, subscription in pairs
        if event.event == EventType.CREATED and not _reason_to_skip(subscription, event)
    }
    return [(e, s) for e, s in pairs if not e.is_return or (e.order.pk, s.affiliate_id, s.host) not in told]


def _repeated(repeated: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """The variables last told, with the status and what else is of the new event itself."""
    own = [name for name in variables if name == "order.status" or name.partition(".")[0] == "event"]
    return {**repeated, **{name: variables[name] for name in own}}


def _reason_to_skip(subscription: Subscription, event: OrderEvent) -> Delivery.SkipReason:
    if reason := AFFILIATE_REASONS.get(subscription.affiliate_status):
        return reason
    if not subscription.is_active:
        return Skip.PAUSED
    is_left_out = subscription.only_statuses and event.new_status not in subscription.only_statuses
    return Skip.FILTERED if is_left_out else Skip.NONE


# --- subscriptions -----------------------------------------------------------
_SELECT = """
SELECT s.id, s.affiliate_id, s.event, s.is_active, s.only_statuses, a.status, a.code, s.host
FROM callbacks_callbacksetting s JOIN affiliates_affiliate a ON a.id = s.affiliate_id
WHERE s.affiliate_id {among} ORDER BY s.id
"""


def _subscriptions(affiliate_ids: Collection[int]) -> list[Subscription]:
    """All callback settings of these affiliates, the oldest first.

    Every save of an order with an affiliate reads them once, so it has SQL of its own: Django takes longer to build the
    query than the database to answer it.
    """
    among, ids = sql.one_of(affiliate_ids)
    with connection.cursor() as cursor:
        cursor.execute(_SELECT.format(among=among), [ids])
        return [
            Subscription(pk, affiliate, event, bool(is_active), json.loads(statuses), *rest)
            for pk, affiliate, event, is_active, statuses, *rest in cursor.fetchall()
        ]
