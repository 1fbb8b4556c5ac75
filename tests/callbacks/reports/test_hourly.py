"""The requests of each quarter of an hour: counted once, and those that are not counted yet are read beside them."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from callbacks import tasks
from callbacks.models import Attempt, CountedUpTo, Delivery, HourlyCount
from callbacks.reports import hourly
from callbacks.reports.hourly import Counts
from tests.factories import CallbackSettingFactory, OrderFactory
from tests.queries import assert_same_queries

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EARLY = NOON - timedelta(days=9)


@pytest.fixture
def delivery() -> Delivery:
    OrderFactory(affiliate=CallbackSettingFactory().affiliate)
    return Delivery.objects.get()


def attempt(delivery: Delivery, at: datetime, kind: str = "", **fields: Any) -> Attempt:
    return Attempt.objects.create(delivery=delivery, method="GET", error_kind=kind, created_at=at, **fields)


def count_all(batch_size: int = hourly.BATCH_SIZE) -> None:
    while hourly.count(batch_size):
        pass


def test_counts_are_by_quarter_of_an_hour_and_result(delivery: Delivery) -> None:
    attempt(delivery, NOON - timedelta(microseconds=1))
    for kind in ("", "", "status", "redirect", "timeout", "dns", "template"):
        attempt(delivery, NOON, kind)
    attempt(delivery, NOON + timedelta(minutes=59, seconds=59, microseconds=999_999), "closed", status_code=200)
    expected = {
        NOON - timedelta(minutes=15): Counts(1, 0, 0),
        NOON: Counts(2, 2, 3),
        NOON + timedelta(minutes=45): Counts(0, 0, 1),
    }
    assert hourly.since(EARLY) == expected
    count_all()
    assert CountedUpTo.objects.get().attempt_id == Attempt.objects.latest("pk").pk
    assert hourly.since(EARLY) == expected
    assert hourly.since(NOON) == {at: counts for at, counts in expected.items() if at >= NOON}
    assert sum(counts.requests for counts in expected.values()) == Attempt.objects.count()


def test_counts_of_a_quarter_that_goes_on_are_added_up(delivery: Delivery) -> None:
    for number in range(7):
        attempt(delivery, NOON + timedelta(minutes=number))
        if number % 3 == 0:
            count_all(batch_size=2)
    assert hourly.since(EARLY) == {NOON: Counts(7, 0, 0)}
    assert HourlyCount.objects.get().delivered == 7


def test_count_stops_before_an_attempt_that_is_not_settled(delivery: Delivery) -> None:
    now = timezone.now()
    attempt(delivery, NOON)
    young = attempt(delivery, now)
    attempt(delivery, NOON)
    count_all()
    assert CountedUpTo.objects.get().attempt_id == young.pk - 1
    assert HourlyCount.objects.get().delivered == 1
    assert sum(counts.requests for counts in hourly.since(EARLY).values()) == 3
    assert hourly.count() == 0


def test_count_goes_on_after_pruned_attempts(delivery: Delivery) -> None:
    attempts = [attempt(delivery, NOON) for _ in range(20)]
    Attempt.objects.filter(pk__in=[made.pk for made in attempts[2:18]]).delete()
    count_all(batch_size=3)
    assert HourlyCount.objects.get().delivered == 4


def test_count_of_what_another_process_counted_meanwhile_adds_nothing(delivery: Delivery) -> None:
    attempt(delivery, NOON)
    hourly.count()
    attempt(delivery, NOON)
    counted_by_others: list[int] = []

    def count_before_update(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql.startswith('UPDATE "callbacks_counted"') and not counted_by_others:
            counted_by_others.append(0)
            counted_by_others.append(hourly.count())
        return execute(sql, *rest)

    with connection.execute_wrapper(count_before_update):
        assert hourly.count() == 0
    assert counted_by_others == [0, 1]
    assert HourlyCount.objects.get().delivered == 2


def test_test_requests_are_not_counted(delivery: Delivery) -> None:
    attempt(delivery, NOON, trigger="test")
    assert hourly.since(EARLY) == {}
    count_all()
    assert not HourlyCount.objects.exists()


def test_since_takes_as_many_queries_for_thirty_requests_as_for_one(delivery: Delivery) -> None:
    hours = itertools.count()
    assert_same_queries(lambda: hourly.since(EARLY), lambda: attempt(delivery, NOON + timedelta(hours=next(hours))))


def test_task_counts_until_nothing_is_left(delivery: Delivery) -> None:
    CountedUpTo.objects.create(pk=1, attempt_id=1)
    for batch in (0, 2, 4):
        attempt(delivery, NOON + timedelta(hours=batch), pk=batch * hourly.BATCH_SIZE + 2)
    tasks.count_requests()
    assert HourlyCount.objects.count() == 3
