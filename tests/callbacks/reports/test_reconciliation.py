"""The month of one affiliate: what became of each order with each callback, on the page and as CSV."""

import csv
import io
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from affiliates.models import Affiliate
from callbacks.models import Attempt, CallbackSetting, Delivery, EventType
from callbacks.reports import reconciliation
from callbacks.reports.reconciliation import Month, Result
from orders.models import Order
from tests.factories import AffiliateFactory, CallbackSettingFactory, OrderFactory, client_with, in_state
from tests.queries import assert_same_queries

pytestmark = pytest.mark.django_db

URL = "https://tracker.example/?o={{order.number}}"
MARCH = Month(date(2026, 3, 1))


def order_in_march(affiliate: Affiliate, status: str | None = "succeeded", day: int = 5, **fields: Any) -> Order:
    """An order of March with its deliveries in a state, or without any."""
    order = OrderFactory(affiliate=affiliate, **fields)
    Order.objects.filter(pk=order.pk).update(created_at=datetime(2026, 3, day, 12, tzinfo=UTC))
    if status is None:
        order.deliveries.all().delete()
    else:
        order.deliveries.update(**in_state(status))
    return Order.objects.get(pk=order.pk)


def set_up(affiliate: Affiliate, event: str = EventType.CREATED, day: int = 1, month: int = 3) -> CallbackSetting:
    setting = CallbackSettingFactory(affiliate=affiliate, event=event, url=URL)
    CallbackSetting.objects.filter(pk=setting.pk).update(created_at=datetime(2026, month, day, tzinfo=UTC))
    return setting


def lines(affiliate: Affiliate, month: Month = MARCH) -> dict[str, dict[str, int]]:
    found = reconciliation.reconcile(affiliate, month)
    return {line.title: {result.value: count for result, count in line.counts.items()} for line in found.lines}


# --- months --------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "before", "after", "last"),
    [("2026-03", "2026-02", "2026-04", 31), ("2026-01", "2025-12", "2026-02", 31),
     ("2026-12", "2026-11", "2027-01", 31), ("2028-02", "2028-01", "2028-03", 29)],
)  # fmt: skip
def test_month_knows_its_neighbours(name: str, before: str, after: str, last: int) -> None:
    month = Month.named(name)
    assert month is not None
    assert (str(month), str(month.before), str(month.after), month.last_day.day) == (name, before, after, last)


@pytest.mark.parametrize("name", ["", "2026", "2026-13", "march", "0000-01"])
def test_month_that_is_none_is_none(name: str) -> None:
    assert Month.named(name) is None


# --- figures -------------------------------------------------------------------
def test_reconcile_sorts_the_orders_of_a_month_by_what_came_of_them(joe: Affiliate) -> None:
    early = order_in_march(joe, None, day=2)
    set_up(joe, day=3)
    for status in ("succeeded", "succeeded", "failed", "pending", "skipped", None):
        order_in_march(joe, status)
    found = reconciliation.reconcile(joe, MARCH)
    assert lines(joe) == {
        "Order created callback": {
            "succeeded": 2, "failed": 1, "pending": 1, "skipped": 1, "missing": 1, "no callback": 1,
        },
        "Order updated callback": {},
    }  # fmt: skip
    assert [line.orders for line in found.lines] == [7, 0]
    assert found.orders == 7
    assert [result for _, _, result in found.undelivered] == [Result.MISSING, Result.FAILED]
    assert early not in [order for order, _, _ in found.undelivered]


def test_reconcile_counts_orders_of_the_month_and_the_affiliate_alone(joe: Affiliate) -> None:
    set_up(joe)
    order_in_march(joe, day=31)
    for moment in (MARCH.begins_at - timedelta(microseconds=1), MARCH.ends_at):
        other = order_in_march(joe)
        Order.objects.filter(pk=other.pk).update(created_at=moment)
    order_in_march(AffiliateFactory())
    assert lines(joe)["Order created callback"] == {"succeeded": 1}


def test_reconcile_goes_by_the_last_of_several_updates(joe: Affiliate) -> None:
    set_up(joe, EventType.UPDATED)
    order = order_in_march(joe)
    for amount, status in ((1, "failed"), (2, "succeeded")):
        order.amount = amount
        order.save()
        last = Delivery.objects.filter(order=order).latest("pk")
        Delivery.objects.filter(pk=last.pk).update(status=status, next_attempt_at=None)
    assert lines(joe)["Order updated callback"] == {"succeeded": 1}


def test_reconcile_without_a_callback_says_so_of_every_order(joe: Affiliate) -> None:
    order_in_march(joe)
    assert lines(joe) == {"Order created callback": {"no callback": 1}, "Order updated callback": {}}


def test_reconcile_still_has_what_a_deleted_callback_was_told(joe: Affiliate) -> None:
    old = set_up(joe)
    order_in_march(joe)
    old.delete()
    assert lines(joe)["Order created callback"] == {"succeeded": 1}


def test_reconcile_sums_up_by_currency(joe: Affiliate) -> None:
    for amount, currency in (("10", "USD"), ("20.50", "USD"), ("1200", "JPY")):
        order_in_march(joe, amount=amount, currency=currency, commission="1")
    found = reconciliation.reconcile(joe, MARCH).sums
    assert [(sums.currency, sums.orders, sums.amount, sums.commission) for sums in found] == [
        ("USD", 2, 30.5, 2),
        ("JPY", 1, 1200, 1),
    ]


