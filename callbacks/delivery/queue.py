"""The queue of deliveries in the database: what is due, claiming it under a lease, giving it back.

Every change of state is conditional on the state it starts from, so two workers, two sweeps or a person and a worker
can meet on one row and only one of them wins.

What is due is queried in SQL of our own: Django takes milliseconds to build such a query, each time, and an order waits
for it. It is read in the order of the partial indexes `delivery_due_first` and `delivery_due_again`, so that it costs
the same however much has been sent and however much is waiting. SQLite uses them only if the statuses and the condition
on `attempt_count` stand in the text.
"""

import json
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.utils import timezone

from affiliates.models import Affiliate
from callbacks.delivery import superseded
from callbacks.models import Delivery, sql
from callbacks.postback import signing
from config.monitoring import metrics
from config.security.encryption import readable

# How long a claimed delivery belongs to its worker. Longer than the longest attempt (10 s) plus the longest wait for
# a free slot among the requests in flight; a dead worker's deliveries go out after this time.
LEASE = timedelta(seconds=60)
CLOCKS_DIFFER = timedelta(seconds=5)  # by so much at most between hosts, if all is well

Status, Skip = Delivery.Status, Delivery.SkipReason
# Why nothing is sent to an affiliate, by their status.
AFFILIATE_REASONS = {
    Affiliate.Status.BLOCKED.value: Skip.AFFILIATE_BLOCKED,
    Affiliate.Status.PENDING.value: Skip.AFFILIATE_PENDING,
}


# --- what is due -------------------------------------------------------------
class Due(NamedTuple):
    """A due delivery. Times stay text as the database writes it: few are needed, and parsing all would cost most."""

    due_at_text: str
    pk: int
    event: str
    trigger: str
    retry_step: int
    was_gone: bool  # the last attempt was answered 410, and the callback's request is still the same
    is_superseded: bool
    variables: dict[str, str]
    created_at_text: str
    setting_id: int | None
    request_id: str = ""

    @property
    def due_at(self) -> datetime:
        return _parsed(self.due_at_text)

    @property
    def created_at(self) -> datetime:
        return _parsed(self.created_at_text)


def _parsed(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)  # SQLite has no zones


class Endpoint(NamedTuple):
    """What a callback setting says about its requests, at the time when they are claimed."""

    method: str
    template: str
    body_format: str
    host: str
    secret: str
    previous_secret: str
    previous_secret_until_text: str | None
    affiliate_status: str | None  # None of a webhook

    def previous_secret_at(self, moment: datetime) -> str:
        """As `CallbackSetting.previous_secret_at`."""
        until = self.previous_secret_until_text
        return signing.secret_until(self.previous_secret, _parsed(until), moment) if until else ""


_ENDPOINTS = """
SELECT s.id, s.method, s.url, s.body_format, s.host, s.secret, s.previous_secret, CAST(s.previous_secret_until AS text),
  a.status
FROM callbacks_callbacksetting s LEFT JOIN affiliates_affiliate a ON a.id = s.affiliate_id WHERE s.id
"""


def endpoints(setting_ids: Collection[int]) -> dict[int, Endpoint]:
    """The endpoints of these settings, by the setting's id; a deleted setting has none."""
    among, ids = sql.one_of(setting_ids)
    with connection.cursor() as cursor:
        cursor.execute(f"{_ENDPOINTS} {among}", [ids])
        return {
            pk: Endpoint(method, url, body_format, host, readable(secret), readable(previous), *rest)
            for pk, method, url, body_format, host, secret, previous, *rest in cursor.fetchall()
        }


