"""The figures of the overview: how the last day went, what waits, which endpoints fail, and how it went over time.

Each is read within bounds that an index serves, so that it costs the same with a thousand deliveries and with millions.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Count, Min, QuerySet
from django.utils import timezone

from callbacks.models import Attempt, Delivery
from callbacks.reports import endpoint_health, hourly
from callbacks.reports.hourly import Counts
from config.listing.keys import first_pk_since
from orders.models import Order

Status = Delivery.Status
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
OUT_OF_ORDER = timedelta(minutes=10)  # rows are numbered in the order of their times, give or take a transaction
MOST_WAITING = 10_000  # are counted; of more it is said that there are more
SHOWN, RECOVERED, FAILURES = 8, 3, 5  # endpoints in trouble, with those that are out of it; deliveries that failed
COUNTED = "origin=counted"  # in the log's address: without tests, as in the figures that lead there
TIMED = 1000  # requests that the answer times are taken from, the latest


# --- now -------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits to be sent: how many, whether there are more than that, and when the oldest of them happened."""

    count: int
    is_more: bool
    oldest_at: datetime | None


def waiting() -> Waiting:
    pending = Delivery.objects.filter(status=Status.PENDING).order_by("next_attempt_at")
    counts, oldest = 0, []
    for part in (pending.filter(attempt_count=0), pending.filter(attempt_count__gt=0)):
        found = part.values("pk", "created_at")[: MOST_WAITING + 1].aggregate(n=Count("pk"), oldest=Min("created_at"))
        counts += found["n"]
        oldest += [found["oldest"]] if found["oldest"] else []
    return Waiting(min(counts, MOST_WAITING), counts > MOST_WAITING, min(oldest, default=None))


def recent(moment: datetime) -> QuerySet[Delivery]:
    """The deliveries that happened since then, without tests, which are no event."""
    first = first_pk_since(Delivery, moment - OUT_OF_ORDER)
    rows = Delivery.objects.order_by().filter(pk__gte=first, created_at__gte=moment)
    return rows.exclude(origin=Delivery.Origin.TEST)


@dataclass(frozen=True, slots=True)
class AnswerTimes:
    """Milliseconds that half of the latest requests took at most, and nineteen of twenty; None without any."""

    p50: float | None
    p95: float | None
    count: int


def answer_times() -> AnswerTimes:
    latest = Attempt.objects.order_by("-pk").exclude(trigger=Delivery.Trigger.TEST)
    taken = sorted(ms for ms in latest.values_list("total_ms", flat=True)[:TIMED] if ms is not None)
    if not taken:
        return AnswerTimes(None, None, 0)
    p50, p95 = (taken[min(len(taken) - 1, len(taken) * share // 100)] for share in (50, 95))
    return AnswerTimes(p50, p95, len(taken))


def orders_since(moment: datetime) -> int:
    first = first_pk_since(Order, moment - OUT_OF_ORDER)
    return Order.objects.filter(pk__gte=first, created_at__gte=moment).count()


# --- over time -------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Bar:
    """The requests between two moments; the deliveries of that time are at `query` in the log."""

    begins_at: datetime
    tally: Counts
    query: str

    @property
    def rate(self) -> float | None:
        """Percent of the requests that were answered 2xx; None if there were none."""
        return rate_of(self.tally)


def rate_of(tally: Counts) -> float | None:
    return 100 * tally.delivered / tally.requests if tally.requests else None


@dataclass(frozen=True, slots=True)
class Range:
    name: str
    label: str
    bars: int
    width: timedelta


RANGES = (
    Range("day", "24 hours", 24, HOUR),
    Range("week", "7 days", 7, DAY),
    Range("month", "30 days", 30, DAY),
)


def range_named(name: str) -> Range:
    return next((found for found in RANGES if found.name == name), RANGES[0])


def over_time(chosen: Range, first: datetime, hours: dict[datetime, Counts]) -> list[Bar]:
    """The bars of a range from its `first` moment on, the oldest first; the last one goes on. Days are of UTC."""
    sums = [Counts()] * chosen.bars
    for begins_at, tally in hours.items():
        place = (begins_at - first) // chosen.width
        if 0 <= place < chosen.bars:
            sums[place] += tally
    bars = []
    for place, tally in enumerate(sums):
        begins_at = first + chosen.width * place
        bars.append(Bar(begins_at, tally, _query(begins_at, begins_at + chosen.width, chosen.width)))
    return bars


def _first_of(chosen: Range, now: datetime) -> datetime:
    last = now.replace(minute=0, second=0, microsecond=0)
    return (last if chosen.width == HOUR else last.replace(hour=0)) - chosen.width * (chosen.bars - 1)


def _query(begin: datetime, end: datetime, width: timedelta) -> str:
    if width == HOUR:
        return f"{COUNTED}&from={begin:%Y-%m-%dT%H:%M}&to={end:%Y-%m-%dT%H:%M}"
    return f"{COUNTED}&from={begin:%Y-%m-%d}&to={begin:%Y-%m-%d}"


# --- all of it -------------------------------------------------------------------
def overview(chosen: Range) -> dict[str, Any]:
    """What the first page of the admin shows, by the names that its template knows."""
    now = timezone.now().astimezone(UTC)
    since, today = now - DAY, now.replace(hour=0, minute=0, second=0, microsecond=0)
    first, last_day = _first_of(chosen, now), since.replace(minute=0, second=0, microsecond=0)
    hours = hourly.since(min(first, last_day))
    lately = sum((tally for begins_at, tally in hours.items() if begins_at >= last_day), Counts())
    happened = recent(since)
    troubled = endpoint_health.in_trouble(happened)
    still = [endpoint for endpoint in troubled if not endpoint.has_recovered]
    shown = troubled[: min(SHOWN, max(len(still), RECOVERED))]
    return {
        "since": f"{since:%Y-%m-%dT%H:%M}",
        "today": f"{today:%Y-%m-%d}",
        "lately": lately,
        "rate": rate_of(lately),
        "waiting": waiting(),
        "failed": happened.filter(status=Status.FAILED).count(),
        "skipped": happened.filter(status=Status.SKIPPED).count(),
        "times": answer_times(),
        "orders_today": orders_since(today),
        "endpoints": shown,
        "more_endpoints": len(troubled) - len(shown),
        "failures": Delivery.objects.filter(status=Status.FAILED)
        .exclude(origin=Delivery.Origin.TEST)
        .select_related("affiliate")
        .order_by("-pk")[:FAILURES],
        "ranges": RANGES,
        "range": chosen,
        "bars": over_time(chosen, first, hours),
    }