def test_reconcile_takes_as_many_queries_for_thirty_orders_as_for_one(joe: Affiliate) -> None:
    set_up(joe)
    assert_same_queries(lambda: reconciliation.reconcile(joe, MARCH), lambda: order_in_march(joe, "failed"))


# --- the page ------------------------------------------------------------------
def page_url(affiliate: Affiliate, rest: str = "") -> str:
    return f"/admin/affiliates/affiliate/{affiliate.pk}/reconciliation/{rest}"


def test_page_shows_the_month_and_leads_to_why(admin_client: Client, joe: Affiliate) -> None:
    set_up(joe)
    order = order_in_march(joe, "failed", number="#77")
    text = admin_client.get(page_url(joe, "?month=2026-03")).content.decode()
    for expected in ("Orders in March 2026", "$58.00", f"{order.get_absolute_url()}#why", "tracker.example"):
        assert expected in text
    assert 'href="?month=2026-04"' in text
    listed = f"/admin/orders/order/?affiliate__id__exact={joe.pk}&amp;from=2026-03-01&amp;to=2026-03-31"
    assert listed in text
    assert [row.number for row in admin_client.get(listed.replace("&amp;", "&")).context["cl"].result_list] == ["#77"]


def test_page_of_no_month_shows_this_one(admin_client: Client, joe: Affiliate) -> None:
    answer = admin_client.get(page_url(joe, "?month=nonsense"))
    assert str(answer.context["reconciliation"].month) == f"{timezone.now():%Y-%m}"
    assert "has no orders in this month" in answer.content.decode()
    assert 'rel="next"' not in answer.content.decode()


def test_profile_leads_to_reconciliation(admin_client: Client, joe: Affiliate) -> None:
    assert page_url(joe) in admin_client.get(joe.get_absolute_url()).content.decode()


@pytest.mark.parametrize("rest", ["", "export/"])
def test_page_and_csv_are_for_those_who_may_see_affiliate_and_log(joe: Affiliate, rest: str) -> None:
    assert client_with("view_affiliate").get(page_url(joe, rest)).status_code == 403
    assert client_with("view_delivery").get(page_url(joe, rest)).status_code == 403
    assert client_with("view_affiliate", "view_delivery").get(page_url(joe, rest)).status_code == 200


# --- CSV -----------------------------------------------------------------------
def csv_of(client: Client, affiliate: Affiliate) -> list[dict[str, str]]:
    answer = client.get(page_url(affiliate, "export/?month=2026-03"))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="reconciliation-joe-2026-03.csv"'
    return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode(), newline="")))


def test_csv_has_a_row_for_each_order_and_callback(admin_client: Client, joe: Affiliate) -> None:
    order_in_march(joe, None, number="#0", day=2)
    set_up(joe, day=3)
    for number, status in enumerate(("succeeded", "failed", "skipped", None), start=1):
        order_in_march(joe, status, number=f"#{number}")
    failed = Delivery.objects.get(order__number="#2")
    for detail in ("No answer.", "The tracker answered 404 Not Found."):
        Attempt.objects.create(delivery=failed, method="GET", detail=detail, created_at=timezone.now())
    Delivery.objects.filter(pk=failed.pk).update(attempt_count=2, last_status_code=404, last_error_kind="status")
    rows = csv_of(admin_client, joe)
    assert [(row["Order"], row["Result"], row["Reason"]) for row in rows] == [
        ("#0", "no callback", "No callback was set up when this order was placed."),
        ("#1", "succeeded", ""),
        ("#2", "failed", "The tracker answered 404 Not Found."),
        ("#3", "skipped", "The callback was paused at the time of the event."),
        ("#4", "missing", "No delivery was recorded for this order."),
    ]
    assert tuple(rows[0]) == tuple(heading.format(zone="UTC") for heading in reconciliation.HEADINGS)
    assert [row[0] for row in reconciliation.csv_rows(joe, MARCH, batch_size=2)] == [row["Order"] for row in rows]
    assert (rows[2]["Attempts"], rows[2]["Last code"], rows[2]["Event ID"]) == ("2", "404", str(failed.event_id))
    assert (rows[1]["Amount"], rows[1]["Commission"], rows[1]["Host"]) == ("58.00", "8.70", "tracker.example")


def test_csv_and_page_agree(admin_client: Client, joe: Affiliate) -> None:
    set_up(joe)
    set_up(joe, EventType.UPDATED)
    for status in ("succeeded", "failed", "failed", None, "pending"):
        order = order_in_march(joe, status)
        order.status = "approved"
        order.save()
    rows = csv_of(admin_client, joe)
    counted = {
        (line.title, result): count
        for line in reconciliation.reconcile(joe, MARCH).lines
        for result, count in line.results
        if count
    }
    found = Counter((row["Callback"], row["Result"]) for row in rows)
    assert found == counted
    assert len(found) == 5


def test_csv_takes_as_many_queries_for_thirty_orders_as_for_one(admin_client: Client, joe: Affiliate) -> None:
    set_up(joe)
    assert_same_queries(lambda: csv_of(admin_client, joe), lambda: order_in_march(joe, "failed"))
