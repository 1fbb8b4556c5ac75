"""The figures of the overview: the last day, what waits, endpoints in trouble, and requests over time.

Each query is bounded and uses an index, so that it takes as long with a thousand deliveries as with millions.
"""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db.models import Count, Min, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from callbacks.models import Attempt, Delivery
from callbacks.reports import hourly, troubled_hosts
from callbacks.reports.hourly import Counts
from config.listing.keys import first_pk_since
from config.listing.period import day_begins_at
from orders.models import Order

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise as StrOrPromise

Status = Delivery.Status
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
OUT_OF_ORDER = timedelta(minutes=10)  # by which `created_at` may differ from the order of primary keys, at most
MAX_WAITING = 10_000  # deliveries that are counted
MAX_ENDPOINTS, MAX_RECOVERED, MAX_FAILURES = 8, 3, 5  # that are shown
MAX_TIMED = 1000  # requests, the latest, that answer times are taken from
NOT_TEST = "origin=counted"  # in the log's address: no tests, as in these figures


# --- now -------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Waiting:
    """How many deliveries wait to be sent, whether there are more than `count`, and when the oldest was recorded."""

    count: int
    is_more: bool
    oldest_at: datetime | None


def waiting(limit: int = MAX_WAITING) -> Waiting:
    pending = Delivery.objects.filter(status=Status.PENDING).order_by("next_attempt_at")
    count, oldest = 0, []
    for part in (pending.filter(attempt_count=0), pending.filter(attempt_count__gt=0)):  # an index each
        found = part.values("pk", "created_at")[: limit + 1].aggregate(n=Count("pk"), oldest=Min("created_at"))
        count += found["n"]
        oldest += [found["oldest"]] if found["oldest"] else []
    return Waiting(min(count, limit), count > limit, min(oldest, default=None))


def recent(moment: datetime) -> QuerySet[Delivery]:
    """The deliveries that were recorded since then, without tests."""
    first = first_pk_since(Delivery, moment - OUT_OF_ORDER)
    rows = Delivery.objects.order_by().filter(pk__gte=first, created_at__gte=moment)
    return rows.exclude(origin=Delivery.Origin.TEST)


@dataclass(frozen=True, slots=True)
class AnswerTimes:
    """The median and the 95th percentile of the latest `count` requests, in milliseconds; None without any."""

    p50: float | None
    p95: float | None
    count: int


