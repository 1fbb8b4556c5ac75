"""Counting queries, because a page with many rows takes as many as one with a single row; searching whole databases."""

from collections.abc import Callable
from datetime import datetime

from django.db import connection
from django.test.utils import CaptureQueriesContext


def count_queries(read: Callable[[], object]) -> int:
    with CaptureQueriesContext(connection) as captured:
        read()
    return len(captured)


def assert_same_queries(read: Callable[[], object], add: Callable[[], object], times: int = 29) -> int:
    """Fail if `read` takes more or fewer queries after `add` has added a row `times` more; return how many it takes."""
    add()
    read()  # what is read once per process is read now
    of_one = count_queries(read)
    for _ in range(times):
        add()
    read()  # the messages of what was added are shown once
    assert count_queries(read) == of_one
    return of_one


def tables_with(*texts: str) -> list[str]:
    """Each table and column whose rows hold one of these, as they are stored."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            names = [column[0] for column in cursor.description]
            for row in cursor.fetchall():
                for name, value in zip(names, row, strict=True):
                    # The digits of a time may be those of a phone number by chance.
                    if not isinstance(value, datetime) and any(text in str(value) for text in texts):
                        found.append(f"{table}.{name}")
    return found
