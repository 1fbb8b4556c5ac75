"""Days, months and hours are those of the installation's zone, the same on every page and in every file."""

import csv
import io
import json
import re
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.urls import reverse
from django.utils import timezone

from affiliates.models import Affiliate
from callbacks.jobs.admin import links_of
from callbacks.jobs.backfill import Backfill
from callbacks.log.selection import Selection
from callbacks.models import Attempt, Delivery, HourlyCount, Job
from callbacks.reports import hourly, overview
from callbacks.reports.reconciliation import Month, reconcile
from config.listing.period import Period
from config.settings import BASE_DIR
from orders.models import Order
from tests.factories import AffiliateFactory, CallbackSettingFactory, OrderFactory

pytestmark = pytest.mark.django_db
KOLKATA, NEW_YORK, UTC_NAME = "Asia/Kolkata", "America/New_York", "UTC"
ORDERS, DELIVERIES = "/admin/orders/order/", "/admin/callbacks/delivery/"
# The last microsecond of a day, and the first of the next, in UTC.
MIDNIGHTS = {
    KOLKATA: datetime(2026, 2, 28, 18, 30, tzinfo=UTC),  # begins 1 March there
    NEW_YORK: datetime(2026, 3, 1, 5, tzinfo=UTC),
    UTC_NAME: datetime(2026, 3, 1, tzinfo=UTC),
    "Asia/Kathmandu": datetime(2026, 2, 28, 18, 15, tzinfo=UTC),
}


@pytest.fixture
def joe() -> Affiliate:
    affiliate = AffiliateFactory(code="joe", name="Joe")
    setting = CallbackSettingFactory(affiliate=affiliate)
    Affiliate.objects.update(created_at=datetime(2026, 1, 1, tzinfo=UTC))
    type(setting).objects.update(created_at=datetime(2026, 1, 1, tzinfo=UTC))
    return affiliate


def came_in(affiliate: Affiliate, number: str, at: datetime) -> Order:
    order = OrderFactory(affiliate=affiliate, number=number)
    Order.objects.filter(pk=order.pk).update(created_at=at)
    Delivery.objects.filter(order=order).update(created_at=at)
    return order


def numbers(text: str) -> set[str]:
    return set(re.findall("#(?:late|early)", text))


@pytest.mark.parametrize("zone", MIDNIGHTS)
def test_one_midnight_everywhere(admin_client, settings, joe, zone):
    settings.TIME_ZONE = zone
    came_in(joe, "#late", MIDNIGHTS[zone] - timedelta(microseconds=1))
    came_in(joe, "#early", MIDNIGHTS[zone])
    profile = reverse("admin:affiliates_affiliate_reconciliation", args=[joe.pk])
    export = reverse("admin:affiliates_affiliate_reconciliation_export", args=[joe.pk])
    for first, last, month, expected in (
        ("2026-02-28", "2026-02-28", "2026-02", "#late"), ("2026-03-01", "2026-03-01", "2026-03", "#early"),
    ):  # fmt: skip
        days = urlencode({"from": first, "to": last})
        for page in (ORDERS, DELIVERIES):
            shown = admin_client.get(f"{page}?{days}").content.decode()
            assert numbers(shown) == {expected}
            assert f"({zone})" in shown
        rows = csv.reader(io.StringIO(b"".join(admin_client.get(f"{DELIVERIES}export/?{days}")).decode()))
        assert f"Time ({zone})" in (headings := next(rows))
        (row,) = rows
        assert row[3] == f"'{expected}" or row[3] == expected
        assert row[headings.index(f"Time ({zone})")][:10] == first
        text = b"".join(admin_client.get(f"{export}?month={month}")).decode()
        assert numbers(text) == {expected}
        assert f"Received ({zone})" in text
        assert f",{first} " in text
        shown = admin_client.get(f"{profile}?month={month}").content.decode()
        assert zone in shown
        assert f"from={month}-01&amp;to={month}-{'28' if month == '2026-02' else '31'}" in shown
        assert reconcile(joe, Month.named(month)).orders == 1
        assert Month.of(Order.objects.get(number=expected).created_at) == Month.named(month)
        setting = joe.callback_settings.get()
        assert [o.number for o in Backfill.of(setting, {"from": first, "to": last}).all_orders()] == [expected]
        (found,) = Selection({"from": first, "to": last}).deliveries()
        assert found.order_number == expected


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-08", 23), ("2026-11-01", 25), ("2026-03-09", 24), ("2026-10-31", 24)]
)
def test_day_of_a_changed_clock_has_its_own_length(settings, day, hours):
    settings.TIME_ZONE = NEW_YORK
    period = Period.of(day, day)
    assert period.last.ends_at - period.first.begins_at == timedelta(hours=hours)
    assert str(period).endswith(f"{day[:4]} (America/New_York)")


