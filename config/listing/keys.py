"""Pages of lists that are too long to count: newest first, cut by primary key, each in bounded time.

No index serves every mix of filters. So rows are read from the newest to the oldest, one range of primary keys after
another, until the page is full or the time is up; then the page says how far it got, and the next page continues there.
A filter that an index serves gets through millions of rows per page, any other through some ten thousand.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Model, QuerySet

BEFORE, AFTER = "before", "after"  # parameters of a page's address: its rows have keys below, or above, this one
LARGEST_KEY = 2**63 - 1


def key_in(text: str) -> int | None:
    """The primary key that `text` is; None for what no database could hold."""
    return int(text) if text.isdecimal() and len(text) < 19 else None


@dataclass(frozen=True, slots=True)
class Page:
    """Rows newest first. `older` and `newer` are the keys to continue from, None if there is nothing there.

    `stopped_at` is the last key that was looked at, if the time was up before the page was full.
    """

    rows: list[Any]
    older: int | None = None
    newer: int | None = None
    stopped_at: int | None = None


@dataclass(frozen=True, slots=True)
class Keys:
    """The primary keys that a filter lets through, both ends included."""

    first: int = 0
    last: int = LARGEST_KEY

    def __and__(self, other: "Keys") -> "Keys":
        return Keys(max(self.first, other.first), min(self.last, other.last))


NO_KEYS = Keys(first=1, last=0)


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one search through a table: for how long, and how many keys at a time.

    The first range has `size` keys. Each further one has up to four times as many as the one before, but no more than
    can be read in the time that is left, at the pace so far.
    """

    time_s: float = 0.06
    size: int = 10_000

    def ranges(self, begin: int, end: int, step: int) -> Iterator[tuple[int, int]]:
        """Ranges of keys, both ends included. The caller reads each one before it asks for the next.

        `step` is 1 upwards and -1 downwards. The last range reaches `end` unless the time was up before.
        """
        size, started_at = self.size, time.monotonic()
        while (end - begin) * step >= 0:
            until = begin + (size - 1) * step
            until = min(until, end) if step > 0 else max(until, end)
            range_started_at = time.monotonic()
            yield begin, until
            now = time.monotonic()
            left_s, took_s = self.time_s - (now - started_at), now - range_started_at
            if left_s <= 0:
                return
            size = max(1, int(size * min(4, left_s / took_s if took_s else 4)))
            begin = until + step


def page_of(
    queryset: QuerySet[Any],
    size: int,
    *,
    before: int | None = None,
    after: int | None = None,
    keys: Keys = Keys(),
    limits: Limits = Limits(),
) -> Page:
    """The page of up to `size` rows below the primary key `before`, or above `after`; the newest without either."""
    newest = all_rows(queryset.model).order_by("-pk").values_list("pk", flat=True).first()
    if newest is None:
        return Page([])
    keys &= Keys(last=newest)
    first, last = keys.first, keys.last
    if after is not None:
        rows, stopped_at = find_rows(queryset.order_by("pk"), size + 1, max(after + 1, first), last, 1, limits)
        if len(rows) > size:
            return Page(rows[:size][::-1], older=rows[0].pk, newer=rows[size - 1].pk)
        if stopped_at is not None:
            return Page(rows[::-1], older=after + 1, newer=stopped_at, stopped_at=stopped_at)
        # All that is newer fits on the first page.
    begin = last if before is None else min(before - 1, last)
    rows, stopped_at = find_rows(queryset.order_by("-pk"), size + 1, begin, first, -1, limits)
    newer = None if before is None or begin == last else before - 1
    if len(rows) > size:
        rows = rows[:size]
        return Page(rows, older=rows[-1].pk, newer=newer)
    return Page(rows, older=stopped_at, newer=newer, stopped_at=stopped_at)


def find_rows(
    queryset: QuerySet[Any], amount: int, begin: int, end: int, step: int, limits: Limits = Limits()
) -> tuple[list[Any], int | None]:
    """Up to `amount` rows from one key to another, and the last key looked at if the time was up before `end`.

    `step` is 1 upwards and -1 downwards, which `queryset` is ordered by.
    """
    rows: list[Any] = []
    until = end
    for start, until in limits.ranges(begin, end, step):
        rows += queryset.filter(pk__range=sorted((start, until)))[: amount - len(rows)]
        if len(rows) == amount:
            return rows, None
    return rows, None if until == end else until


def all_rows(model: type[Model]) -> QuerySet[Any]:
    return model._default_manager.all()  # noqa: SLF001 - Django's documented name


def first_pk_since(model: type[Model], moment: datetime) -> int:
    """The primary key from which on rows have a `created_at` of `moment` or later; 0 if there are no rows.

    Found by halving, in one query. Rows that were saved side by side may stand in another order than their times, so
    callers that must be exact ask for some minutes earlier, and filter by the time itself as well.
    """
    table = connection.ops.quote_name(model._meta.db_table)  # noqa: SLF001 - Django's documented name
    middle = "(low + high) / 2"
    is_earlier = f"(SELECT created_at FROM {table} WHERE id >= {middle} ORDER BY id LIMIT 1) < %s"  # noqa: S608
    sql = f"""
        WITH RECURSIVE halved(low, high) AS (
            SELECT (SELECT min(id) FROM {table}), (SELECT max(id) FROM {table}) + 1
            UNION ALL
            SELECT CASE WHEN {is_earlier} THEN {middle} + 1 ELSE low END,
                   CASE WHEN {is_earlier} THEN high ELSE {middle} END
            FROM halved WHERE low < high
        ) SELECT max(low) FROM halved
    """  # noqa: S608 - names of our own
    with connection.cursor() as cursor:
        cursor.execute(sql, [connection.ops.adapt_datetimefield_value(moment)] * 2)
        return int(cursor.fetchone()[0] or 0)