# What a person resends goes out even if a newer one was delivered, but not if its order was made again since.
_SELECT = """
SELECT CAST(d.next_attempt_at AS text), d.id, d.event, d.next_trigger, d.retry_step,
  COALESCE(d.last_status_code = 410, FALSE) AND EXISTS (
    SELECT 1 FROM callbacks_attempt a JOIN callbacks_callbacksetting s ON s.id = d.setting_id
    WHERE a.delivery_id = d.id AND a.status_code = 410
      AND (s.request_changed_at IS NULL OR a.created_at >= s.request_changed_at)),
  (d.next_trigger <> 'manual' AND {newer}) OR {made_again},
  d.variables, CAST(d.created_at AS text), d.setting_id, d.request_id
"""
# Neither paused (but a test is tried then, too), nor held because the tracker asked us to wait, nor of an excluded
# endpoint or host. Nor while another delivery of its order is on the wire to the same callback, or of the other event
# to the same host; and an *updated* not before the *created* at the same host has succeeded or ended. Without a join,
# for which all that waits would be read and sorted at each claim.
_DUE = """
FROM callbacks_delivery d
WHERE d.status = 'pending' AND d.attempt_count {count} AND d.next_attempt_at <= %(now)s
  AND ({no_setting} {active_callback} OR (d.next_trigger = 'test' AND {callback}))
  AND NOT EXISTS (
    SELECT 1 FROM callbacks_delivery c
    WHERE c.order_id = d.order_id AND c.affiliate_id = d.affiliate_id AND c.id <> d.id AND c.origin <> 'test'
      AND c.status IN ('pending', 'sending') AND (
        (c.status = 'sending' AND c.setting_id = d.setting_id)
        OR (c.event <> d.event AND (c.status = 'sending' OR d.event = 'order.updated') AND EXISTS (
          SELECT 1 FROM callbacks_callbacksetting s
          WHERE s.id = c.setting_id AND (s.is_active OR c.status = 'sending')
            AND s.host = (SELECT own.host FROM callbacks_callbacksetting own WHERE own.id = d.setting_id)))))
"""
# Nothing of `d` but the id: so the callbacks are looked through once, and not once for each delivery.
_CALLBACK = """EXISTS (
    SELECT 1 FROM callbacks_callbacksetting s
    WHERE s.id = d.setting_id AND {state} AND (s.held_until IS NULL OR s.held_until <= %(now)s) AND {host}
      AND s.id {not_among_settings} AND s.host {not_among_hosts})
"""
FIRST, AGAIN = "= 0", "> 0"


class Scope(NamedTuple):
    """Which deliveries are looked for: neither of these settings and hosts, and due at `start` or later."""

    exclude_settings: Collection[int] = ()
    exclude_hosts: Collection[str] = ()
    only_host: str | None = None
    start: datetime | None = None


EVERYTHING = Scope()


def is_anything_due() -> bool:
    with connection.cursor() as cursor:
        for count in (FIRST, AGAIN):
            text, parameters = _due_sql(count, EVERYTHING)
            cursor.execute(f"SELECT 1 {text} LIMIT 1", parameters)
            if cursor.fetchone():
                return True
    return False


def oldest_due_at(held_hosts: Collection[str] = ()) -> datetime | None:
    """Since when the oldest delivery waits that could be sent now; None if nothing is due."""
    found = []
    with connection.cursor() as cursor:
        for count in (FIRST, AGAIN):
            text, parameters = _due_sql(count, Scope(exclude_hosts=held_hosts))
            order = "ORDER BY d.next_attempt_at, d.id LIMIT 1"
            cursor.execute(f"SELECT CAST(d.next_attempt_at AS text) {text} {order}", parameters)
            found += [_parsed(row[0]) for row in cursor.fetchall()]
    return min(found, default=None)


def due(limit: int, scope: Scope = EVERYTHING, count: str = FIRST) -> list[Due]:
    """The earliest due deliveries that were never attempted, or with `AGAIN` those that were."""
    text, parameters = _due_sql(count, scope)
    lock = "FOR UPDATE OF d SKIP LOCKED" if connection.features.has_select_for_update_skip_locked else ""
    select = _SELECT.format(newer=superseded.newer_than("d"), made_again=superseded.made_again("d"))
    sql = f"{select} {text} ORDER BY d.next_attempt_at, d.id LIMIT %(limit)s {lock}"
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters | {"limit": limit})
        return [Due._make((*row[:7], json.loads(row[7]), *row[8:])) for row in cursor.fetchall()]


def _due_sql(count: str, scope: Scope) -> tuple[str, dict[str, Any]]:
    is_postgresql = connection.vendor == "postgresql"
    not_among = "<> ALL(%({0})s)" if is_postgresql else "NOT IN (SELECT value FROM json_each(%({0})s))"
    callback = partial(
        _CALLBACK.format,
        host="s.host = %(only_host)s" if scope.only_host else "true",
        not_among_settings=not_among.format("exclude_settings"),
        not_among_hosts=not_among.format("exclude_hosts"),
    )
    text = _DUE.format(
        count=count,
        no_setting="" if scope.only_host else "d.setting_id IS NULL OR",
        active_callback=callback(state="s.is_active"),
        callback=callback(state="true"),
    )
    as_one: Any = list if is_postgresql else lambda values: json.dumps(list(values))
    as_column = connection.ops.adapt_datetimefield_value
    parameters = {
        "now": as_column(timezone.now()),
        "exclude_settings": as_one(scope.exclude_settings),
        "exclude_hosts": as_one(scope.exclude_hosts),
    }
    if scope.only_host:
        parameters["only_host"] = scope.only_host
    if scope.start:
        text += " AND d.next_attempt_at >= %(start)s"
        parameters["start"] = as_column(scope.start)
    return text, parameters


