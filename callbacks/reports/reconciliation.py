"""What became of one affiliate's orders of one month, callback by callback: proof in a dispute.

For each order the last delivery of an event counts, since it told the tracker how the order stands. An order is missing
if it came in after its callback was set up and has no delivery for it. Of deliveries that are no longer kept, and of
forgotten orders, the sums are kept and are added here; they cannot be named one by one.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from django.db import connection
from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from affiliates.models import Affiliate
from callbacks.models import Attempt, CallbackSetting, Delivery, EventType, KeptOrders, KeptResult
from callbacks.models.retention import deliveries_kept_since, in_words, is_no_longer_kept
from config.listing.period import day_begins_at
from orders import money
from orders.models import Order

BATCH_SIZE = 500  # orders that are read at once for the CSV
MAX_SHOWN = 20  # orders in the list of those that were not delivered
Status = Delivery.Status


class Result(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    PENDING = "pending"
    SKIPPED = "skipped"
    MISSING = "missing"
    NO_CALLBACK = "no callback"
    NOT_KEPT = "no longer kept"  # of a single order; the sums are kept


SHOWN = [result for result in Result if result != Result.NOT_KEPT]  # the columns of the table

OF_STATUS = {
    Status.SUCCEEDED.value: Result.SUCCEEDED,
    Status.FAILED.value: Result.FAILED,
    Status.PENDING.value: Result.PENDING,
    Status.SENDING.value: Result.PENDING,
    Status.SKIPPED.value: Result.SKIPPED,
}


@dataclass(frozen=True, slots=True)
class Month:
    """A month of the installation's zone, by its first day."""

    first_day: date

    @classmethod
    def of(cls, moment: datetime) -> "Month":
        return cls(timezone.localdate(moment, timezone.get_default_timezone()).replace(day=1))

    @classmethod
    def named(cls, name: str) -> "Month | None":
        """The month of `2026-03`; None if that is none, or none that orders can be of."""
        try:
            first_day = datetime.strptime(name, "%Y-%m").date()  # noqa: DTZ007 - a name has no zone
        except ValueError:
            return None
        return cls(first_day) if 1970 < first_day.year < 9999 else None

    @property
    def begins_at(self) -> datetime:
        return day_begins_at(self.first_day)

    @property
    def ends_at(self) -> datetime:
        return self.after.begins_at

    @property
    def last_day(self) -> date:
        return self.after.first_day - timedelta(days=1)

    @property
    def before(self) -> "Month":
        return Month((self.first_day - timedelta(days=1)).replace(day=1))

    @property
    def after(self) -> "Month":
        return Month((self.first_day + timedelta(days=31)).replace(day=1))

    def __str__(self) -> str:
        return f"{self.first_day:%Y-%m}"


@dataclass(frozen=True, slots=True)
class Line:
    """How many orders had which result with one callback. `setting` is None if there is none, or if it was deleted."""

    event: EventType
    setting: CallbackSetting | None
    counts: Counter[Result]

    @property
    def title(self) -> str:
        return self.setting.title if self.setting else _("%(event)s callback") % {"event": self.event.label}

    @property
    def orders(self) -> int:
        return sum(self.counts.values())

    @property
    def results(self) -> list[tuple[str, int]]:
        """The number of orders for each result, in the order of the table's columns."""
        return [(result.value, self.counts[result]) for result in SHOWN]


@dataclass(frozen=True, slots=True)
class Sums:
    """The orders in one currency."""

    currency: str
    orders: int
    amount: Decimal
    commission: Decimal

    def __add__(self, other: "Sums") -> "Sums":
        amount, commission = self.amount + other.amount, self.commission + other.commission
        return Sums(self.currency, self.orders + other.orders, amount, commission)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A month. `undelivered` are orders that failed or are missing: the order, the callback's title, the result."""

    month: Month
    sums: tuple[Sums, ...]
    lines: tuple[Line, ...]
    undelivered: tuple[tuple[Order, str, Result], ...]
    more_undelivered: int
    note: str = ""  # what is no longer kept

    @property
    def orders(self) -> int:
        return sum(sums.orders for sums in self.sums)


def orders_of(affiliate: Affiliate, month: Month) -> QuerySet[Order]:
    """The orders of that month that belong to the affiliate now."""
    return affiliate.orders.filter(created_at__gte=month.begins_at, created_at__lt=month.ends_at)


