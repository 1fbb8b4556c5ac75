"""Records events of saved orders: a delivery for each callback setting that wants the event.

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
    """Write the deliveries of these orders, in the transaction that has just saved them.

    Returns how many deliveries are due.
    """
    return record_events([event for order in orders for event in order_events.of_saved(order)])


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
    for subscription in subscriptions.of_affiliates({event.affiliate_id for event in events}):
        if only_setting in (None, subscription.setting_id):
            wanted[subscription.affiliate_id, subscription.event].append(subscription)
    pairs = [(event, subscription) for event in events for subscription in wanted[event.affiliate_id, event.event]]
    if not pairs:
        return 0
    links = order_events.link_urls(event for event, _ in pairs)
    rows = [_row(event, subscription, links.get(event.state.link_id or 0, ""), origin) for event, subscription in pairs]
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


def _row(event: OrderEvent, subscription: Subscription, link_url: str, origin: str) -> tuple[Any, ...]:
    event_id = new_event_id()
    variables = snapshot(
        Event(
            type=event.event.value,
            event_id=str(event_id),
            order=event.state,
            created_at=event.order.created_at,
            affiliate_code=subscription.affiliate_code,
            link_url=link_url,
        )
    )
    reason = _reason_to_skip(subscription, event)
    now = connection.ops.adapt_datetimefield_value(timezone.now())
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
    )


def _reason_to_skip(subscription: Subscription, event: OrderEvent) -> Delivery.SkipReason:
    if subscription.affiliate_status == Affiliate.Status.BLOCKED:
        return Skip.AFFILIATE_BLOCKED
    if not subscription.is_active:
        return Skip.PAUSED
    is_left_out = subscription.only_statuses and event.new_status not in subscription.only_statuses
    return Skip.FILTERED if is_left_out else Skip.NONE
