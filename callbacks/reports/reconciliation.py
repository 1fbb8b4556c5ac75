"""What became of one affiliate's orders of one month, callback by callback: proof in a dispute.

For each order the last delivery of an event counts, since it told the tracker how the order stands. An order is missing
if it came in after its callback was set up and has no delivery for it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from django.db import connection
from django.db.models import Count, Exists, Max, OuterRef, QuerySet, Sum

from affiliates.models import Affiliate
from callbacks.models import Attempt, CallbackSetting, Delivery, EventType
from orders import money
from orders.models import Order

BATCH_SIZE = 500  # orders that are read at once for the CSV
MAX_SHOWN = 20  # orders in the list of those that were not delivered
Status = Delivery.Status


class Result(StrEnum):
    DELIVERED = "delivered"
    FAILED = "failed"
    WAITING = "waiting"
    SKIPPED = "skipped"
    MISSING = "missing"
    NO_CALLBACK = "no callback"


OF_STATUS = {
    Status.SUCCEEDED.value: Result.DELIVERED,
    Status.FAILED.value: Result.FAILED,
    Status.PENDING.value: Result.WAITING,
    Status.SENDING.value: Result.WAITING,
    Status.SKIPPED.value: Result.SKIPPED,
}


@dataclass(frozen=True, slots=True)
class Month:
    """A month of UTC."""

    begins_at: datetime

    @classmethod
    def of(cls, moment: datetime) -> "Month":
        return cls(moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0))

    @classmethod
    def named(cls, name: str) -> "Month | None":
        """The month of `2026-03`; None if that is none."""
        try:
            month = datetime.strptime(name, "%Y-%m").replace(tzinfo=UTC)
        except ValueError:
            return None
        return cls(month) if 1970 <= month.year < 9999 else None  # so that there is one before, and one after

    @property
    def ends_at(self) -> datetime:
        year, month = self.begins_at.year, self.begins_at.month
        return self.begins_at.replace(year=year + month // 12, month=month % 12 + 1)

    @property
    def last_day(self) -> datetime:
        return self.ends_at - timedelta(days=1)

    @property
    def before(self) -> "Month":
        year, month = self.begins_at.year, self.begins_at.month
        return Month(self.begins_at.replace(year=year - (month == 1), month=(month - 2) % 12 + 1))

    @property
    def after(self) -> "Month":
        return Month(self.ends_at)

    def __str__(self) -> str:
        return f"{self.begins_at:%Y-%m}"


@dataclass(frozen=True, slots=True)
class Line:
    """How many orders had which result with one callback. `setting` is None if there is none, or if it was deleted."""

    event: EventType
    setting: CallbackSetting | None
    counts: Counter[Result]

    @property
    def title(self) -> str:
        return self.setting.title if self.setting else f"{self.event.label} callback"

    @property
    def orders(self) -> int:
        return sum(self.counts.values())

    @property
    def results(self) -> list[tuple[str, int]]:
        """The number of orders for each result, in the order of the table's columns."""
        return [(result.value, self.counts[result]) for result in Result]


@dataclass(frozen=True, slots=True)
class Sums:
    """The orders in one currency."""

    currency: str
    orders: int
    amount: Decimal
    commission: Decimal


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A month. `undelivered` are orders that failed or are missing: the order, the callback's title, the result."""

    month: Month
    sums: tuple[Sums, ...]
    lines: tuple[Line, ...]
    undelivered: tuple[tuple[Order, str, Result], ...]
    more_undelivered: int

    @property
    def orders(self) -> int:
        return sum(sums.orders for sums in self.sums)


def orders_of(affiliate: Affiliate, month: Month) -> QuerySet[Order]:
    """The orders of that month that belong to the affiliate now."""
    return affiliate.orders.filter(created_at__gte=month.begins_at, created_at__lt=month.ends_at)