def reconcile(affiliate: Affiliate, month: Month) -> Reconciliation:
    """The month in figures, with the orders that were not delivered, the newest first."""
    orders, kept_since = orders_of(affiliate, month), deliveries_kept_since()
    sums = _sums(orders, _kept_sums(affiliate, month))
    settings = affiliate.callback_settings.in_bulk()
    counts, undelivered = _count_recorded(affiliate, month)
    kept = _kept_counts(affiliate, month, settings)
    for key, results in kept.items():
        counts[key] += results
    columns = _columns(settings, set(counts))
    for event, pk in columns:
        unrecorded = max(0, sum(each.orders for each in sums) - counts[event, pk].total())
        if unrecorded and event == EventType.CREATED:  # an order without a delivery for updates was not changed
            missing, unnamed = _missing(orders, settings[pk], kept_since) if pk else ([], 0)
            unnamed = min(unrecorded - len(missing), max(0, unnamed - kept[event, pk].total()))
            undelivered += [(order, (event, pk), Result.MISSING) for order in missing]
            counts[event, pk][Result.MISSING] = len(missing) + unnamed
            if pk or not any(setting.event == event for setting in settings.values()):
                counts[event, pk][Result.NO_CALLBACK] = unrecorded - len(missing) - unnamed
    undelivered.sort(key=lambda found: (-found[0], columns.index(found[1])))
    lines = {key: Line(EventType(key[0]), settings.get(key[1] or 0), +counts[key]) for key in columns}
    shown = Order.objects.in_bulk([pk for pk, _, _ in undelivered[:MAX_SHOWN]])
    is_pruned = kept_since is not None and is_no_longer_kept(month.begins_at, kept_since)
    return Reconciliation(
        month=month,
        sums=sums,
        lines=tuple(lines.values()),
        undelivered=tuple((shown[pk], lines[key].title, result) for pk, key, result in undelivered[:MAX_SHOWN]),
        more_undelivered=max(0, len(undelivered) - MAX_SHOWN),
        note=f"{in_words(kept_since)} {_('They are included in these figures.')}" if is_pruned and kept_since else "",
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


def _kept_counts(
    affiliate: Affiliate, month: Month, settings: dict[int, CallbackSetting]
) -> dict[Key, Counter[Result]]:
    """What is remembered of the orders whose deliveries are gone."""
    counts: dict[Key, Counter[Result]] = defaultdict(Counter)
    kept = KeptResult.objects.filter(affiliate=affiliate, month=str(month))
    for event, setting, status, number in kept.values_list("event", "setting_key", "status", "orders"):
        counts[event, setting if setting in settings else None][OF_STATUS[status]] += number
    return counts


def _missing(orders: QuerySet[Order], setting: CallbackSetting, kept_since: datetime | None) -> tuple[list[int], int]:
    """Those of the orders that came in after the callback was set up, and have no delivery for it.

    And the number of those without one which came in so long ago that it may be pruned.
    """
    recorded = Delivery.objects.filter(order=OuterRef("pk"), affiliate=setting.affiliate_id, setting=setting)
    recorded = recorded.exclude(origin=Delivery.Origin.TEST)
    without = orders.filter(~Exists(recorded), created_at__gte=setting.created_at)
    if kept_since is None:
        return list(without.values_list("pk", flat=True)), 0
    is_kept = Q(created_at__gte=kept_since)
    return list(without.filter(is_kept).values_list("pk", flat=True)), without.exclude(is_kept).count()


def _result(
    key: Key,
    created_at: datetime,
    status: str | None,
    settings: dict[int, CallbackSetting],
    kept_since: datetime | None,
) -> Result | None:
    """What became of an order for a callback; None if nothing was to be sent."""
    if status is not None:
        return OF_STATUS[status]
    event, pk = key
    was_there = pk is None or is_no_longer_kept(settings[pk].created_at, kept_since)
    if was_there and is_no_longer_kept(created_at, kept_since):
        return Result.NOT_KEPT
    if event != EventType.CREATED:
        return None  # because the order was not changed
    if pk is None:
        return Result.NO_CALLBACK if not any(setting.event == event for setting in settings.values()) else None
    return Result.NO_CALLBACK if settings[pk].created_at > created_at else Result.MISSING


def _sums(orders: QuerySet[Order], kept: Iterable[Sums]) -> tuple[Sums, ...]:
    found = orders.order_by().values("currency").annotate(n=Count("pk"), amount=Sum("amount"), earned=Sum("commission"))
    rows = {row["currency"]: Sums(row["currency"], row["n"], row["amount"], row["earned"]) for row in found}
    for more in kept:
        rows[more.currency] = rows[more.currency] + more if more.currency in rows else more
    return tuple(sorted(rows.values(), key=lambda sums: (-sums.orders, sums.currency)))


def _kept_sums(affiliate: Affiliate, month: Month) -> list[Sums]:
    """Those of forgotten orders."""
    kept = KeptOrders.objects.filter(affiliate=affiliate, month=str(month))
    return [Sums(*row) for row in kept.values_list("currency", "orders", "amount", "commission")]


# --- CSV -------------------------------------------------------------------------
REASONS = {
    Result.MISSING: "No delivery was recorded for this order.",
    Result.NO_CALLBACK: "No callback was set up when this order was placed.",
    Result.NOT_KEPT: "The deliveries of this order have been deleted.",
}
HEADINGS = (
    "Order", "Received ({zone})", "Amount", "Commission", "Currency", "Order status", "Callback", "Event", "Host",
    "Result", "Reason", "Event ID", "Attempts", "Last attempt ({zone})", "Last code", "Last error",
)  # fmt: skip


def csv_rows(affiliate: Affiliate, month: Month, batch_size: int = BATCH_SIZE) -> Iterator[tuple[Any, ...]]:
    """A row for each order and callback, in the order of `HEADINGS`, the oldest first; read a batch at a time."""
    settings, kept_since = affiliate.callback_settings.in_bulk(), deliveries_kept_since()
    orders = orders_of(affiliate, month).order_by("pk")
    batch = list(orders[:batch_size])
    while batch:
        recorded = _last_deliveries(affiliate, batch)
        details = _details(delivery for last in recorded.values() for delivery in last.values())
        for order in batch:
            for key in _columns(settings, set(recorded[order.pk])):
                delivery = recorded[order.pk].get(key)
                status = delivery.status if delivery else None
                if result := _result(key, order.created_at, status, settings, kept_since):
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