def answer_times(limit: int = MAX_TIMED) -> AnswerTimes:
    latest = Attempt.objects.order_by("-pk").exclude(trigger=Delivery.Trigger.TEST)
    taken = sorted(ms for ms in latest.values_list("total_ms", flat=True)[:limit] if ms is not None)
    if not taken:
        return AnswerTimes(None, None, 0)
    p50, p95 = (taken[min(len(taken) - 1, len(taken) * share // 100)] for share in (50, 95))
    return AnswerTimes(p50, p95, len(taken))


def orders_since(moment: datetime) -> int:
    first = first_pk_since(Order, moment - OUT_OF_ORDER)
    return Order.objects.filter(pk__gte=first, created_at__gte=moment).count()


class WithoutAffiliate(NamedTuple):
    """How many orders have no affiliate, whether there are more than `number`, and how many of them named one."""

    number: int
    is_more: bool
    named: int


def without_affiliate(limit: int = MAX_WAITING) -> WithoutAffiliate:
    latest = Order.objects.filter(affiliate=None).order_by("-pk").values("pk", "no_affiliate_reason")[: limit + 1]
    found = latest.aggregate(n=Count("pk"), named=Count("pk", filter=~Q(no_affiliate_reason__in=Order.NAMED_NOBODY)))
    return WithoutAffiliate(min(found["n"], limit), found["n"] > limit, found["named"])


# --- over time -------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Bar:
    """The requests of an hour or a day of the installation. `query` is the address of its deliveries in the log."""

    begins_at: datetime
    counts: Counts
    query: str
    is_hour: bool = False

    @property
    def label(self) -> str:
        local = timezone.localtime(self.begins_at)
        return f"{local:%H:%M}" if self.is_hour else f"{local:%-d %b}"

    @property
    def title(self) -> str:
        """With the zone's short name for an hour, as one may come twice in a night."""
        local = timezone.localtime(self.begins_at)
        return f"{local:%-d %b %Y, %H:%M %Z}" if self.is_hour else f"{local:%-d %b %Y}"


@dataclass(frozen=True, slots=True)
class Range:
    name: str
    label: "StrOrPromise"
    bars: int
    width: timedelta


RANGES = (
    Range("day", _("24 hours"), 24, HOUR),
    Range("week", _("7 days"), 7, DAY),
    Range("month", _("30 days"), 30, DAY),
)


def range_named(name: str) -> Range:
    return next((found for found in RANGES if found.name == name), RANGES[0])


def over_time(chosen: Range, now: datetime, quarters: dict[datetime, Counts]) -> list[Bar]:
    """The bars of a range up to `now`, the oldest first."""
    bounds = bounds_of(chosen, now)
    sums = [Counts()] * chosen.bars
    for begins_at, counts in quarters.items():
        place = bisect_right(bounds, begins_at) - 1
        if 0 <= place < chosen.bars:
            sums[place] += counts
    is_hour = chosen.width == HOUR
    return [
        Bar(begins_at, counts, _query(begins_at, ends_at, is_hour=is_hour), is_hour)
        for begins_at, ends_at, counts in zip(bounds[:-1], bounds[1:], sums, strict=True)
    ]


def bounds_of(chosen: Range, now: datetime) -> list[datetime]:
    """Where the bars begin, and where the last one ends: hours of the clock, or days of 23 to 25 hours."""
    local = timezone.localtime(now)
    if chosen.width == HOUR:
        last = local.replace(minute=0, second=0, microsecond=0).astimezone(UTC)
        return [last + HOUR * n for n in range(1 - chosen.bars, 2)]
    return [day_begins_at(local.date() + DAY * n) for n in range(1 - chosen.bars, 2)]


def _query(begins_at: datetime, ends_at: datetime, *, is_hour: bool) -> str:
    if is_hour:
        return f"{NOT_TEST}&from={begins_at:%Y-%m-%dT%H:%MZ}&to={ends_at:%Y-%m-%dT%H:%MZ}"
    day = timezone.localdate(begins_at)
    return f"{NOT_TEST}&from={day}&to={day}"


# --- all of it -------------------------------------------------------------------
def overview(chosen: Range) -> dict[str, Any]:
    """The context of the admin's first page."""
    now = timezone.now().astimezone(UTC)
    since, today = now - DAY, timezone.localdate(now)
    last_day = since.replace(minute=0, second=0, microsecond=0)
    quarters = hourly.since(min(bounds_of(chosen, now)[0], last_day))
    lately = sum((counts for begins_at, counts in quarters.items() if begins_at >= last_day), Counts())
    recorded = recent(since)
    endpoints = troubled_hosts.in_trouble(recorded)
    still_failing = [endpoint for endpoint in endpoints if not endpoint.has_recovered]
    shown = endpoints[: min(MAX_ENDPOINTS, max(len(still_failing), MAX_RECOVERED))]
    return {
        "since": f"{since:%Y-%m-%dT%H:%MZ}",
        "today": today.isoformat(),
        "lately": lately,
        "waiting": waiting(),
        "failed": recorded.filter(status=Status.FAILED).count(),
        "skipped": recorded.filter(status=Status.SKIPPED).count(),
        "times": answer_times(),
        "orders_today": orders_since(day_begins_at(today)),
        "without_affiliate": without_affiliate(),
        "endpoints": shown,
        "more_endpoints": len(endpoints) - len(shown),
        "failures": Delivery.objects.filter(status=Status.FAILED)
        .exclude(origin=Delivery.Origin.TEST)
        .select_related("affiliate")
        .order_by("-pk")[:MAX_FAILURES],
        "ranges": RANGES,
        "range": chosen,
        "bars": over_time(chosen, now, quarters),
    }
