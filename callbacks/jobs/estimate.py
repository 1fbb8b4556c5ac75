"""Counts rows by what would become of them, in bounded time: what a person is told before they confirm.

It looks through the primary keys from the newest down, a stretch at a time, as `config.listing.keys` does. When the
time is up, the count says that it is not complete.
"""

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, QuerySet

from config.listing.keys import STRETCH, SWIFT_S, Keys

TIME_S = 0.15


@dataclass(frozen=True, slots=True)
class Estimate:
    """How many rows there are of each kind; at least so many, if it is not complete."""

    counts: Counter[str]
    is_complete: bool

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def estimate(rows: QuerySet[Any], kind: Any, keys: Keys, *, stretch: int = STRETCH, time_s: float = TIME_S) -> Estimate:
    """Count `rows` between these keys by `kind`, an expression that gives text."""
    counts: Counter[str] = Counter()
    last, began = keys.last, time.monotonic()
    kinds = rows.order_by().annotate(kind=kind)
    while last >= keys.first:
        first = max(keys.first, last - stretch + 1)
        since = time.monotonic()
        found = kinds.filter(pk__range=(first, last)).values_list("kind").annotate(amount=Count("pk"))
        counts.update(dict(found))
        now = time.monotonic()
        if first > keys.first and now - began > time_s:
            return Estimate(counts, is_complete=False)
        if now - since < SWIFT_S:
            stretch *= 4
        last = first - 1
    return Estimate(counts, is_complete=True)
