"""The queue of deliveries in the database: what is due, claiming it under a lease, giving it back.

Every change of state is conditional on the state it starts from, so two workers, two sweeps or a person and a worker can
meet on one row and only one of them wins.

What is due is asked in SQL of our own: Django takes milliseconds to build such a query, each time, and an order waits
for it. It is read in the order of the partial indexes `delivery_due_first` and `delivery_due_again`, so that it costs
the same however much has been sent and however much is waiting. The statuses and the condition on the count of attempts
stand in the text because only then does SQLite use the indexes.
"""

import json
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.utils import timezone

from callbacks.models import Delivery, sql

# How long a claimed delivery belongs to its worker. Longer than the longest attempt (10 s) plus the longest wait for
# a free place among the attempts in flight; a dead worker's deliveries go out after this time.
LEASE = timedelta(seconds=60)

Status = Delivery.Status


# --- what is due -------------------------------------------------------------
class Due(NamedTuple):
    """A row. Times are text as the database writes it: few are needed, and reading all would cost most."""

    due_at_text: str
    pk: int
    event: str
    trigger: str
    retry_step: int
    last_status_code: int | None
    variables: dict[str, str]
    created_at_text: str
    setting_id: int | None

    @property
    def due_at(self) -> datetime:
        return _moment(self.due_at_text)

    @property
    def created_at(self) -> datetime:
        return _moment(self.created_at_text)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)  # SQLite has no zones


class Endpoint(NamedTuple):
    """What a callback setting says of its requests, as it stands when they are claimed."""

    method: str
    template: str
    body_format: str
    host: str
    secret: str
    previous_secret: str
    previous_secret_until_text: str | None

    def previous_secret_at(self, moment: datetime) -> str:
        """The secret that was replaced, if it is still valid then."""
        until = self.previous_secret_until_text
        return self.previous_secret if until and moment < _moment(until) else ""


_ENDPOINTS = """
SELECT id, method, url, body_format, host, secret, previous_secret, CAST(previous_secret_until AS text)
FROM callbacks_callbacksetting WHERE id
"""


def endpoints(setting_ids: Collection[int]) -> dict[int, Endpoint]:
    """By the setting's id; one that was deleted has none."""
    among, ids = sql.one_of(setting_ids)
    with connection.cursor() as cursor:
        cursor.execute(f"{_ENDPOINTS} {among}", [ids])
        return {pk: Endpoint(*rest) for pk, *rest in cursor.fetchall()}


_SELECT = """
SELECT CAST(d.next_attempt_at AS text), d.id, d.event, d.next_trigger, d.retry_step, d.last_status_code, d.variables,
  CAST(d.created_at AS text), d.setting_id
"""
# Neither paused, nor of an endpoint or host that is left alone, nor an *updated* whose *created* is still waiting for
# its first attempt. Without a join, which would have the whole backlog read and sorted for each claim.
_DUE = """
FROM callbacks_delivery d
WHERE d.status = 'pending' AND d.attempt_count {count} AND d.next_attempt_at <= %(now)s
  AND ({no_setting} EXISTS (
    SELECT 1 FROM callbacks_callbacksetting s
    WHERE s.id = d.setting_id AND s.is_active AND {host}
      AND s.id {not_among_settings} AND s.host {not_among_hosts}))
  AND (d.event = 'order.created' OR NOT EXISTS (
    SELECT 1 FROM callbacks_delivery c
    WHERE c.order_id = d.order_id AND c.affiliate_id = d.affiliate_id AND c.id <> d.id
      AND c.event = 'order.created' AND c.attempt_count = 0 AND c.status IN ('pending', 'sending')
      AND (c.setting_id IS NULL OR EXISTS (
        SELECT 1 FROM callbacks_callbacksetting s WHERE s.id = c.setting_id AND s.is_active))))
"""
_FIRST, _AGAIN = "= 0", "> 0"