def reconcile(affiliate: Affiliate, month: Month) -> Reconciliation:
    """The month in figures, with the orders that were not delivered, the newest first."""
    orders = orders_of(affiliate, month)
    sums = _sums(orders)
    settings = affiliate.callback_settings.in_bulk()
    counts, undelivered = _count_recorded(affiliate, month)
    columns = _columns(settings, set(counts))
    for event, pk in columns:
        unrecorded = sum(each.orders for each in sums) - counts[event, pk].total()
        if unrecorded and event == EventType.CREATED:  # an order without a delivery for updates was not changed
            missing = _missing(orders, settings[pk]) if pk else []
            undelivered += [(order, (event, pk), Result.MISSING) for order in missing]
            counts[event, pk][Result.MISSING] = len(missing)
            if pk or not any(setting.event == event for setting in settings.values()):
                counts[event, pk][Result.NO_CALLBACK] = unrecorded - len(missing)
    undelivered.sort(key=lambda found: (-found[0], columns.index(found[1])))
    lines = {key: Line(EventType(key[0]), settings.get(key[1] or 0), +counts[key]) for key in columns}
    shown = Order.objects.in_bulk([pk for pk, _, _ in undelivered[:MAX_SHOWN]])
    return Reconciliation(
        month=month,
        sums=sums,
        lines=tuple(lines.values()),
        undelivered=tuple((shown[pk], lines[key].title, result) for pk, key, result in undelivered[:MAX_SHOWN]),
        more_undelivered=max(0, len(undelivered) - MAX_SHOWN),
    )


Key = tuple[str, int | None]  # an event and the primary key of a callback setting; None for a deleted one, or none
Undelivered = tuple[int, Key, Result]  # the primary key of an order, the callback, the result


def _columns(settings: dict[int, CallbackSetting], recorded: set[Key]) -> list[Key]:
    """Every callback, deleted ones with deliveries included; for an event without any, one without a setting."""
    keys = {(setting.event, setting.pk) for setting in settings.values()} | recorded
    keys |= {(event.value, None) for event in EventType if event.value not in {event for event, _ in keys}}
    return sorted(keys, key=lambda key: (key[0], key[1] or 0))


def _count_recorded(affiliate: Affiliate, month: Month) -> tuple[dict[Key, Counter[Result]], list[Undelivered]]:
    """For each callback, how many orders of the month have a delivery with which result; and the failed ones.

    One statement, as a month may have a hundred thousand deliveries. Its MAX finds the last delivery of an order
    together with its status, whose index in `OF_STATUS` is the last digit of a number that begins with the key.
    """
    statuses = list(OF_STATUS)
    digits = " ".join(f"WHEN '{status}' THEN {digit}" for digit, status in enumerate(statuses))
    sql = f"""
        SELECT event, setting_id, last %% 10, CASE last %% 10 WHEN {statuses.index(Status.FAILED)} THEN id END, COUNT(*)
        FROM (
            SELECT o.id, d.event, d.setting_id, MAX(d.id * 10 + CASE d.status {digits} END) AS last
            FROM orders_order o JOIN callbacks_delivery d ON d.order_id = o.id
            WHERE o.affiliate_id = %s AND o.created_at >= %s AND o.created_at < %s
                AND d.affiliate_id = o.affiliate_id AND d.origin <> '{Delivery.Origin.TEST}'
            GROUP BY o.id, d.event, d.setting_id
        ) recorded GROUP BY 1, 2, 3, 4
    """  # noqa: S608 - names of our own
    bounds = [connection.ops.adapt_datetimefield_value(bound) for bound in (month.begins_at, month.ends_at)]
    counts: dict[Key, Counter[Result]] = defaultdict(Counter)
    failed: list[Undelivered] = []
    with connection.cursor() as cursor:
        cursor.execute(sql, [affiliate.pk, *bounds])
        for event, setting, digit, order, number in cursor.fetchall():
            counts[event, setting][OF_STATUS[statuses[digit]]] += number
            if order is not None:
                failed.append((order, (event, setting), Result.FAILED))
    return counts, failed


def _missing(orders: QuerySet[Order], setting: CallbackSetting) -> list[int]:
    """Those of the orders that came in after the callback was set up, and have no delivery for it."""
    recorded = Delivery.objects.filter(order=OuterRef("pk"), affiliate=setting.affiliate_id, setting=setting)
    recorded = recorded.exclude(origin=Delivery.Origin.TEST)
    return list(orders.filter(~Exists(recorded), created_at__gte=setting.created_at).values_list("pk", flat=True))


