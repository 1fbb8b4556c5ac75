"""Webhooks to the merchant's own systems (Standard Webhooks): what e-mails tell, for programs.

Each is a delivery like any other: without an affiliate and an order, so nothing orders, filters or replaces it.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from callbacks.delivery import wakeup
from callbacks.models import CallbackSetting, Delivery
from callbacks.models.delivery import new_event_id
from callbacks.models.setting import SYSTEM
from callbacks.postback.request import DATA
from callbacks.postback.variables import event_times


def record(kind: str, data: Mapping[str, Any]) -> int:
    """Write a delivery for each webhook that is not paused, in the transaction of the change that it tells of.

    Returns how many.
    """
    return _record(CallbackSetting.objects.filter(event=SYSTEM, is_active=True), kind, data)


def record_test(among: QuerySet[CallbackSetting]) -> int:
    """Write a test for each of these webhooks. One that paused itself is tried too: if it answers, it is resumed.

    In a transaction. Returns how many.
    """
    found = [each for each in among.filter(event=SYSTEM) if each.is_active or each.is_paused_by_itself]
    return _record(found, "webhook.test", {}, Delivery.Trigger.TEST)


def _record(
    settings: Iterable[CallbackSetting],
    kind: str,
    data: Mapping[str, Any],
    trigger: Delivery.Trigger = Delivery.Trigger.INITIAL,
) -> int:
    now = timezone.now()
    values = {"event": kind, DATA: json.dumps(data, ensure_ascii=False), **event_times(now)}
    deliveries = []
    for setting in settings:
        event_id = new_event_id()
        delivery = Delivery(setting=setting, event=SYSTEM, event_id=event_id, next_attempt_at=now, next_trigger=trigger)
        delivery.variables = values | {"event.id": str(event_id)}
        deliveries.append(delivery)
    if deliveries:
        Delivery.objects.bulk_create(deliveries)
        transaction.on_commit(wakeup.send, robust=True)
    return len(deliveries)


def queue_stuck(alarm: Any, *, is_open: bool) -> None:
    """An alarm of the installation began or ended: `queue.stuck` if it says that nothing goes out in time."""
    if alarm.kind in {"worker", "waiting"}:
        data = {"is_over": not is_open, "reason": alarm.title, "since": alarm.since.isoformat()}
        record("queue.stuck", data)
