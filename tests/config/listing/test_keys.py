"""Pages of long lists: complete whatever the gaps, bounded in time, and the first key since a moment."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from affiliates.models import Affiliate
from config.listing.keys import Keys, Limits, Page, first_pk_since, page_of
from tests.factories import AffiliateFactory

pytestmark = pytest.mark.django_db
START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def rows() -> list[int]:
    """Primary keys of forty rows, a minute apart, with gaps between them."""
    made = AffiliateFactory.create_batch(60)
    for place, affiliate in enumerate(made):
        Affiliate.objects.filter(pk=affiliate.pk).update(created_at=START + timedelta(minutes=place))
    Affiliate.objects.filter(pk__in=[row.pk for row in made[10:40:3] + made[45:55]]).delete()
    return list(Affiliate.objects.order_by("-pk").values_list("pk", flat=True))


def keys(page: Page) -> list[int]:
    return [row.pk for row in page.rows]


def walked(size: int, limits: Limits) -> list[int]:
    """All keys by following `older` from the newest page on, and then back by `newer` to the same pages."""
    every = Affiliate.objects.all()
    pages = [page_of(every, size, limits=limits)]
    while (older := pages[-1].older) is not None:
        pages.append(page_of(every, size, before=older, limits=limits))
    for earlier, later in zip(pages[-2::-1], pages[:0:-1], strict=True):
        assert later.newer is not None
        assert keys(page_of(every, size, after=later.newer, limits=limits))[-1] == keys(earlier)[-1]
    return [key for page in pages for key in keys(page)]


@pytest.mark.parametrize("size", [1, 7, 39, 40, 41, 100])
@pytest.mark.parametrize("first_range", [1, 3, 10_000])
def test_pages_followed_to_the_end_hold_each_row_once(rows: list[int], size: int, first_range: int) -> None:
    assert walked(size, Limits(time_s=3600.0, size=first_range)) == rows


def test_pages_stay_within_the_keys_that_a_filter_lets_through(rows: list[int]) -> None:
    within = Keys(rows[-3], rows[3]) & Keys(first=rows[-5])
    first = page_of(Affiliate.objects.all(), 10, keys=within)
    assert (keys(first), first.newer) == (rows[3:13], None)
    second = page_of(Affiliate.objects.all(), 100, before=first.older, keys=within)
    assert (keys(second), second.older) == (rows[13:-4], None)
    assert keys(page_of(Affiliate.objects.all(), 10, after=second.newer, keys=within)) == rows[3:13]
    assert keys(page_of(Affiliate.objects.all(), 10, keys=Keys(rows[0] + 1))) == []


def test_page_that_ran_out_of_time_says_where_it_stopped(rows: list[int]) -> None:
    limits = Limits(time_s=-1.0, size=5)
    oldest = Affiliate.objects.filter(pk=rows[-1])
    page = page_of(oldest, 10, limits=limits)
    assert keys(page) == []
    assert page.stopped_at == page.older == rows[0] - 4
    seen = []
    while page.older is not None:
        page = page_of(oldest, 10, before=page.older, limits=limits)
        seen += keys(page)
    assert seen == [rows[-1]]
    newest = page_of(Affiliate.objects.filter(pk=rows[0]), 10, after=rows[-1], limits=limits)
    assert newest.stopped_at is not None
    assert (keys(newest), newest.newer) == ([], newest.stopped_at)


@pytest.mark.parametrize("keys_a_second", [20_000, 300_000, 100_000_000])
def test_search_takes_the_time_that_it_may_and_no_more(monkeypatch: pytest.MonkeyPatch, keys_a_second: int) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    first = last = 10**9
    for begin, last in Limits(time_s=0.1, size=1_000).ranges(first, 0, -1):
        now += (begin - last + 1) / keys_a_second
    assert 0.099 < now < 0.101
    assert first - last + 1 == pytest.approx(0.1 * keys_a_second, rel=0.01)


def test_page_of_nothing_is_empty() -> None:
    assert page_of(Affiliate.objects.all(), 10) == Page([])


@pytest.mark.parametrize("bounds", [{"before": 0}, {"before": 10**18}, {"after": 10**18}, {"after": 0}])
def test_page_beyond_the_ends_is_answered(rows: list[int], bounds: dict[str, int]) -> None:
    page = page_of(Affiliate.objects.all(), 100, **bounds)
    assert keys(page) in ([], rows)


@pytest.mark.parametrize("minutes", [-10, 0, 0.5, 12, 50, 59, 59.5, 1000])
def test_first_key_since_a_moment_is_that_of_the_first_later_row(rows: list[int], minutes: float) -> None:
    moment = START + timedelta(minutes=minutes)
    later = Affiliate.objects.filter(created_at__gte=moment).order_by("pk").values_list("pk", flat=True).first()
    with CaptureQueriesContext(connection) as queries:
        found = first_pk_since(Affiliate, moment)
    assert len(queries) == 1
    earlier = Affiliate.objects.filter(created_at__lt=moment).order_by("-pk").values_list("pk", flat=True).first()
    assert (earlier or 0) < found <= (later or rows[0] + 1)


def test_first_key_of_an_empty_table_is_zero() -> None:
    assert first_pk_since(Affiliate, START) == 0