def _result(key: Key, created_at: datetime, status: str | None, settings: dict[int, CallbackSetting]) -> Result | None:
    """What became of an order for a callback; None if nothing was to be sent."""
    if status is not None:
        return OF_STATUS[status]
    event, pk = key
    if event != EventType.CREATED:
        return None  # because the order was not changed
    if pk is None:
        return Result.NO_CALLBACK if not any(setting.event == event for setting in settings.values()) else None
    return Result.NO_CALLBACK if settings[pk].created_at > created_at else Result.MISSING


def _sums(orders: QuerySet[Order]) -> tuple[Sums, ...]:
    found = orders.order_by().values("currency").annotate(n=Count("pk"), amount=Sum("amount"), earned=Sum("commission"))
    rows = [Sums(row["currency"], row["n"], row["amount"], row["earned"]) for row in found]
    return tuple(sorted(rows, key=lambda sums: (-sums.orders, sums.currency)))


# --- CSV -------------------------------------------------------------------------
REASONS = {
    Result.MISSING: "Nothing was recorded for this order.",
    Result.NO_CALLBACK: "There was no callback when this order came in.",
}
HEADINGS = (
    "Order", "Came in (UTC)", "Amount", "Commission", "Currency", "Order status", "Callback", "Event", "Host", "Result",
    "Reason", "Event id", "Attempts", "Last attempt (UTC)", "Last code", "Last error",
)  # fmt: skip


def csv_rows(affiliate: Affiliate, month: Month, batch_size: int = BATCH_SIZE) -> Iterator[tuple[Any, ...]]:
    """A row for each order and callback, in the order of `HEADINGS`, the oldest first; read a batch at a time."""
    settings = affiliate.callback_settings.in_bulk()
    orders = orders_of(affiliate, month).order_by("pk")
    batch = list(orders[:batch_size])
    while batch:
        recorded = _last_deliveries(affiliate, batch)
        details = _details(delivery for last in recorded.values() for delivery in last.values())
        for order in batch:
            for key in _columns(settings, set(recorded[order.pk])):
                delivery = recorded[order.pk].get(key)
                status = delivery.status if delivery else None
                if result := _result(key, order.created_at, status, settings):
                    line = Line(EventType(key[0]), settings.get(key[1] or 0), Counter())
                    yield _row(order, line, result, delivery, details)
        batch = list(orders.filter(pk__gt=batch[-1].pk)[:batch_size]) if len(batch) == batch_size else []


def _last_deliveries(affiliate: Affiliate, orders: list[Order]) -> dict[int, dict[Key, Delivery]]:
    """The last delivery of each order for each callback, without tests."""
    last: dict[int, dict[Key, Delivery]] = defaultdict(dict)
    recorded = Delivery.objects.filter(order__in=orders).exclude(origin=Delivery.Origin.TEST).order_by("order_id", "pk")
    for delivery in recorded.defer("variables"):
        if delivery.affiliate_id == affiliate.pk:  # in the query, it would make SQLite read all their deliveries
            last[delivery.order_id or 0][delivery.event, delivery.setting_id] = delivery
    return last


def _details(deliveries: Iterable[Delivery]) -> dict[int, str]:
    """The sentence of the last attempt of each delivery."""
    tried = [delivery.pk for delivery in deliveries if delivery.attempt_count]
    last = Attempt.objects.filter(delivery__in=tried).order_by().values("delivery").annotate(last=Max("pk"))
    found = Attempt.objects.filter(pk__in=[row["last"] for row in last])
    return dict(found.values_list("delivery", "detail"))


def _row(
    order: Order, line: Line, result: Result, delivery: Delivery | None, details: dict[int, str]
) -> tuple[Any, ...]:
    amount, commission = (money.plain(value, order.currency) for value in (order.amount, order.commission))
    known = (order.number, order.created_at, amount, commission, order.currency, order.status)
    host = line.setting.host if line.setting else ""
    if delivery is None:
        reason = REASONS.get(result, "")
        return *known, line.title, line.event.value, host, result.value, reason, "", 0, None, None, ""
    reason = delivery.get_skip_reason_display() if delivery.skip_reason else details.get(delivery.pk, "")
    return (
        *known, line.title, line.event.value, host, result.value, reason, delivery.event_id, delivery.attempt_count,
        delivery.last_attempt_at, delivery.last_status_code, delivery.last_error_kind,
    )  # fmt: skip
