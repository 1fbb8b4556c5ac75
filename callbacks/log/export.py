"""What of a delivery stands in the CSV of the log."""

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

from callbacks.models import Delivery
from config.listing.keys import Keys

BATCH = 2000

HEADINGS = (
    "Event id", "Event", "Time (UTC)", "Order", "Amount", "Commission", "Currency", "Order status", "Affiliate",
    "Affiliate code", "Callback", "Host", "State", "Reason", "Attempts", "Last attempt (UTC)", "Last code",
    "Last error", "Next attempt (UTC)", "Origin",
)  # fmt: skip
_VARIABLES = ("order.number", "order.amount", "order.commission", "order.currency", "order.status")
_COLUMNS = (
    "pk", "event_id", "event", "created_at", "variables", "affiliate__name", "affiliate__code", "setting__name",
    "setting__host", "status", "skip_reason", "attempt_count", "last_attempt_at", "last_status_code",
    "last_error_kind", "next_attempt_at", "origin",
)  # fmt: skip


def deliveries(chosen: QuerySet[Delivery], keys: Keys) -> Iterator[tuple[Any, ...]]:
    """A row for each, in the order of `HEADINGS`, newest first; read by primary key, a batch at a time."""
    rows = chosen.order_by("-pk").values_list(*_COLUMNS)
    batch = list(rows.filter(pk__range=(keys.first, keys.last))[:BATCH])
    while batch:
        for _, event_id, event, created_at, variables, *rest in batch:
            name, code, callback, host, status, skip_reason, *attempts = rest
            order = (variables.get(variable, "") for variable in _VARIABLES)
            reason = Delivery.SkipReason(skip_reason).label if skip_reason else ""
            yield event_id, event, created_at, *order, name, code, callback, host, status, reason, *attempts
        batch = list(rows.filter(pk__range=(keys.first, batch[-1][0] - 1))[:BATCH]) if len(batch) == BATCH else []
