"""The figures of the overview, and the list that each leads to."""

import html
import itertools
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from callbacks.delivery import circuit_breaker
from callbacks.models import Attempt, CallbackSetting, Delivery, EndpointHealth, TroubledHost
from callbacks.reports import overview, troubled_hosts
from callbacks.reports.hourly import Counts
from tests.factories import CallbackSettingFactory, OrderFactory, in_state
from tests.queries import assert_same_queries

pytestmark = pytest.mark.django_db

INDEX = "/admin/"


def deliver(setting: CallbackSetting, status: str, **fields: Any) -> Delivery:
    order = OrderFactory(affiliate=setting.affiliate)
    Delivery.objects.filter(order=order).update(**in_state(status, **fields))
    return Delivery.objects.get(order=order)


def attempt(delivery: Delivery, kind: str = "", **fields: Any) -> Attempt:
    fields = {"created_at": timezone.now(), "total_ms": 10.0} | fields
    return Attempt.objects.create(delivery=delivery, method="GET", error_kind=kind, **fields)


def setting_at(host: str) -> CallbackSetting:
    return CallbackSettingFactory(url=f"https://{host}/?o={{{{order.number}}}}")


def failing(setting: CallbackSetting, status: str = "failed", kind: str = "status") -> Delivery:
    fields = {"attempt_count": 1, "last_attempt_at": timezone.now(), "last_error_kind": kind, "last_status_code": 503}
    return deliver(setting, status, **fields)


# --- tiles -------------------------------------------------------------------------
def tile(client: Client, name: str) -> tuple[str, str, str]:
    """Number, note and address of a tile."""
    page = client.get(INDEX).content.decode()
    found = re.search(
        rf'<a class="card tile[^"]*" href="([^"]+)">(?:(?!</a>).)*{name}.*?tile-number">(.*?)</strong>'
        r'<span class="tile-note">(.*?)</span></a>',
        page,
        re.DOTALL,
    )
    assert found, name
    return found[2], found[3], html.unescape(found[1])


def listed(client: Client, address: str) -> list[int]:
    return [row.pk for row in client.get(address).context["cl"].result_list]


def test_tiles_count_the_last_day_and_lead_to_what_they_counted(admin_client: Client) -> None:
    setting = CallbackSettingFactory()
    yesterday = timezone.now() - timedelta(hours=25)
    failed, skipped, waits = (deliver(setting, status) for status in ("failed", "skipped", "pending"))
    for status in ("failed", "skipped"):
        deliver(setting, status, created_at=yesterday)
    for kind in ("", "", "status"):
        attempt(waits, kind)
    for name, number, rows in (
        ("Failed", "1", [failed.pk]),
        ("Skipped", "1", [skipped.pk]),
        ("Pending", "1", [waits.pk]),
        ("Success rate", "66.7\N{NO-BREAK SPACE}%", [waits.pk, skipped.pk, failed.pk]),
    ):
        shown, _, address = tile(admin_client, name)
        assert (name, shown, listed(admin_client, address)) == (name, number, rows)
    assert "2 of 3 requests in 24 h" in tile(admin_client, "Success rate")[1]


def test_tile_of_orders_counts_today(admin_client: Client) -> None:
    setting = CallbackSettingFactory()
    old = OrderFactory(affiliate=setting.affiliate)
    type(old).objects.update(created_at=timezone.now() - timedelta(days=2))
    new = OrderFactory(affiliate=setting.affiliate)
    shown, _, address = tile(admin_client, "Orders today")
    assert (shown, listed(admin_client, address)) == ("1", [new.pk])


def test_waiting_names_the_oldest_and_stops_counting() -> None:
    assert overview.waiting() == overview.Waiting(0, False, None)
    setting = CallbackSettingFactory()
    times = [timezone.now() - timedelta(hours=hours) for hours in (3, 9, 1)]
    for at, count in zip(times, (0, 2, 0), strict=True):
        deliver(setting, "pending", created_at=at, attempt_count=count)
    assert overview.waiting() == overview.Waiting(3, False, times[1])
    assert overview.waiting(limit=2) == overview.Waiting(2, True, times[1])


def test_answer_times_are_those_of_the_latest_requests() -> None:
    assert overview.answer_times() == overview.AnswerTimes(None, None, 0)
    delivery = deliver(CallbackSettingFactory(), "succeeded")
    attempt(delivery, total_ms=99_999.0)
    for ms in range(100):
        attempt(delivery, total_ms=float(ms))
    attempt(delivery, total_ms=None)
    attempt(delivery, total_ms=50_000.0, trigger="test")
    times = overview.answer_times(limit=102)
    assert (times.p50, times.p95, times.count) == (50.0, 95.0, 101)


