"""Counting queries: a page with many rows takes as many as a page with one."""

from collections.abc import Callable

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
