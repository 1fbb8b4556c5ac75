"""Deletes what is older than it is kept, in small batches by primary key, each in a transaction of its own.

A batch reads the next rows by key, and deletes those of them that are to go. After it there is a pause of twice the
time that it took, and its size follows from that time, so that those who save and send hardly notice.

Never pruned is what is not over: a delivery that is pending or being sent. Nor are the later deliveries of its order,
which may replace it, or an attempt that is not in the hourly counts yet. What the others told goes into the sums of
the affiliate's month, and `Pruned` remembers how far back deliveries are there.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.db import DatabaseError, InterfaceError, connection, models, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from callbacks.delivery import queue
from callbacks.models import Attempt, CallbackSetting, CountedUpTo, Delivery, Pruned, TroubledHost, sql
from callbacks.models.retention import DELIVERIES
from callbacks.retention import kept_sums
from config.db_outages import outage
from config.models import Email
from config.monitoring import mail
from orders.models import IdempotentAnswer, Message

log = structlog.get_logger(__name__)

LOG_IN_DAYS = 30
SHOP_MESSAGE_DAYS = 7
IDEMPOTENT_HOURS = 24
SMALLEST, LARGEST = 50, 2000  # rows of a batch
BATCH_S = 0.005  # how long one should take
PAUSE, SHORTEST_PAUSE_S = 2.0, 0.002  # times the batch; and at least
LEAST_S, MOST_S = 1.0, 20.0  # of one run, if something waits to be sent, and if nothing does
ASK_EVERY_S, BEHIND = 0.2, timedelta(seconds=0.2)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of rows: from which table, when each was made, since when they are kept, and which others stay.

    `goes` is a condition in SQL on the row `t`. `before_deletion` is called in the transaction, with that time and the
    keys of the rows.
    """

    name: str
    model: type[models.Model]
    time: str
    kept_since: datetime
    goes: str = ""
    before_deletion: Callable[[datetime, Collection[int]], None] = lambda _since, _keys: None

    @property
    def table(self) -> str:
        return self.model._meta.db_table  # noqa: SLF001 - Django's documented name


# An older delivery of an order that is not over, or was tried lately, needs the newer ones: they may replace it.
_DELIVERY_GOES = """
t.status NOT IN ('pending', 'sending') AND (t.last_attempt_at IS NULL OR t.last_attempt_at < {lately})
AND NOT EXISTS (
  SELECT 1 FROM callbacks_delivery o WHERE o.order_id = t.order_id AND o.id < t.id
    AND (o.status IN ('pending', 'sending') OR o.last_attempt_at >= {lately}))
AND NOT EXISTS (SELECT 1 FROM callbacks_attempt a WHERE a.delivery_id = t.id AND a.id > {counted})
"""


def kinds() -> list[Kind]:
    """All that is pruned. Attempts go first, so that deliveries have few left."""
    now = timezone.now()
    attempts, deliveries = settings.RETENTION_ATTEMPTS_DAYS, settings.RETENTION_DELIVERIES_DAYS
    log_ins_since = now - timedelta(days=LOG_IN_DAYS)
    counted = CountedUpTo.objects.values_list("attempt_id", flat=True).first() or 0
    found = []
    if attempts:
        found.append(Kind("attempts", Attempt, "created_at", _since(attempts), f"t.id <= {counted}"))
    if deliveries:
        lately = _literal(_since(min(attempts or deliveries, deliveries)))
        goes = _DELIVERY_GOES.format(lately=lately, counted=counted)
        about = ContentType.objects.get_for_model(Delivery).pk
        found += [
            Kind(DELIVERIES, Delivery, "created_at", _since(deliveries), goes, _before_deliveries_go),
            Kind(
                "history entries of resends",
                LogEntry,
                "action_time",
                _since(deliveries),
                f"t.content_type_id = {about}",
            ),
        ]
    about = ContentType.objects.get_for_model(User).pk
    goes = f"t.content_type_id = {about} AND t.change_message LIKE 'Logged in%%'"
    return [
        *found,
        Kind("history entries of log-ins", LogEntry, "action_time", log_ins_since, goes),
        Kind("log-ins", AccessLog, "attempt_time", log_ins_since),
        Kind("failed log-ins", AccessFailureLog, "attempt_time", log_ins_since),
        Kind("wrong-password counters", AccessAttempt, "attempt_time", log_ins_since),
        Kind("messages of shops", Message, "received_at", now - timedelta(days=SHOP_MESSAGE_DAYS)),
        Kind("repeatable answers", IdempotentAnswer, "created_at", now - timedelta(hours=IDEMPOTENT_HOURS)),
        Kind("e-mails", Email, "created_at", now - mail.KEPT_FOR, f"t.status <> '{Email.Status.WAITING}'"),
    ]