# --- endpoints ---------------------------------------------------------------------
def in_trouble() -> list[tuple[str, str, int, int]]:
    found = troubled_hosts.in_trouble(overview.recent(timezone.now() - timedelta(days=1)))
    return [(endpoint.host, endpoint.state, endpoint.waiting, endpoint.failed) for endpoint in found]


def test_endpoints_that_still_fail_come_first_the_worst_of_them_at_the_top() -> None:
    for host, count in (("few.example", 1), ("many.example", 3)):
        setting = setting_at(host)
        for _ in range(count):
            failing(setting)
    failing(setting_at("retrying.example"), "pending")
    recovered = setting_at("recovered.example")
    for _ in range(9):
        failing(recovered)
    deliver(recovered, "succeeded", last_attempt_at=timezone.now(), last_status_code=200, attempt_count=1)
    fine = setting_at("fine.example")
    deliver(fine, "succeeded", last_attempt_at=timezone.now(), last_status_code=200, attempt_count=1)
    assert in_trouble() == [
        ("many.example", "failing", 0, 3),
        ("few.example", "failing", 0, 1),
        ("retrying.example", "failing", 1, 0),
        ("recovered.example", "recovered", 0, 9),
    ]


def test_endpoint_held_by_the_circuit_breaker_says_so() -> None:
    failing(setting_at("silent.example"), "pending", "timeout")
    TroubledHost.objects.create(host="silent.example", failures=circuit_breaker.THRESHOLD, probe_at=timezone.now())
    assert in_trouble() == [("silent.example", "held", 1, 0)]


def test_endpoint_of_several_callbacks_is_one_with_the_answer_that_failed(admin_client: Client) -> None:
    failing(setting_at("shared.example"))
    good = setting_at("shared.example")
    deliver(good, "succeeded", last_attempt_at=timezone.now(), last_status_code=200, attempt_count=1)
    failing(good)
    deliver(good, "succeeded", last_attempt_at=timezone.now(), last_status_code=200, attempt_count=1)
    [endpoint] = troubled_hosts.in_trouble(overview.recent(timezone.now() - timedelta(days=1)))
    assert (endpoint.state, endpoint.last_status_code, len(endpoint.affiliates)) == ("failing", 503, 2)
    page = admin_client.get(INDEX).content.decode()
    assert "and 1 more" in page
    address = html.unescape(re.search(r'href="([^"]+host=shared\.example&amp;status__exact=failed[^"]+)"', page)[1])  # type: ignore[index]
    assert len(listed(admin_client, address)) == 2


def test_endpoint_that_is_gone_stays_first_until_somebody_resumes_it(admin_client: Client) -> None:
    failing(setting_at("failing.example"))
    gone, by_hand = setting_at("gone.example"), setting_at("by-hand.example")
    CallbackSetting.objects.filter(pk=gone.pk).update(is_active=False, pause_reason="gone")
    CallbackSetting.objects.filter(pk=by_hand.pk).update(is_active=False, pause_reason="person")
    assert in_trouble() == [("gone.example", "gone", 0, 0), ("failing.example", "failing", 0, 1)]
    assert "Paused automatically" in admin_client.get(INDEX).content.decode()
    CallbackSetting.objects.filter(pk=gone.pk).update(is_active=True, pause_reason="")
    assert in_trouble() == [("failing.example", "failing", 0, 1)]


@pytest.mark.parametrize(
    ("reason", "words"), [("gone", "answered 410 Gone"), ("failing", "no postback succeeded for days")]
)
def test_endpoint_that_is_paused_by_itself_says_why_and_since_when(
    admin_client: Client, reason: str, words: str
) -> None:
    setting, at = setting_at("paused.example"), timezone.now() - timedelta(days=2)
    CallbackSetting.objects.filter(pk=setting.pk).update(is_active=False, pause_reason=reason)
    EndpointHealth.objects.create(setting=setting, state="paused", paused_at=at)
    deliver(setting_at("other.example"), "pending")  # else the overview shows the first steps
    [endpoint] = troubled_hosts.in_trouble(overview.recent(timezone.now() - timedelta(days=1)))
    assert endpoint.since == at
    assert words in endpoint.reason
    assert f": {endpoint.reason}" in admin_client.get(INDEX).content.decode()


def test_endpoint_that_fails_says_since_when(admin_client: Client) -> None:
    setting, at = setting_at("failing.example"), timezone.now() - timedelta(days=2)
    failing(setting)
    EndpointHealth.objects.create(setting=setting, first_failure_at=at, failures=1)
    assert "no success since <time" in admin_client.get(INDEX).content.decode()


