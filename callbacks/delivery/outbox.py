"""Records what affiliates are to be told of saved orders: a delivery for each callback that wants the event.

Claiming and sending what was recorded is `callbacks.delivery.queue` and `callbacks.delivery.dispatcher`.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from affiliates.models import Affiliate
from callbacks.delivery import order_events, subscriptions, wakeup
from callbacks.delivery.order_events import OrderEvent
from callbacks.delivery.subscriptions import Subscription
from callbacks.models import Delivery, sql
from callbacks.models.delivery import new_event_id
from callbacks.postback.variables import Event, snapshot
from orders.models import Order

Status, Skip = Delivery.Status, Delivery.SkipReason


def record(orders: Iterable[Order]) -> int:
    """Write a delivery for each callback setting that wants to hear of these just saved orders.

    Runs in the transaction that saved them. Returns how many deliveries are due.
    """
    return record_events([happening for order in orders for happening in order_events.of(order)])


def record_events(
    news: Sequence[OrderEvent], origin: str = Delivery.Origin.EVENT, *, only_setting: int | None = None
) -> int:
    """Write a delivery for each of `news` and each callback setting, or this one, that wants to hear of it.

    Rings the bell after the commit of the transaction around. A setting that exists but does not apply gets a skipped
    delivery with the reason. Returns how many deliveries are due.
    """
    if not news:
        return 0
    wanted: dict[tuple[int, str], list[Subscription]] = defaultdict(list)
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
        transaction.on_commit(wakeup.send, robust=True)
    return count


_COLUMNS = (
    "event_id", "setting_id", "affiliate_id", "order_id", "event", "status", "skip_reason", "next_attempt_at",
    "variables", "created_at", "next_trigger", "retry_step", "attempt_count", "last_error_kind",
    "origin",
)  # fmt: skip


def _row(happening: OrderEvent, listener: Subscription, link_url: str, origin: str) -> tuple[Any, ...]:
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
        sql.uuid_value(event_id),
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


def _reason_to_skip(listener: Subscription, happening: OrderEvent) -> Delivery.SkipReason:
    if listener.affiliate_status == Affiliate.Status.BLOCKED:
        return Skip.AFFILIATE_BLOCKED
    if not listener.is_active:
        return Skip.PAUSED
    is_left_out = listener.only_statuses and happening.reached not in listener.only_statuses
    return Skip.FILTERED if is_left_out else Skip.NONE