def _since(days: int) -> datetime:
    return timezone.now() - timedelta(days=days)


def _literal(moment: datetime) -> str:
    return f"'{connection.ops.adapt_datetimefield_value(moment)}'"


# --- what would go -----------------------------------------------------------
def count() -> dict[str, int]:
    """How many rows of each kind would go now."""
    found = {}
    for kind in kinds():
        found[kind.name] = sum(len(keys) for keys, _ in _batches(kind, 0, lambda: LARGEST))
    found["sessions"] = Session.objects.filter(expire_date__lt=timezone.now()).count()
    found["states of unused hosts"] = _hosts_without_callback().count()
    return found


# --- one run -----------------------------------------------------------------
def run(is_enough: Callable[[], bool] = lambda: False) -> dict[str, int]:
    """Delete what is to go until `is_enough`; the next run goes on there. Returns how many rows of each kind went."""
    gone: Counter[str] = Counter()
    for kind in kinds():
        if is_enough():
            break
        gone[kind.name] = _prune(kind, is_enough)
        if gone[kind.name]:
            log.info("pruned", table=kind.table, rows=gone[kind.name])
    if not is_enough():
        gone["sessions"] = _prune_sessions(is_enough)
    if not is_enough() and (hosts := _hosts_without_callback().delete()[0]):
        gone["states of unused hosts"] = hosts
        log.info("pruned", table=TroubledHost._meta.db_table, rows=hosts)  # noqa: SLF001 - Django's documented name
    return dict(gone)


def _hosts_without_callback() -> models.QuerySet[TroubledHost]:
    """Hosts in trouble that no callback calls any more, so that no answer will ever end it."""
    return TroubledHost.objects.filter(~Exists(CallbackSetting.objects.filter(host=OuterRef("host"))))


def run_for_a_while(is_stopping: Callable[[], bool]) -> None:
    """As `run`, for a time that holds up no worker. Without the database, or behind a long lock, it is over."""
    try:
        run(TimeLimit(is_stopping))
    except (DatabaseError, InterfaceError) as error:  # the next one finds everything as it was
        if not outage(error):
            raise
        log.warning("pruning_interrupted", error=type(error).__name__)


class TimeLimit:
    """Whether a run has had its time: little of it while something waits that no worker takes."""

    def __init__(self, is_stopping: Callable[[], bool]) -> None:
        self._is_stopping = is_stopping
        self._began = time.monotonic()
        self._ask_at = self._began + LEAST_S

    def __call__(self) -> bool:
        now = time.monotonic()
        if self._is_stopping() or now - self._began > MOST_S:
            return True
        if now < self._ask_at:  # it may take long to find out, if much waits for a callback that is paused
            return False
        self._ask_at = now + ASK_EVERY_S
        return _is_behind()


def _is_behind() -> bool:
    oldest = queue.oldest_due_at()
    return oldest is not None and timezone.now() - oldest > BEHIND


def _prune(kind: Kind, is_enough: Callable[[], bool]) -> int:
    mark, _ = Pruned.objects.get_or_create(kind=kind.name)
    gone, pace = 0, _Pace()
    position = 0  # at the end, so that the next run begins anew: what had to stay may go by then
    for keys, last in _batches(kind, mark.position, lambda: pace.size):
        if keys:
            began = time.monotonic()
            gone += _delete(kind, keys)
            pace.rest(time.monotonic() - began)
        if is_enough():
            position = last
            break
    if position != mark.position:
        Pruned.objects.filter(pk=mark.pk).update(position=position)
    return gone


