"""Counts requests by the hour, a batch of attempts at a time, so that a chart of a month reads some hundred rows.

Attempts get their primary keys before they are committed, so one with a higher key may be visible before one with a
lower key. Attempts of the last `SETTLE_TIME` are therefore not counted yet; `since` adds them to the counted hours.
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

SETTLE_TIME = timedelta(minutes=1)  # longer than it takes from the beginning of an attempt until its row is written
BATCH_SIZE = 20_000  # attempts that are counted at once
MAX_UNCOUNTED = 50_000  # attempts, the newest, that `since` adds


@dataclass(frozen=True, slots=True)
class Counts:
    """How many requests began within some time, by their results."""

    delivered: int = 0
    refused: int = 0
    unanswered: int = 0

    @property
    def requests(self) -> int:
        return self.delivered + self.refused + self.unanswered

    @property
    def rate(self) -> float | None:
        """Percent of the requests that were answered 2xx; None if there were none."""
        return 100 * self.delivered / self.requests if self.requests else None

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.delivered + other.delivered, self.refused + other.refused, self.unanswered + other.unanswered
        )


def count(batch_size: int = BATCH_SIZE) -> int:
    """Add the next batch of settled attempts to their hours. Returns how many keys that was, 0 if none are left.

    It reads before it locks anything. If another process counted the same attempts meanwhile, nothing is added.
    """
    counted = CountedUpTo.objects.values_list("attempt_id", flat=True).first()
    if counted is None:
        counted = CountedUpTo.objects.get_or_create(pk=1)[0].attempt_id
    last = _last_of_batch(counted, batch_size)
    hours = list(_by_hour(Attempt.objects.filter(pk__gt=counted, pk__lte=last))) if last > counted else []
    with transaction.atomic():
        if last == counted or not CountedUpTo.objects.filter(attempt_id=counted).update(attempt_id=last):
            return 0
        for begins_at, counts in hours:
            HourlyCount.objects.get_or_create(begins_at=begins_at)
            HourlyCount.objects.filter(begins_at=begins_at).update(
                delivered=F("delivered") + counts.delivered,
                refused=F("refused") + counts.refused,
                unanswered=F("unanswered") + counts.unanswered,
            )
    return last - counted


def _last_of_batch(counted: int, batch_size: int) -> int:
    """The key of the last attempt to be counted next: of the batch, or before the first that is not settled."""
    later = Attempt.objects.order_by("pk").filter(pk__gt=counted)
    batch = later.order_by().filter(pk__lte=counted + batch_size)
    unsettled = Min("pk", filter=Q(created_at__gt=timezone.now() - SETTLE_TIME))
    found = batch.aggregate(last=Max("pk"), unsettled=unsettled)
    if found["unsettled"] is not None:
        return int(found["unsettled"]) - 1
    if found["last"] is not None:
        return int(found["last"])
    first = later.values_list("pk", flat=True).first()  # after a gap, where attempts were pruned
    return counted if first is None else first - 1


def since(moment: datetime) -> dict[datetime, Counts]:
    """The requests of each hour that began at `moment` or later and had any, also those that are not counted yet."""
    rows = HourlyCount.objects.filter(begins_at__gte=moment)
    numbers_of = rows.values_list("begins_at", "delivered", "refused", "unanswered")
    hours = {begins_at: Counts(*numbers) for begins_at, *numbers in numbers_of}
    counted = CountedUpTo.objects.values_list("attempt_id", flat=True).first() or 0
    newest = Attempt.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    uncounted = Attempt.objects.filter(pk__gt=max(counted, newest - MAX_UNCOUNTED))
    for begins_at, counts in _by_hour(uncounted):
        if begins_at >= moment:
            hours[begins_at] = hours.get(begins_at, Counts()) + counts
    return hours


def _by_hour(attempts: QuerySet[Attempt]) -> Iterator[tuple[datetime, Counts]]:
    # On every database the text of a time begins with date and hour, and grouping by that is faster than by TruncHour.
    hour = Substr(Cast("created_at", TextField()), 1, 13)
    result = Case(
        When(error_kind="", then=Value("delivered")),
        When(Q(error_kind__in=["status", "redirect"]), then=Value("refused")),
        default=Value("unanswered"),
        output_field=CharField(),
    )
    sent = attempts.order_by().exclude(trigger=Delivery.Trigger.TEST)
    rows = sent.values_list(hour, result).annotate(number=Count("pk"))
    hours: dict[str, dict[str, Any]] = {}
    for text, name, number in rows:
        hours.setdefault(text, {})[name] = number
    for text, numbers in hours.items():
        yield datetime.strptime(text, "%Y-%m-%d %H").replace(tzinfo=UTC), Counts(**numbers)