@pytest.mark.parametrize("zone", ["Asia/Beirut", "America/Havana", "America/Santiago", "Australia/Lord_Howe"])
def test_days_follow_each_other_where_the_clock_is_changed_at_midnight(settings, zone):
    settings.TIME_ZONE = zone
    day, last = date(2026, 1, 1), date(2027, 1, 2)
    while day < last:
        period, after = (Period.of(d.isoformat(), d.isoformat()) for d in (day, day + timedelta(days=1)))
        assert period.first.day == day
        assert period.last.ends_at == after.first.begins_at
        assert timedelta(hours=23) <= period.last.ends_at - period.first.begins_at <= timedelta(hours=25)
        day += timedelta(days=1)


def test_moments_in_addresses_are_of_the_zone_they_name(settings):
    settings.TIME_ZONE = KOLKATA
    same = [Period.of(text, None).first for text in ("2026-03-01T09:30", "2026-03-01T04:00Z", "2026-03-01T04:00+00:00")]
    assert {bound.begins_at for bound in same} == {datetime(2026, 3, 1, 4, tzinfo=UTC)}
    assert str(Period.of("2026-03-01T04:00Z", None)) == "since 1 Mar 2026, 09:30 (Asia/Kolkata)"


# --- figures -------------------------------------------------------------------
def sent(joe: Affiliate, *moments: datetime) -> None:
    delivery = Delivery.objects.filter(affiliate=joe).first() or came_in(joe, "#1", moments[0]).deliveries.get()
    for at in moments:
        Attempt.objects.create(delivery=delivery, method="GET", created_at=at, status_code=200)


@pytest.mark.parametrize("is_counted", [True, False])
@pytest.mark.parametrize("zone", MIDNIGHTS)
def test_figures_of_a_day_end_at_its_midnight(settings, joe, zone, is_counted):
    settings.TIME_ZONE = zone
    midnight = MIDNIGHTS[zone]
    sent(joe, midnight - timedelta(minutes=1), midnight - timedelta(microseconds=1), midnight)
    while is_counted and hourly.count():
        pass
    assert HourlyCount.objects.exists() == is_counted
    now = midnight + timedelta(hours=3)
    bars = overview.over_time(overview.range_named("week"), now, hourly.since(now - timedelta(days=40)))
    assert [(bar.label, bar.counts.requests) for bar in bars[-2:]] == [("28 Feb", 2), ("1 Mar", 1)]
    bars = overview.over_time(overview.range_named("day"), now, hourly.since(now - timedelta(days=40)))
    assert [(bar.label, bar.counts.requests) for bar in bars if bar.counts.requests] == [("23:00", 2), ("00:00", 1)]


@pytest.mark.parametrize(("day", "hours"), [("2026-03-08", 23), ("2026-11-01", 25)])
def test_figures_of_the_night_of_a_changed_clock(settings, joe, day, hours):
    settings.TIME_ZONE = NEW_YORK
    begin = Period.of(day, None).first.begins_at
    moments = [begin + timedelta(hours=n) for n in range(-1, hours + 1)]
    sent(joe, *moments)
    now = begin + timedelta(hours=hours + 2)
    counts = hourly.since(begin - timedelta(days=30))
    bars = overview.over_time(overview.range_named("month"), now, counts)
    assert [bar.counts.requests for bar in bars[-3:]] == [1, hours, 1]
    bars = overview.over_time(overview.range_named("day"), now, counts)
    assert [bar.counts.requests for bar in bars] == [1] * 22 + [0, 0] if hours == 23 else True
    assert len({bar.title for bar in bars}) == 24
    assert all(bar.begins_at.minute == 0 for bar in bars)