class _Pace:
    """How large the next batch is, and the pause before it."""

    def __init__(self) -> None:
        self.size = SMALLEST

    def rest(self, took_s: float) -> None:
        if took_s < BATCH_S / 2:
            self.size = min(self.size * 2, LARGEST)
        elif took_s > BATCH_S:
            self.size = max(self.size // 2, SMALLEST)
        time.sleep(max(took_s * PAUSE, SHORTEST_PAUSE_S))


def _batches(kind: Kind, position: int, size: Callable[[], int]) -> Iterator[tuple[list[int], int]]:
    """The keys that are to go of the next rows, and the last key looked at; up to the first rows that are all young.

    Ends at those: rows are nearly in the order of their time.
    """
    goes = f"AND {kind.goes}" if kind.goes else ""
    text = f"""
        SELECT t.id, CASE WHEN t.{kind.time} < %(since)s THEN 1 ELSE 0 END,
          CASE WHEN t.{kind.time} < %(since)s {goes} THEN 1 ELSE 0 END
        FROM {kind.table} t WHERE t.id > %(position)s ORDER BY t.id LIMIT %(limit)s
    """  # noqa: S608 - names and conditions of our own
    since = connection.ops.adapt_datetimefield_value(kind.kept_since)
    while True:
        limit = size()
        with connection.cursor() as cursor:
            cursor.execute(text, {"since": since, "position": position, "limit": limit})
            rows = cursor.fetchall()
        if not any(is_old for _, is_old, _ in rows):
            return
        position = rows[-1][0]
        yield [key for key, _, is_to_go in rows if is_to_go], position
        if len(rows) < limit:
            return


def _delete(kind: Kind, keys: list[int]) -> int:
    """Delete these rows, unless they may not go any more."""
    among, parameter = sql.one_of(keys)
    condition = f"AND {kind.goes}" if kind.goes else ""
    locks = connection.features.has_select_for_update_skip_locked
    find = f"SELECT t.id FROM {kind.table} t WHERE t.id {among}"  # noqa: S608 - as above
    with transaction.atomic(), connection.cursor() as cursor:
        if locks:  # what somebody else holds goes another time; what is held here is looked at again
            cursor.execute(f"{find} ORDER BY t.id FOR UPDATE SKIP LOCKED", [parameter])
            among, parameter = sql.one_of(key for (key,) in cursor.fetchall())
            find = f"SELECT t.id FROM {kind.table} t WHERE t.id {among}"  # noqa: S608
        cursor.execute(f"{find} {condition}", [parameter])
        going = [key for (key,) in cursor.fetchall()]
        if going:
            kind.before_deletion(kind.kept_since, going)
            among, parameter = sql.one_of(going)
            cursor.execute(f"DELETE FROM {kind.table} WHERE id {among}", [parameter])  # noqa: S608
    return len(going)


def _before_deliveries_go(kept_since: datetime, keys: Collection[int]) -> None:
    """Keep their sums, and remember how far back deliveries are there. Attempts that are left of them go with them."""
    mark = Pruned.objects.filter(Q(before=None) | Q(before__lt=kept_since), kind=DELIVERIES)
    mark.update(before=kept_since)
    kept_sums.add_results(keys)
    among, parameter = sql.one_of(keys)
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM callbacks_attempt WHERE delivery_id {among}", [parameter])  # noqa: S608


def _prune_sessions(is_enough: Callable[[], bool]) -> int:
    """As `clearsessions` does, in batches; they have an index of their time."""
    gone, pace = 0, _Pace()
    while not is_enough():
        expired = Session.objects.filter(expire_date__lt=timezone.now()).order_by("expire_date")
        keys: list[Any] = list(expired.values_list("pk", flat=True)[: pace.size])
        if not keys:
            break
        began = time.monotonic()
        gone += Session.objects.filter(pk__in=keys).delete()[0]
        pace.rest(time.monotonic() - began)
    if gone:
        log.info("pruned", table=Session._meta.db_table, rows=gone)  # noqa: SLF001 - Django's documented name
    return gone
