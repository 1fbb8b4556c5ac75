"""Pages of lists that are too long to count: newest first, cut by primary key, each in bounded time.

No index serves every mix of filters. So the rows are looked through from the newest to the oldest, a stretch of primary
keys at a time, until the page is full or the time is up; then the page says how far it looked, and the next one goes on
from there. A condition that an index serves gets through millions of rows that way, one that none serves through some
ten thousand a page.
"""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Model, QuerySet

BEFORE, AFTER = "before", "after"  # in the address of a page: the primary key it lies below, or above
TIME_S = 0.1
STRETCH = 10_000  # primary keys, to begin with
SWIFT_S = 0.015  # a stretch that took no longer may be followed by one four times as long
LARGEST_KEY = 2**63 - 1


def key_in(text: str) -> int | None:
    """The primary key that `text` is; None for what no database could hold."""
    return int(text) if text.isdecimal() and len(text) < 19 else None


@dataclass(frozen=True, slots=True)
class Page:
    """Rows newest first. `older` and `newer` are the keys to go on from, None if there is nothing there.

    `looked_to` is the key of the last row looked at, if the time was up before the page was full.
    """

    rows: list[Any]
    older: int | None = None
    newer: int | None = None
    looked_to: int | None = None


@dataclass(frozen=True, slots=True)
class Keys:
    """The primary keys that a filter lets through, both ends included."""

    first: int = 0
    last: int = LARGEST_KEY

    def __and__(self, other: "Keys") -> "Keys":
        return Keys(max(self.first, other.first), min(self.last, other.last))


def page_of(
    queryset: QuerySet[Any], size: int, *, before: int | None = None, after: int | None = None, keys: Keys = Keys()
) -> Page:
    """The page of up to `size` rows below the primary key `before`, or above `after`; the newest without either."""
    newest = every(queryset.model).order_by("-pk").values_list("pk", flat=True).first()
    if newest is None:
        return Page([])
    keys &= Keys(last=newest)
    first, last = keys.first, keys.last
    if after is not None:
        rows, looked_to = scan(queryset.order_by("pk"), size + 1, max(after + 1, first), last, 1)
        if len(rows) > size:
            return Page(rows[:size][::-1], older=rows[0].pk, newer=rows[size - 1].pk)
        if looked_to is not None:
            return Page(rows[::-1], older=after + 1, newer=looked_to, looked_to=looked_to)
        # All that is newer fits on the first page.
    begin = last if before is None else min(before - 1, last)
    rows, looked_to = scan(queryset.order_by("-pk"), size + 1, begin, first, -1)
    newer = None if before is None or begin == last else before - 1
    if len(rows) > size:
        rows = rows[:size]
        return Page(rows, older=rows[-1].pk, newer=newer)
    return Page(rows, older=looked_to, newer=newer, looked_to=looked_to)


def scan(queryset: QuerySet[Any], amount: int, begin: int, end: int, step: int) -> tuple[list[Any], int | None]:
    """Up to `amount` rows from one key to another, and the last key looked at if the time was up before the end.

    `step` is 1 upwards and -1 downwards, which `queryset` is ordered by.
    """
    rows: list[Any] = []
    stretch, began = STRETCH, time.monotonic()
    while (end - begin) * step >= 0:
        until = begin + (stretch - 1) * step
        if (until - end) * step > 0:
            until = end
        since = time.monotonic()
        rows += queryset.filter(pk__range=sorted((begin, until)))[: amount - len(rows)]
        now = time.monotonic()
        if len(rows) == amount or until == end:
            return rows, None
        if now - began > TIME_S:
            return rows, until
        if now - since < SWIFT_S:
            stretch *= 4
        begin = until + step
    return rows, None


def every(model: type[Model]) -> QuerySet[Any]:
    return model._default_manager.all()  # noqa: SLF001 - Django's documented name


def first_pk_since(model: type[Model], moment: datetime) -> int:
    """The primary key from which on rows have a `created_at` of `moment` or later; 0 if there are no rows.

    Found by halving, in one query. Rows that were saved side by side may stand in another order than their times, so
    who wants to be exact asks for some minutes earlier, and for the time itself as well.
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