def test_endpoint_with_a_soft_failure_is_in_trouble_until_it_accepts(admin_client: Client) -> None:
    setting = setting_at("tune.example")

    def answered(excerpt: str, **fields: Any) -> None:
        delivery = deliver(setting, "succeeded", last_attempt_at=timezone.now(), last_status_code=200, attempt_count=1)
        attempt(delivery, status_code=200, response_excerpt=excerpt, **fields)

    answered("OK")
    assert in_trouble() == []
    answered("success=false")
    assert in_trouble() == [("tune.example", "soft_failure", 0, 0)]
    assert "Looks like a refusal" in admin_client.get(INDEX).content.decode()
    failing(setting_at("failing.example"))
    assert [state for _, state, _, _ in in_trouble()] == ["failing", "soft_failure"]
    answered("OK", trigger="test")
    assert ("tune.example", "soft_failure", 0, 0) in in_trouble()
    answered("OK")
    assert [state for _, state, _, _ in in_trouble()] == ["failing"]


def test_endpoint_that_failed_days_ago_is_forgotten() -> None:
    delivery = failing(setting_at("old.example"))
    Delivery.objects.filter(pk=delivery.pk).update(created_at=timezone.now() - timedelta(days=2))
    assert in_trouble() == []


def test_overview_without_trouble_says_so(admin_client: Client) -> None:
    deliver(CallbackSettingFactory(), "succeeded")
    assert "All hosts answer" in admin_client.get(INDEX).content.decode()


# --- over time ---------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "bars", "first", "query"),
    [
        (
            "day",
            24,
            datetime(2026, 3, 13, 10, tzinfo=UTC),
            "origin=counted&from=2026-03-13T10:00Z&to=2026-03-13T11:00Z",
        ),
        ("week", 7, datetime(2026, 3, 8, tzinfo=UTC), "origin=counted&from=2026-03-08&to=2026-03-08"),
        ("month", 30, datetime(2026, 2, 13, tzinfo=UTC), "origin=counted&from=2026-02-13&to=2026-02-13"),
        ("x", 24, datetime(2026, 3, 13, 10, tzinfo=UTC), "origin=counted&from=2026-03-13T10:00Z&to=2026-03-13T11:00Z"),
    ],
)
def test_bars_cover_the_range_and_lead_to_its_deliveries(name: str, bars: int, first: datetime, query: str) -> None:
    now = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
    chosen = overview.range_named(name)
    begin = overview.bounds_of(chosen, now)[0]
    hours = {
        first: Counts(3, 1, 0),
        now.replace(minute=0, second=0): Counts(1, 0, 0),
        begin - timedelta(hours=1): Counts(9),
    }
    found = overview.over_time(chosen, now, hours)
    assert (len(found), found[0].begins_at, found[0].query) == (bars, first, query)
    assert (found[0].counts, found[-1].counts, found[1].counts.rate) == (Counts(3, 1, 0), Counts(1, 0, 0), None)
    assert found[0].counts.rate == 75


def test_chart_holds_what_the_table_says(admin_client: Client) -> None:
    delivery = deliver(CallbackSettingFactory(), "failed")
    for kind in ("", "status", "timeout"):
        attempt(delivery, kind)
    page = admin_client.get(f"{INDEX}?range=week").content.decode()
    figures = json.loads(re.search(r'<script id="chart-figures" type="application/json">(.*?)</script>', page)[1])  # type: ignore[index]
    assert [figures[name][-1] for name in ("delivered", "refused", "unanswered", "rate")] == [1, 1, 1, 33.3]
    assert figures["rate"][0] is None
    assert len({len(values) for values in figures.values()}) == 1
    assert listed(admin_client, figures["links"][-1]) == [delivery.pk]
    row = re.search(rf'<a href="{re.escape(html.escape(figures["links"][-1]))}">.*?</tr>', page, re.DOTALL)
    assert row is not None
    assert re.findall(r'is-number">([^<]+)<', row[0]) == ["3", "1", "1", "1", "33.3\N{NO-BREAK SPACE}%"]


def test_overview_takes_as_many_queries_for_thirty_of_everything_as_for_one(admin_client: Client) -> None:
    def add() -> None:
        number = next(numbers)
        setting = setting_at(f"host{number}.example")
        attempt(failing(setting), "status", created_at=timezone.now() - timedelta(hours=number))
        failing(setting, "pending")
        TroubledHost.objects.create(host=setting.host, failures=number, probe_at=timezone.now())

    numbers = itertools.count()
    assert_same_queries(lambda: admin_client.get(INDEX), add)
