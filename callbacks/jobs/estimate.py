"""Counts rows by what would become of them, in bounded time: what a person is told before they confirm.

Rows are counted one range of primary keys after the other from the newest, as `config.listing.keys` reads them; when
the time is up the count says that it is not complete.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, QuerySet

from config.listing.keys import Keys, Limits

LIMITS = Limits(time_s=0.15)


@dataclass(frozen=True, slots=True)
class Estimate:
    """How many rows there are of each kind; at least so many, if it is not complete."""

    counts: Counter[str]
    is_complete: bool

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def estimate(rows: QuerySet[Any], kind: Any, keys: Keys, limits: Limits = LIMITS) -> Estimate:
    """Count `rows` between these keys by `kind`, an expression that gives text."""
    counts: Counter[str] = Counter()
    kinds = rows.order_by().annotate(kind=kind)
    first = keys.first
    for last, first in limits.ranges(keys.last, keys.first, -1):
        found = kinds.filter(pk__range=(first, last)).values_list("kind").annotate(amount=Count("pk"))
        counts.update(dict(found))
    return Estimate(counts, is_complete=first == keys.first)
