"""What came of one affiliate's orders of one month, callback by callback: the paper for a dispute.

For each order the last postback of an event counts, since that told the tracker how the order stands. An order that
came in after its callback was set up, and that nothing was recorded for, is missing.
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

BATCH = 500  # orders that the CSV is made of at once
SHOWN = 20  # orders in the list of what did not get through
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
            return cls(datetime.strptime(name, "%Y-%m").replace(tzinfo=UTC))
        except ValueError:
            return None

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
    """How the orders went with one callback. `setting` is None where there is none, or none any more."""

    event: EventType
    setting: CallbackSetting | None
    counts: Counter[Result]

    @property
    def title(self) -> str:
        return self.setting.title if self.setting else f"{self.event.label} callback"

    @property
    def orders(self) -> int:
        return sum(self.counts.values())

    def of(self, result: str) -> int:
        return self.counts[Result(result)]


@dataclass(frozen=True, slots=True)
class Sums:
    """The orders in one currency."""

    currency: str
    orders: int
    amount: Decimal
    commission: Decimal


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A month. `troubles` are orders that a callback was not told of: the order, the callback, and what came of it."""

    month: Month
    sums: tuple[Sums, ...]
    lines: tuple[Line, ...]
    troubles: tuple[tuple[Order, str, Result], ...]
    more_troubles: int

    @property
    def orders(self) -> int:
        return sum(sums.orders for sums in self.sums)


def orders_of(affiliate: Affiliate, month: Month) -> QuerySet[Order]:
    """The orders that came in through the affiliate in that month, and still are theirs."""
    return affiliate.orders.filter(created_at__gte=month.begins_at, created_at__lt=month.ends_at)


def statement(affiliate: Affiliate, month: Month) -> Reconciliation:
    """The month in figures, with the orders that did not get through, the newest first."""
    orders = orders_of(affiliate, month)
    sums = _sums(orders)
    settings = _settings_of(affiliate)
    counts, troubles = _told_of(affiliate, month)
    columns = _columns(settings, set(counts))
    for event, pk in columns:
        untold = sum(each.orders for each in sums) - counts[event, pk].total()
        if untold and event == EventType.CREATED:  # who was told of no update was not changed
            missing = _missing(orders, settings[pk]) if pk else []
            troubles += [(order, (event, pk), Result.MISSING) for order in missing]
            counts[event, pk][Result.MISSING] = len(missing)
            if pk or not any(setting.event == event for setting in settings.values()):
                counts[event, pk][Result.NO_CALLBACK] = untold - len(missing)
    troubles.sort(key=lambda trouble: (-trouble[0], columns.index(trouble[1])))
    lines = {key: Line(EventType(key[0]), settings.get(key[1] or 0), +counts[key]) for key in columns}
    shown = Order.objects.in_bulk([pk for pk, _, _ in troubles[:SHOWN]])
    return Reconciliation(
        month=month,
        sums=sums,
        lines=tuple(lines.values()),
        troubles=tuple((shown[pk], lines[key].title, result) for pk, key, result in troubles[:SHOWN]),
        more_troubles=max(0, len(troubles) - SHOWN),
    )


Key = tuple[str, int | None]  # an event, and the callback setting that is told of it
Trouble = tuple[int, Key, Result]  # an order, and what came of it with which callback


def _settings_of(affiliate: Affiliate) -> dict[int, CallbackSetting]:
    settings = CallbackSetting.objects.filter(affiliate=affiliate)
    return {setting.pk: setting for setting in settings}


def _columns(settings: dict[int, CallbackSetting], told: set[Key]) -> list[Key]:
    """Every callback there is, those that were told of an order, and of each event one at least."""
    keys = {(setting.event, setting.pk) for setting in settings.values()} | told
    keys |= {(event.value, None) for event in EventType if event.value not in {event for event, _ in keys}}
    return sorted(keys, key=lambda key: (key[0], key[1] or 0))


