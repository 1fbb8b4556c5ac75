"""The log as CSV."""

from collections.abc import Iterator
from typing import Any

from django.db.models import Case, F, QuerySet, Value, When

from callbacks.models import Delivery
from callbacks.models.delivery import RETRYING
from config.listing.keys import Keys

BATCH_SIZE = 2000

HEADINGS = (
    "Event id", "Event", "Time ({zone})", "Order", "Amount", "Commission", "Currency", "Order status", "Affiliate",
    "Affiliate code", "Callback", "Host", "State", "Reason", "Attempts", "Last attempt ({zone})", "Last code",
    "Last error", "Next attempt ({zone})", "Origin",
)  # fmt: skip
_VARIABLES = ("order.number", "order.amount", "order.commission", "order.currency", "order.status")
_COLUMNS = (
    "pk", "event_id", "event", "created_at", "variables", "affiliate__name", "affiliate__code", "setting__name",
    "setting__host", "its_state", "skip_reason", "attempt_count", "last_attempt_at", "last_status_code",
    "last_error_kind", "next_attempt_at", "origin",
)  # fmt: skip


def csv_rows(deliveries: QuerySet[Delivery], keys: Keys, batch_size: int = BATCH_SIZE) -> Iterator[tuple[Any, ...]]:
    """A row for each delivery within `keys`, in the order of `HEADINGS`, newest first; read a batch at a time."""
    state = Case(When(Delivery.IS_RETRYING, then=Value(RETRYING)), default=F("status"))
    rows = deliveries.annotate(its_state=state).order_by("-pk").values_list(*_COLUMNS)
    batch = list(rows.filter(pk__range=(keys.first, keys.last))[:batch_size])
    while batch:
        for _, event_id, event, created_at, variables, *rest in batch:
            name, code, callback, host, state, skip_reason, *attempts = rest
            order = (variables.get(variable, "") for variable in _VARIABLES)
            reason = Delivery.SkipReason(skip_reason).label if skip_reason else ""
            yield event_id, event, created_at, *order, name, code, callback, host, state, reason, *attempts
        older = rows.filter(pk__range=(keys.first, batch[-1][0] - 1))
        batch = list(older[:batch_size]) if len(batch) == batch_size else []
