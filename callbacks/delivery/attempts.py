"""Writes attempts: exactly what was sent and what came back."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from callbacks.egress.outcome import Outcome, Request
from callbacks.models import Attempt, sql

_COLUMNS = (
    "delivery_id", "trigger", "method", "url", "request_headers", "request_body", "status_code", "error_kind",
    "detail", "response_headers", "response_excerpt", "remote_address", "dns_ms", "connect_ms", "tls_ms",
    "first_byte_ms", "total_ms", "created_at",
)  # fmt: skip


def rows(attempts: Iterable[tuple[int, str, datetime, Request, Outcome]]) -> list[tuple[Any, ...]]:
    """A row each: the delivery's id, the trigger, when it began, what was sent, what came of it.

    To be made before the transaction that writes them, which on SQLite keeps everybody else waiting.
    """
    as_column = connection.ops.adapt_datetimefield_value
    return [
        (
            delivery_id, trigger, request.method, request.url, json.dumps(request.headers),
            (request.body or b"").decode("utf-8"), outcome.status_code, outcome.error_kind, outcome.detail,
            json.dumps(outcome.response_headers), outcome.response_excerpt, outcome.remote_address,
            outcome.dns_ms, outcome.connect_ms, outcome.tls_ms, outcome.first_byte_ms, outcome.total_ms,
            as_column(began_at),
        )
        for delivery_id, trigger, began_at, request, outcome in attempts
    ]  # fmt: skip


def write(rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert an attempt for each of `rows`."""
    sql.insert(Attempt._meta.db_table, _COLUMNS, rows)  # noqa: SLF001 - Django's documented name