def first_attempts(limit: int, **but: Any) -> list[Due]:
    """The earliest due that were never attempted."""
    return _read(_FIRST, limit, **but)


def retries(limit: int, **but: Any) -> list[Due]:
    """The earliest due of the others."""
    return _read(_AGAIN, limit, **but)


def is_anything_due() -> bool:
    with connection.cursor() as cursor:
        for count in (_FIRST, _AGAIN):
            text, parameters = _question(count)
            cursor.execute(f"SELECT 1 {text} LIMIT 1", parameters)
            if cursor.fetchone():
                return True
    return False


def _read(
    count: str,
    limit: int,
    *,
    but_settings: Collection[int] = (),
    but_hosts: Collection[str] = (),
    only_host: str | None = None,
    since: datetime | None = None,
) -> list[Due]:
    text, parameters = _question(count, but_settings, but_hosts, only_host)
    if since:
        text += " AND d.next_attempt_at >= %(since)s"
        parameters["since"] = connection.ops.adapt_datetimefield_value(since)
    lock = "FOR UPDATE OF d SKIP LOCKED" if connection.features.has_select_for_update_skip_locked else ""
    sql = f"{_SELECT} {text} ORDER BY d.next_attempt_at, d.id LIMIT %(limit)s {lock}"
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters | {"limit": limit})
        return [Due._make((*row[:6], json.loads(row[6]), *row[7:])) for row in cursor.fetchall()]


def _question(
    count: str,
    but_settings: Collection[int] = (),
    but_hosts: Collection[str] = (),
    only_host: str | None = None,
) -> tuple[str, dict[str, Any]]:
    is_postgresql = connection.vendor == "postgresql"
    not_among = "<> ALL(%({0})s)" if is_postgresql else "NOT IN (SELECT value FROM json_each(%({0})s))"
    text = _DUE.format(
        count=count,
        no_setting="" if only_host else "d.setting_id IS NULL OR",
        host="s.host = %(only_host)s" if only_host else "true",
        not_among_settings=not_among.format("but_settings"),
        not_among_hosts=not_among.format("but_hosts"),
    )
    as_one: Any = list if is_postgresql else lambda values: json.dumps(list(values))
    parameters = {
        "now": connection.ops.adapt_datetimefield_value(timezone.now()),
        "but_settings": as_one(but_settings),
        "but_hosts": as_one(but_hosts),
    }
    return text, parameters | ({"only_host": only_host} if only_host else {})


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
        found = first_attempts(limit, **but)
        if len(found) < limit:
            found += retries(limit - len(found), **but)
        return _take(found) if found else []


_TAKE = """
UPDATE callbacks_delivery SET status = 'sending', claim_token = %s, leased_until = %s, next_attempt_at = NULL
WHERE status = 'pending' AND id
"""


def _take(found: list[Due]) -> list[Claimed]:
    token, leased_until = uuid.uuid4(), timezone.now() + LEASE
    among, ids = sql.one_of(row.pk for row in found)
    as_columns = (sql.uuid_value(token), connection.ops.adapt_datetimefield_value(leased_until))
    with connection.cursor() as cursor:
        cursor.execute(f"{_TAKE} {among}", [*as_columns, ids])
        count = cursor.rowcount
    if count < len(found):  # somebody else was quicker
        ours = set(Delivery.objects.filter(claim_token=token).values_list("pk", flat=True))
        found = [row for row in found if row.pk in ours]
    by_setting = endpoints({row.setting_id for row in found if row.setting_id})
    return [Claimed(token, leased_until, by_setting.get(row.setting_id or 0), row) for row in found]


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


def recover() -> int:
    """Return what dead workers held: claimed deliveries whose lease has ended become due at once."""
    now = timezone.now()
    return Delivery.objects.filter(status=Status.SENDING, leased_until__lt=now).update(
        status=Status.PENDING, next_attempt_at=now, claim_token=None, leased_until=None
    )
