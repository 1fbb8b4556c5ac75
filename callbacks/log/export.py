"""The log as CSV: a row for each delivery, or for each of its attempts with all that was sent and answered."""

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from django.db.models import Case, F, QuerySet, Value, When

from callbacks.models import Attempt, Delivery
from callbacks.models.delivery import RETRYING
from config.listing.keys import Keys

BATCH_SIZE = 2000

HEADINGS = (
    "Event ID", "Event", "Time ({zone})", "Order", "Amount", "Commission", "Currency", "Order status", "Affiliate",
    "Affiliate code", "Callback", "Host", "State", "Reason", "Attempts", "Last attempt ({zone})", "Last code",
    "Last error", "Next attempt ({zone})", "Origin",
)  # fmt: skip
_VARIABLES = ("order.number", "order.amount", "order.commission", "order.currency", "order.status")
_COLUMNS = (
    "pk", "event_id", "event", "created_at", "variables", "affiliate__name", "affiliate__code", "setting__name",
    "setting__host", "its_state", "skip_reason", "attempt_count", "last_attempt_at", "last_status_code",
    "last_error_kind", "next_attempt_at", "origin",
)  # fmt: skip


ATTEMPT_HEADINGS = (
    "Attempt ({zone})", "Trigger", "Method", "URL", "Code", "Error", "What happened", "Address", "Milliseconds",
    "Request headers", "Request body", "Answer headers", "Answer",
)  # fmt: skip
_ATTEMPT_COLUMNS = (
    "created_at", "trigger", "method", "url", "status_code", "error_kind", "detail", "remote_address", "total_ms",
    "request_headers", "request_body", "response_headers", "response_excerpt",
)  # fmt: skip
_AS_JSON = {_ATTEMPT_COLUMNS.index(name) for name in ("request_headers", "response_headers")}


def csv_rows(deliveries: QuerySet[Delivery], keys: Keys, batch_size: int = BATCH_SIZE) -> Iterator[tuple[Any, ...]]:
    """A row for each delivery within `keys`, in the order of `HEADINGS`, newest first; read a batch at a time."""
    for batch in _batches(deliveries, keys, batch_size):
        yield from batch.values()


def rows_with_attempts(
    deliveries: QuerySet[Delivery], keys: Keys, batch_size: int = BATCH_SIZE // 10
) -> Iterator[tuple[Any, ...]]:
    """A row for each attempt, the oldest of a delivery first, and one for a delivery without any.

    In the order of `HEADINGS` and `ATTEMPT_HEADINGS`. An attempt may have 64 KiB, so fewer are read at a time.
    """
    nothing = (None,) * len(ATTEMPT_HEADINGS)
    for batch in _batches(deliveries, keys, batch_size):
        attempts: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
        found = Attempt.objects.filter(delivery__in=list(batch)).order_by("pk")
        for delivery, *values in found.values_list("delivery", *_ATTEMPT_COLUMNS):
            texts = (json.dumps(v) if place in _AS_JSON else v for place, v in enumerate(values))
            attempts[delivery].append(tuple(texts))
        for pk, row in batch.items():
            yield from ((*row, *attempt) for attempt in attempts[pk] or [nothing])


def _batches(deliveries: QuerySet[Delivery], keys: Keys, batch_size: int) -> Iterator[dict[int, tuple[Any, ...]]]:
    """The rows of deliveries by primary key."""
    state = Case(When(Delivery.IS_RETRYING, then=Value(RETRYING)), default=F("status"))
    rows = deliveries.annotate(its_state=state).order_by("-pk").values_list(*_COLUMNS)
    batch = list(rows.filter(pk__range=(keys.first, keys.last))[:batch_size])
    while batch:
        yield {pk: _row(*columns) for pk, *columns in batch}
        older = rows.filter(pk__range=(keys.first, batch[-1][0] - 1))
        batch = list(older[:batch_size]) if len(batch) == batch_size else []


def _row(event_id: Any, event: str, created_at: Any, variables: dict[str, str], *rest: Any) -> tuple[Any, ...]:
    name, code, callback, host, state, skip_reason, *attempts = rest
    order = (variables.get(variable, "") for variable in _VARIABLES)
    reason = Delivery.SkipReason(skip_reason).label if skip_reason else ""
    return event_id, event, created_at, *order, name, code, callback, host, state, reason, *attempts