# --- claim -------------------------------------------------------------------
class Claimed(NamedTuple):
    """A delivery that belongs to this worker until its lease ends. It has no endpoint if its setting was deleted."""

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

    @property
    def reason_to_skip(self) -> Delivery.SkipReason:
        """Why it must not be sent any more; `NONE` if it may."""
        if self.endpoint is None:
            return Skip.SETTING_DELETED
        return (
            Skip.SUPERSEDED
            if self.due.is_superseded
            else AFFILIATE_REASONS.get(self.endpoint.affiliate_status or "", Skip.NONE)
        )


def claim(limit: int, scope: Scope = EVERYTHING, *, lease: timedelta = LEASE) -> list[Claimed]:
    """Take up to `limit` due deliveries for a `lease`: first attempts before retries, then the earliest due."""
    # On PostgreSQL rows are locked as they are read, until the transaction ends. On SQLite reading locks nobody out,
    # and only the conditional update below has to wait for its turn.
    locks = connection.features.has_select_for_update_skip_locked
    with transaction.atomic() if locks else nullcontext():
        found = due(limit, scope)
        if len(found) < limit:
            found += due(limit - len(found), scope, AGAIN)
        return _take(found, lease) if found else []


_TAKE = """
UPDATE callbacks_delivery SET status = 'sending', claim_token = %s, leased_until = %s, next_attempt_at = NULL
WHERE status = 'pending' AND id
"""


def _take(found: list[Due], lease: timedelta) -> list[Claimed]:
    token, leased_until = uuid.uuid4(), timezone.now() + lease
    among, ids = sql.one_of(row.pk for row in found)
    as_columns = (sql.uuid_value(token), connection.ops.adapt_datetimefield_value(leased_until))
    with connection.cursor() as cursor:
        cursor.execute(f"{_TAKE} {among}", [*as_columns, ids])
        count = cursor.rowcount
    if count < len(found):  # another worker took some of them first
        ours = set(Delivery.objects.filter(claim_token=token).values_list("pk", flat=True))
        found = [row for row in found if row.pk in ours]
    by_setting = endpoints({row.setting_id for row in found if row.setting_id})
    return [Claimed(token, leased_until, by_setting.get(row.setting_id or 0), row) for row in found]


def skip(claims: Iterable[Claimed]) -> None:
    """End claimed deliveries without an attempt, each with its reason."""
    groups: dict[tuple[uuid.UUID, Delivery.SkipReason], list[int]] = defaultdict(list)
    for claimed in claims:
        groups[claimed.token, claimed.reason_to_skip].append(claimed.pk)
    for (token, reason), pks in groups.items():
        count = Delivery.objects.filter(pk__among=pks, claim_token=token).update(
            status=Status.SKIPPED, skip_reason=reason, claim_token=None, leased_until=None
        )
        metrics.SKIPPED.labels(reason.value).inc(count)


def give_back(claims: Iterable[Claimed]) -> None:
    """Return claimed deliveries unattempted; all of one claim become due when the first of them was."""
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


_FROM_THE_FUTURE = """
UPDATE callbacks_delivery SET next_attempt_at = %s
WHERE status = 'pending' AND attempt_count = 0 AND next_attempt_at > %s
"""


def recover() -> int:
    """Make claimed deliveries due again whose lease has ended, because their worker is dead; returns how many.

    A first attempt is never planned for later: one that seems to be was recorded while a clock was ahead, and is due.
    """
    now = timezone.now()
    as_column = connection.ops.adapt_datetimefield_value
    with connection.cursor() as cursor:
        cursor.execute(_FROM_THE_FUTURE, [as_column(now), as_column(now + CLOCKS_DIFFER)])
    return Delivery.objects.filter(status=Status.SENDING, leased_until__lt=now).update(
        status=Status.PENDING, next_attempt_at=now, claim_token=None, leased_until=None
    )
