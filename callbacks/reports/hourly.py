"""Counts requests, a batch of attempts at a time, so that a chart of a month reads some thousand rows.

They are counted by quarters of an hour, of which the hours and days of every zone are made: zones differ from UTC by
whole quarters, and an installation may change its zone. Rows of earlier releases have a whole hour of UTC.

Attempts get their primary keys before they are committed, so one with a higher key may be visible before one with a
lower key. Attempts of the last `SETTLE_TIME` are therefore not counted yet; `since` adds them to what is counted.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import Case, CharField, Count, F, Max, Min, Q, QuerySet, TextField, Value, When
from django.db.models.functions import Cast, Substr
from django.utils import timezone

from callbacks.delivery import health
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
    """Add the next batch of settled attempts to their quarters. Returns how many keys that was, 0 if none are left.

    It reads before it locks anything. If another process counted the same attempts meanwhile, nothing is added.
    """
    counted = CountedUpTo.objects.values_list("attempt_id", flat=True).first()
    if counted is None:
        counted = CountedUpTo.objects.get_or_create(pk=1)[0].attempt_id
    last = _last_of_batch(counted, batch_size)
    batch = Attempt.objects.filter(pk__gt=counted, pk__lte=last)
    quarters, tallies = (_by_quarter(batch), health.read(batch)) if last > counted else ({}, {})
    with transaction.atomic():
        if last == counted or not CountedUpTo.objects.filter(attempt_id=counted).update(attempt_id=last):
            return 0
        health.write(tallies)
        _add(quarters)
    return last - counted


def count_before_deletion(attempts: QuerySet[Attempt]) -> None:
    """Count those of the attempts that are not counted yet, in the transaction that deletes them.

    Who is counting at this very moment may have seen them, too.
    """
    counted, _ = CountedUpTo.objects.select_for_update(no_key=True).get_or_create(pk=1)
    _add(_by_quarter(attempts.filter(pk__gt=counted.attempt_id)))


def _add(quarters: Mapping[datetime, Counts]) -> None:
    for begins_at, counts in quarters.items():
        HourlyCount.objects.get_or_create(begins_at=begins_at)
        HourlyCount.objects.filter(begins_at=begins_at).update(
            delivered=F("delivered") + counts.delivered,
            refused=F("refused") + counts.refused,
            unanswered=F("unanswered") + counts.unanswered,
        )


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
    """The requests of each quarter of an hour since `moment` that had any, also those that are not counted yet."""
    rows = HourlyCount.objects.filter(begins_at__gte=moment)
    numbers_of = rows.values_list("begins_at", "delivered", "refused", "unanswered")
    quarters = {begins_at: Counts(*numbers) for begins_at, *numbers in numbers_of}
    counted = CountedUpTo.objects.values_list("attempt_id", flat=True).first() or 0
    newest = Attempt.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    uncounted = Attempt.objects.filter(pk__gt=max(counted, newest - MAX_UNCOUNTED))
    for begins_at, counts in _by_quarter(uncounted).items():
        if begins_at >= moment:
            quarters[begins_at] = quarters.get(begins_at, Counts()) + counts
    return quarters


def _by_quarter(attempts: QuerySet[Attempt]) -> dict[datetime, Counts]:
    # On every database the text of a time begins with date and minute, and grouping by that is faster than by Trunc.
    minute = Substr(Cast("created_at", TextField()), 1, 16)
    result = Case(
        When(error_kind="", then=Value("delivered")),
        When(Q(error_kind__in=["status", "redirect"]), then=Value("refused")),
        default=Value("unanswered"),
        output_field=CharField(),
    )
    sent = attempts.order_by().exclude(trigger=Delivery.Trigger.TEST)
    quarters: dict[datetime, Counts] = defaultdict(Counts)
    for text, name, number in sent.values_list(minute, result).annotate(number=Count("pk")):
        begins_at = datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
        quarters[begins_at - timedelta(minutes=begins_at.minute % 15)] += Counts(**{name: number})
    return quarters
