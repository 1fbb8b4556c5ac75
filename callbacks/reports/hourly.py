"""Counts requests by the hour, a stretch of attempts at a time, so that a chart of a month reads some hundred rows.

Attempts are numbered before they are committed, so a younger one may be there before an older one is. What is not older
than `SETTLED` therefore stays uncounted, and who reads adds it to the hours that are counted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Case, CharField, Count, F, Max, Min, Q, QuerySet, TextField, Value, When
from django.db.models.functions import Cast, Substr
from django.utils import timezone

from callbacks.models import Attempt, CountedUpTo, Delivery, HourlyCount

SETTLED = timedelta(minutes=1)  # after its beginning an attempt is written within its longest time, which is shorter
STRETCH = 20_000  # attempts that are counted at once
MOST_UNCOUNTED = 50_000  # of more that wait to be counted, the newest are read


@dataclass(frozen=True, slots=True)
class Counts:
    """The requests that began within some time."""

    delivered: int = 0
    refused: int = 0
    unanswered: int = 0

    @property
    def requests(self) -> int:
        return self.delivered + self.refused + self.unanswered

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.delivered + other.delivered, self.refused + other.refused, self.unanswered + other.unanswered
        )


def count() -> int:
    """Add the next stretch of settled attempts to their hours; returns how many keys that was, 0 if none is left.

    Reads before it writes, so that nobody waits for it: if another counted the same meanwhile, his count holds.
    """
    counted = CountedUpTo.objects.values_list("attempt_id", flat=True).first()
    if counted is None:
        counted = CountedUpTo.objects.get_or_create(pk=1)[0].attempt_id
    last = _end_of_stretch(counted)
    tallies = list(_by_hour(Attempt.objects.filter(pk__gt=counted, pk__lte=last))) if last > counted else []
    with transaction.atomic():
        if last == counted or not CountedUpTo.objects.filter(attempt_id=counted).update(attempt_id=last):
            return 0
        for begins_at, tally in tallies:
            HourlyCount.objects.get_or_create(begins_at=begins_at)
            HourlyCount.objects.filter(begins_at=begins_at).update(
                delivered=F("delivered") + tally.delivered,
                refused=F("refused") + tally.refused,
                unanswered=F("unanswered") + tally.unanswered,
            )
    return last - counted


def _end_of_stretch(counted: int) -> int:
    """The key up to which attempts may be counted: that of the last one before the first that is not settled."""
    horizon = timezone.now() - SETTLED
    later = Attempt.objects.order_by("pk").filter(pk__gt=counted)
    stretch = later.order_by().filter(pk__lte=counted + STRETCH)
    found = stretch.aggregate(last=Max("pk"), young=Min("pk", filter=Q(created_at__gt=horizon)))
    if found["young"] is not None:
        return int(found["young"]) - 1
    if found["last"] is not None:
        return int(found["last"])
    first = later.values_list("pk", flat=True).first()  # beyond a gap: what was between is pruned
    return counted if first is None else first - 1


def since(moment: datetime) -> dict[datetime, Counts]:
    """The requests of each hour that began at `moment` or later and had any, what is not counted yet included."""
    hours = {
        begins_at: Counts(*tally)
        for begins_at, *tally in HourlyCount.objects.filter(begins_at__gte=moment).values_list(
            "begins_at", "delivered", "refused", "unanswered"
        )
    }
    counted = CountedUpTo.objects.values_list("attempt_id", flat=True).first() or 0
    newest = Attempt.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    uncounted = Attempt.objects.filter(pk__gt=max(counted, newest - MOST_UNCOUNTED))
    for begins_at, tally in _by_hour(uncounted):
        if begins_at >= moment:
            hours[begins_at] = hours.get(begins_at, Counts()) + tally
    return hours


def _by_hour(attempts: QuerySet[Attempt]) -> Iterator[tuple[datetime, Counts]]:
    # The text of a time begins alike on every database: cut off after the hour it groups faster than a truncated time.
    hour = Substr(Cast("created_at", TextField()), 1, 13)
    result = Case(
        When(error_kind="", then=Value("delivered")),
        When(Q(error_kind__in=["status", "redirect"]), then=Value("refused")),
        default=Value("unanswered"),
        output_field=CharField(),
    )
    sent = attempts.order_by().exclude(trigger=Delivery.Trigger.TEST)
    rows = sent.values_list(hour, result).annotate(amount=Count("pk"))
    hours: dict[str, dict[str, Any]] = {}
    for text, name, amount in rows:
        hours.setdefault(text, {})[name] = amount
    for text, amounts in hours.items():
        yield datetime.strptime(text, "%Y-%m-%d %H").replace(tzinfo=UTC), Counts(**amounts)