@pytest.mark.parametrize("zone", [KOLKATA, NEW_YORK])
@pytest.mark.parametrize("name", ["day", "week", "month"])
def test_bar_leads_to_the_deliveries_of_its_time(admin_client, settings, joe, zone, name):
    settings.TIME_ZONE = zone
    now = timezone.now()
    for n in reversed(range(4)):
        came_in(joe, f"#{n}", now - timedelta(minutes=50 * n))
    for delivery in Delivery.objects.all():
        sent_at = delivery.created_at
        Attempt.objects.create(delivery=delivery, method="GET", created_at=sent_at, status_code=200)
    shown = admin_client.get(f"/admin/?range={name}").content.decode()
    assert f"({zone})" in shown
    figures = json.loads(re.search(r'<script id="chart-figures" type="application/json">(.*?)</script>', shown)[1])
    for link, count in zip(figures["links"], figures["delivered"], strict=True):
        if count:
            assert len(admin_client.get(link).context["cl"].result_list) == count
    assert sum(figures["delivered"]) == 4


def test_rows_of_earlier_releases_count_from_their_hour_on(settings):
    settings.TIME_ZONE = KOLKATA
    begins_at = datetime(2026, 3, 1, 9, tzinfo=UTC)
    HourlyCount.objects.create(begins_at=begins_at, delivered=4)
    assert hourly.since(begins_at) == {begins_at: hourly.Counts(4)}


@pytest.mark.parametrize("zone", [KOLKATA, NEW_YORK])
def test_times_on_pages_are_of_that_zone_and_say_so(admin_client, settings, joe, zone):
    settings.TIME_ZONE = zone
    order = came_in(joe, "#1", datetime(2026, 3, 1, 12, tzinfo=UTC))
    shown = admin_client.get(reverse("admin:orders_order_change", args=[order.pk])).content.decode()
    local = {KOLKATA: "17:30:00", NEW_YORK: "07:00:00"}[zone]
    assert f">1 Mar 2026, {local} {zone}</time>" in shown
    assert 'datetime="2026-03-01T12:00:00.000+00:00"' in shown
    assert f"Times, days and months: {zone}." in shown


@pytest.mark.parametrize("zone", [KOLKATA, NEW_YORK])
def test_page_of_a_backfill_leads_to_what_was_sent_in_its_time(settings, joe, zone):
    settings.TIME_ZONE = zone
    began, setting = datetime(2026, 3, 1, 12, tzinfo=UTC), joe.callback_settings.get()
    job = Job(kind="backfill", setting=setting, affiliate=joe, started_at=began, ended_at=began + timedelta(hours=1))
    ((_, address),) = links_of(job)
    named = parse_qs(urlsplit(address).query)
    period = Period.of(named["from"][0], named["to"][0])
    assert (period.first.begins_at, period.last.ends_at) == (job.started_at, job.ended_at)


# --- the setting ---------------------------------------------------------------
@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("Asia/Kolkata", "Asia/Kolkata"), ("", "UTC"), ("Europe/Atlantis", "TIME_ZONE must be"), ("Europe", "must be"),
        ("+02:00", "TIME_ZONE must be"), ("../../etc/passwd", "TIME_ZONE must be"), ("CEST", "TIME_ZONE must be"),
    ],
)  # fmt: skip
def test_setting_is_a_name_of_a_zone_or_refused(value, said, tmp_path):
    code = "from django.conf import settings; print(settings.TIME_ZONE)"
    environment = {"TIME_ZONE": value, "SECRET_KEY": "x", "DATA_DIR": str(tmp_path), "PYTHONPATH": str(BASE_DIR)}
    environment |= {"DJANGO_SETTINGS_MODULE": "config.settings"}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert said in (ran.stdout or ran.stderr.splitlines()[-1])