def _told_of(affiliate: Affiliate, month: Month) -> tuple[dict[Key, Counter[Result]], list[Trouble]]:
    """Of each callback, how many orders of the month it was told of with what result; and those where that failed.

    In one statement, for a month may have a hundred thousand deliveries. The state of an order's last one is found in
    one go by its place in `OF_STATUS`, carried in the lowest digit of the key.
    """
    statuses = list(OF_STATUS)
    places = " ".join(f"WHEN '{status}' THEN {place}" for place, status in enumerate(statuses))
    sql = f"""
        SELECT event, setting_id, last %% 10, CASE last %% 10 WHEN {statuses.index(Status.FAILED)} THEN id END, COUNT(*)
        FROM (
            SELECT o.id, d.event, d.setting_id, MAX(d.id * 10 + CASE d.status {places} END) AS last
            FROM orders_order o JOIN callbacks_delivery d ON d.order_id = o.id
            WHERE o.affiliate_id = %s AND o.created_at >= %s AND o.created_at < %s
                AND d.affiliate_id = o.affiliate_id AND d.origin <> '{Delivery.Origin.TEST}'
            GROUP BY o.id, d.event, d.setting_id
        ) told GROUP BY 1, 2, 3, 4
    """  # noqa: S608 - names of our own
    bounds = [connection.ops.adapt_datetimefield_value(bound) for bound in (month.begins_at, month.ends_at)]
    counts: dict[Key, Counter[Result]] = defaultdict(Counter)
    failed: list[Trouble] = []
    with connection.cursor() as cursor:
        cursor.execute(sql, [affiliate.pk, *bounds])
        for event, setting, place, order, amount in cursor.fetchall():
            counts[event, setting][OF_STATUS[statuses[place]]] += amount
            if order is not None:
                failed.append((order, (event, setting), Result.FAILED))
    return counts, failed


def _missing(orders: QuerySet[Order], setting: CallbackSetting) -> list[int]:
    """Those of the orders that came in after the callback was set up, and that it was told nothing of."""
    told = Delivery.objects.filter(order=OuterRef("pk"), affiliate=setting.affiliate_id, setting=setting)
    told = told.exclude(origin=Delivery.Origin.TEST)
    return list(orders.filter(~Exists(told), created_at__gte=setting.created_at).values_list("pk", flat=True))


def _result(key: Key, created_at: datetime, status: str | None, settings: dict[int, CallbackSetting]) -> Result | None:
    """What came of an order for a callback; None if there was nothing to tell it."""
    if status is not None:
        return OF_STATUS[status]
    event, pk = key
    if event != EventType.CREATED:
        return None  # it was not changed
    if pk is None:
        return Result.NO_CALLBACK if not any(setting.event == event for setting in settings.values()) else None
    return Result.NO_CALLBACK if settings[pk].created_at > created_at else Result.MISSING


def _sums(orders: QuerySet[Order]) -> tuple[Sums, ...]:
    found = orders.order_by().values("currency").annotate(n=Count("pk"), amount=Sum("amount"), earned=Sum("commission"))
    rows = [Sums(row["currency"], row["n"], row["amount"], row["earned"]) for row in found]
    return tuple(sorted(rows, key=lambda sums: (-sums.orders, sums.currency)))


# --- the paper -------------------------------------------------------------------
REASONS = {
    Result.MISSING: "Nothing was recorded for this order.",
    Result.NO_CALLBACK: "There was no callback when this order came in.",
}
HEADINGS = (
    "Order", "Came in (UTC)", "Amount", "Commission", "Currency", "Order status", "Callback", "Event", "Host", "Result",
    "Reason", "Event id", "Attempts", "Last attempt (UTC)", "Last code", "Last error",
)  # fmt: skip


def paper(affiliate: Affiliate, month: Month) -> Iterator[tuple[Any, ...]]:
    """A row for each order and callback, in the order of `HEADINGS`, the oldest first; read some orders at a time."""
    settings = _settings_of(affiliate)
    orders = orders_of(affiliate, month).order_by("pk")
    batch = list(orders[:BATCH])
    while batch:
        told = _told(affiliate, batch)
        details = _details(delivery for last in told.values() for delivery in last.values())
        for order in batch:
            for key in _columns(settings, set(told[order.pk])):
                delivery = told[order.pk].get(key)
                status = delivery.status if delivery else None
                if result := _result(key, order.created_at, status, settings):
                    yield _row(
                        order, Line(EventType(key[0]), settings.get(key[1] or 0), Counter()), result, delivery, details
                    )
        batch = list(orders.filter(pk__gt=batch[-1].pk)[:BATCH]) if len(batch) == BATCH else []


def _told(affiliate: Affiliate, orders: list[Order]) -> dict[int, dict[Key, Delivery]]:
    """The last delivery of each order to each callback. Who only tried a callback has told nobody."""
    told: dict[int, dict[Key, Delivery]] = defaultdict(dict)
    recorded = Delivery.objects.filter(order__in=orders).exclude(origin=Delivery.Origin.TEST).order_by("order_id", "pk")
    for delivery in recorded.defer("variables"):
        if delivery.affiliate_id == affiliate.pk:  # asked for it, SQLite would go through all that they were ever told
            told[delivery.order_id or 0][delivery.event, delivery.setting_id] = delivery
    return told


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
