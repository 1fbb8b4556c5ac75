"""Why an order was or was not told of, callback by callback, in a sentence."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from affiliates.models import Affiliate
from callbacks.delivery import circuit_breaker
from callbacks.log import explain
from callbacks.models import Attempt, CallbackSetting, Delivery, EventType, TroubledHost
from orders.models import Order
from tests.factories import AffiliateFactory, CallbackSettingFactory, LinkFactory, OrderFactory, callbacks_for

pytestmark = pytest.mark.django_db

URL = "https://tracker.example/?o={{order.number}}"


@pytest.fixture
def joe() -> Affiliate:
    return AffiliateFactory(name="Joe")


def told(order: Order, event: str = "order.created") -> explain.Answer:
    order = Order.objects.select_related("affiliate", "link").get(pk=order.pk)
    [answer] = [answer for answer in explain.why(order) if EventType(event).label in answer.title]
    return answer


def come_to(order: Order, status: str, detail: str = "", **fields: Any) -> None:
    """Bring the delivery of an order to a state, with an attempt if `detail` says what came of one."""
    delivery = Delivery.objects.get(order=order)
    due = {"next_attempt_at": timezone.now() if status == "pending" else None}
    lease = {"claim_token": uuid.uuid4(), "leased_until": timezone.now()} if status == "sending" else {}
    if detail:
        Attempt.objects.create(
            delivery=delivery, trigger="initial", method="GET", detail=detail, created_at=timezone.now()
        )
        due |= {"attempt_count": 1}
    Delivery.objects.filter(pk=delivery.pk).update(status=status, **(due | lease | fields))


# --- recorded --------------------------------------------------------------------
@pytest.mark.parametrize(
    ("status", "detail", "fields", "state", "expected"),
    [
        ("succeeded", "The tracker answered 200 OK.", {}, "succeeded", "Sent. The tracker answered 200 OK."),
        ("failed", "The tracker answered 404 Not Found.", {"attempt_count": 10, "last_error_kind": "status"}, "failed",
         "Given up after 10 attempts. The tracker answered 404 Not Found."),
        ("failed", "The path would climb.", {"last_error_kind": "template"}, "failed",
         "Not sent: the URL could not be filled in. The path would climb."),
        ("failed", "x leads to 127.0.0.1.", {"last_error_kind": "blocked_address"}, "failed",
         "Not sent: its address may not be called. x leads to 127.0.0.1."),
        ("skipped", "", {"skip_reason": "paused"}, "skipped", "Not sent. The callback was paused when this happened."),
        ("skipped", "", {"skip_reason": "affiliate_blocked"}, "skipped",
         "Not sent. The affiliate was blocked when this happened."),
        ("sending", "", {}, "sending", "Being sent right now."),
        ("pending", "", {}, "pending", "It is due and goes out as soon as a worker is free."),
        ("pending", "No answer came within 10 seconds.",
         {"last_error_kind": "timeout", "next_attempt_at": timezone.now() + timedelta(days=1)}, "retrying",
         "No answer came within 10 seconds. It is tried again by itself."),
    ],
)  # fmt: skip
def test_why_of_a_recorded_event_tells_how_far_it_got(
    joe: Affiliate, status: str, detail: str, fields: dict[str, Any], state: str, expected: str
) -> None:
    CallbackSettingFactory(affiliate=joe, url=URL)
    order = OrderFactory(affiliate=joe)
    come_to(order, status, detail, **fields)
    answer = told(order)
    assert (answer.state, answer.sentence) == (state, expected)
    assert answer.delivery == order.deliveries.get()


def test_why_of_what_waits_for_a_paused_callback_says_so(joe: Affiliate) -> None:
    setting = CallbackSettingFactory(affiliate=joe, url=URL)
    order = OrderFactory(affiliate=joe)
    CallbackSetting.objects.filter(pk=setting.pk).update(is_active=False)
    assert "The callback is paused" in told(order).sentence


@pytest.mark.parametrize(
    ("failures", "is_held"), [(circuit_breaker.THRESHOLD - 1, False), (circuit_breaker.THRESHOLD, True)]
)
def test_why_of_what_the_breaker_holds_names_the_host(joe: Affiliate, failures: int, is_held: bool) -> None:
    CallbackSettingFactory(affiliate=joe, url=URL)
    order = OrderFactory(affiliate=joe)
    TroubledHost.objects.create(host="tracker.example", failures=failures, probe_at=timezone.now())
    assert ("held back: tracker.example did not answer 10 times in a row" in told(order).sentence) == is_held


def test_why_counts_several_and_speaks_of_the_last(joe: Affiliate) -> None:
    callbacks_for(joe, URL)
    order = OrderFactory(affiliate=joe)
    for status in ("approved", "rejected"):
        order.status = status
        order.save()
    answer = told(order, "order.updated")
    assert answer.count == 2
    assert answer.delivery is not None
    assert answer.delivery.variables["order.status"] == "rejected"


def test_why_after_the_callback_was_deleted_still_tells_of_it(joe: Affiliate) -> None:
    setting = CallbackSettingFactory(affiliate=joe, url=URL)
    order = OrderFactory(affiliate=joe)
    setting.delete()
    answer = told(order)
    assert (answer.state, answer.setting, answer.title) == ("pending", None, "Order created callback")
    assert "callback was deleted" in answer.sentence
    assert told(order, "order.updated").state == "not_set"


def test_why_of_an_order_that_moved_tells_of_both_affiliates(joe: Affiliate) -> None:
    marta = AffiliateFactory(name="Marta")
    for affiliate in (joe, marta):
        callbacks_for(affiliate, URL)
    order = OrderFactory(affiliate=joe)
    order.affiliate = marta
    order.save()
    order = Order.objects.get(pk=order.pk)
    answers = [(answer.affiliate.name, answer.title, answer.state) for answer in explain.why(order)]
    assert sorted(answers) == [
        ("Joe", "Order created callback", "pending"),
        ("Joe", "Order updated callback", "pending"),
        ("Marta", "Order created callback", "pending"),
        ("Marta", "Order updated callback", "not_due"),
    ]


# --- not recorded ------------------------------------------------------------------
def test_why_without_an_affiliate_has_no_answers() -> None:
    assert explain.why(OrderFactory(affiliate=None)) == []


def test_why_without_a_callback_says_that_there_is_none(joe: Affiliate) -> None:
    order = OrderFactory(affiliate=joe)
    for event in EventType:
        answer = told(order, event)
        assert (answer.state, answer.setting) == ("not_set", None)
        assert "Joe has no callback for this event" in answer.sentence


def test_why_of_an_order_older_than_the_callback_says_so(joe: Affiliate) -> None:
    order = OrderFactory(affiliate=joe)
    callbacks_for(joe, URL)
    assert told(order).state == "not_due"
    assert "came in before the callback was set up" in told(order).sentence
    assert "nothing has changed since this callback was set up" in told(order, "order.updated").sentence


def test_why_of_an_unchanged_order_says_that_nothing_changed(joe: Affiliate) -> None:
    callbacks_for(joe, URL)
    order = OrderFactory(affiliate=joe, link=LinkFactory(affiliate=joe))
    order.save()
    answer = told(order, "order.updated")
    assert answer.state == "not_due"
    assert "nothing has changed since it came in that a tracker hears of" in answer.sentence


def test_why_of_an_order_written_past_the_application_names_the_command(joe: Affiliate) -> None:
    callbacks_for(joe, URL)
    order = OrderFactory(affiliate=joe)
    Order.objects.filter(pk=order.pk).update(status="approved")
    answer = told(order, "order.updated")
    assert answer.state == "not_recorded"
    assert "manage.py reconcile" in answer.sentence
    Delivery.objects.all().delete()
    assert told(order).state == "not_recorded"


def test_why_of_an_order_changed_before_its_callback_does_not_blame_anybody(joe: Affiliate) -> None:
    CallbackSettingFactory(affiliate=joe, url=URL)
    order = OrderFactory(affiliate=joe)
    order.status = "approved"
    order.save()
    CallbackSettingFactory(affiliate=joe, url=URL, event=EventType.UPDATED)
    answer = told(order, "order.updated")
    assert (answer.state, "before this callback was set up" in answer.sentence) == ("not_due", True)


def test_why_asks_as_often_for_thirty_deliveries_as_for_one(joe: Affiliate) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            explain.why(Order.objects.select_related("affiliate", "link").get(pk=order.pk))
        return len(queries)

    callbacks_for(joe, URL)
    order = OrderFactory(affiliate=joe)
    order.status = "approved"
    order.save()
    few = count()
    for number in range(30):
        order.amount = number + 1
        order.save()
    assert count() == few


# --- in the admin --------------------------------------------------------------------
def test_order_page_answers_for_each_callback(admin_client: Client, joe: Affiliate) -> None:
    CallbackSettingFactory(affiliate=joe, url=URL)
    order = OrderFactory(affiliate=joe)
    page = admin_client.get(order.get_absolute_url()).content.decode()
    assert 'data-reason="pending"' in page
    assert 'data-reason="not_set"' in page
    assert order.deliveries.get().get_absolute_url() in page
    nobody = admin_client.get(OrderFactory(affiliate=None).get_absolute_url()).content.decode()
    assert "No affiliate brought this order" in nobody


def test_order_list_says_in_short_why_there_is_nothing(admin_client: Client, joe: Affiliate) -> None:
    def shown(order: Order) -> str:
        page = admin_client.get(f"/admin/orders/order/?q={order.number.lstrip('#')}").content.decode()
        return page.partition('class="why-link"')[2].partition("</a>")[0]

    assert "No affiliate" in shown(OrderFactory(affiliate=None))
    early = OrderFactory(affiliate=joe)
    assert "No callback" in shown(early)
    CallbackSettingFactory(affiliate=joe, url=URL, event=EventType.UPDATED)
    unchanged = OrderFactory(affiliate=joe)
    assert "Unchanged" in shown(unchanged)
    CallbackSettingFactory(affiliate=joe, url=URL)
    assert "Before set-up" in shown(early)
    sent = OrderFactory(affiliate=joe)
    assert "Waiting" in shown(sent)
    Delivery.objects.all().delete()
    assert "Not recorded" in shown(sent)


def test_order_list_asks_as_often_for_thirty_as_for_one(admin_client: Client, joe: Affiliate) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            admin_client.get("/admin/orders/order/")
        return len(queries)

    OrderFactory(affiliate=joe)
    count()
    one = count()
    OrderFactory.create_batch(29)
    assert count() == one
