"""What became of an order, callback by callback, in a sentence."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from affiliates.models import Affiliate
from callbacks.delivery import circuit_breaker
from callbacks.log import explain
from callbacks.models import Attempt, CallbackSetting, Delivery, EventType, TroubledHost
from orders.models import Order
from tests.factories import AffiliateFactory, CallbackSettingFactory, LinkFactory, OrderFactory, callbacks_for, in_state
from tests.queries import assert_same_queries

pytestmark = pytest.mark.django_db

URL = "https://tracker.example/?o={{order.number}}"


def explained(order: Order, event: str = "order.created") -> explain.Explanation:
    order = Order.objects.select_related("affiliate", "link").get(pk=order.pk)
    [found] = [found for found in explain.explain(order) if str(EventType(event).label) in found.title]
    return found


def come_to(order: Order, status: str, detail: str = "", **fields: Any) -> None:
    """Bring the delivery of an order to a state, with an attempt if `detail` says what came of one."""
    delivery = Delivery.objects.get(order=order)
    if detail:
        tried: dict[str, Any] = {"trigger": "initial", "method": "GET", "created_at": timezone.now()}
        Attempt.objects.create(delivery=delivery, detail=detail, **tried)
        fields = {"attempt_count": 1} | fields
    Delivery.objects.filter(pk=delivery.pk).update(**in_state(status, **fields))


# --- recorded --------------------------------------------------------------------
@pytest.mark.parametrize(
    ("status", "detail", "fields", "state", "expected"),
    [
        ("succeeded", "The tracker answered 200 OK.", {}, "succeeded", "Sent. The tracker answered 200 OK."),
        ("failed", "The tracker answered 404 Not Found.", {"attempt_count": 10, "last_error_kind": "status"}, "failed",
         "Failed after 10 attempts. The tracker answered 404 Not Found."),
        ("failed", "The path would climb.", {"last_error_kind": "template"}, "failed",
         "Not sent: the variables in the URL could not be filled in. The path would climb."),
        ("failed", "x leads to 127.0.0.1.", {"last_error_kind": "blocked_address"}, "failed",
         "Not sent: this address is not allowed. x leads to 127.0.0.1."),
        ("skipped", "", {"skip_reason": "paused"}, "skipped",
         "Not sent. The callback was paused at the time of the event."),
        ("skipped", "", {"skip_reason": "affiliate_blocked"}, "skipped",
         "Not sent. The affiliate is blocked, so nothing is sent to their tracker."),
        ("sending", "", {}, "sending", "Sending now."),
        ("pending", "", {}, "pending", "Due now. Sent as soon as a worker is free."),
        ("pending", "No answer came within 10 seconds.",
         {"last_error_kind": "timeout", "next_attempt_at": timezone.now() + timedelta(days=1)}, "retrying",
         "No answer came within 10 seconds. Retries automatically."),
    ],
)  # fmt: skip
def test_explain_recorded_event_says_how_far_it_got(
    joe: Affiliate, status: str, detail: str, fields: dict[str, Any], state: str, expected: str
) -> None:
    CallbackSettingFactory(affiliate=joe, url=URL)
    order = OrderFactory(affiliate=joe)
    come_to(order, status, detail, **fields)
    explanation = explained(order)
    assert (explanation.state, explanation.sentence) == (state, expected)
    assert explanation.delivery == order.deliveries.get()


def test_explain_paused_callback_says_so(joe: Affiliate) -> None:
    setting = CallbackSettingFactory(affiliate=joe, url=URL)
    order = OrderFactory(affiliate=joe)
    CallbackSetting.objects.filter(pk=setting.pk).update(is_active=False)
    assert "The callback is paused" in explained(order).sentence


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("person", "The callback was paused by a person. This delivery is sent"),
        ("gone", "The callback was paused automatically: the tracker answered 410 Gone,"),
        ("failing", "The callback was paused automatically: no postback succeeded for days."),
    ],
)
def test_explain_paused_callback_says_why(joe: Affiliate, reason: str, words: str) -> None:
    setting = CallbackSettingFactory(affiliate=joe, url=URL)
    order = OrderFactory(affiliate=joe)
    CallbackSetting.objects.filter(pk=setting.pk).update(is_active=False, pause_reason=reason)
    assert explained(order).sentence.startswith(words)


@pytest.mark.parametrize(
    ("failures", "is_held"), [(circuit_breaker.THRESHOLD - 1, False), (circuit_breaker.THRESHOLD, True)]
)
def test_explain_host_held_by_the_circuit_breaker_is_named(joe: Affiliate, failures: int, is_held: bool) -> None:
    CallbackSettingFactory(affiliate=joe, url=URL)
    order = OrderFactory(affiliate=joe)
    TroubledHost.objects.create(host="tracker.example", failures=failures, probe_at=timezone.now())
    assert ("On hold: tracker.example did not answer 10 times in a row" in explained(order).sentence) == is_held


@pytest.mark.parametrize(
    ("status", "says", "unsent"),
    [
        ("blocked", "is blocked", "Not sent while the affiliate is blocked."),
        ("pending", "is not approved yet", "Not sent until the affiliate is approved."),
    ],
)
def test_affiliate_who_gets_nothing_is_named_on_every_page(
    joe: Affiliate, admin_client: Client, status: str, says: str, unsent: str
) -> None:
    callbacks_for(joe, URL)
    order = OrderFactory(affiliate=joe)
    Affiliate.objects.update(status=status)
    assert f"{says}, so nothing is sent to their tracker. This delivery will be skipped." in explained(order).sentence
    page = admin_client.get(joe.settings_url).content.decode()
    assert unsent in page
    assert "will be sent within a second" not in page


def test_explain_callback_that_was_asked_to_wait_says_until_when(joe: Affiliate, admin_client: Client) -> None:
    callbacks_for(joe, URL)
    order = OrderFactory(affiliate=joe)
    CallbackSetting.objects.update(held_until=timezone.now() + timedelta(hours=1))
    assert "On hold: the tracker asked us to wait until" in explained(order).sentence
    assert "On hold: the tracker asked us to wait." in admin_client.get(joe.settings_url).content.decode()


def test_explain_update_that_waits_for_its_created_says_so(joe: Affiliate) -> None:
    callbacks_for(joe, URL)
    order = OrderFactory(affiliate=joe)
    come_to(order, "pending", "The tracker answered 503.", last_error_kind="status")
    order.status = "approved"
    order.save()
    assert "Waits until the “order created” delivery" in explained(order, "order.updated").sentence


def test_explain_several_deliveries_counts_them_and_is_about_the_last(joe: Affiliate) -> None:
    callbacks_for(joe, URL)
    order = OrderFactory(affiliate=joe)
    for status in ("approved", "rejected"):
        order.status = status
        order.save()
    explanation = explained(order, "order.updated")
    assert explanation.count == 2
    assert explanation.delivery is not None
    assert explanation.delivery.variables["order.status"] == "rejected"


def test_explain_deleted_callback_is_still_there(joe: Affiliate) -> None:
    setting = CallbackSettingFactory(affiliate=joe, url=URL)
    order = OrderFactory(affiliate=joe)
    setting.delete()
    explanation = explained(order)
    assert (explanation.state, explanation.setting, explanation.title) == ("pending", None, "Order created callback")
    assert "callback was deleted" in explanation.sentence
    assert explained(order, "order.updated").state == "not_set"


def test_explain_order_of_another_affiliate_now_has_both(joe: Affiliate) -> None:
    marta = AffiliateFactory(name="Marta")
    for affiliate in (joe, marta):
        callbacks_for(affiliate, URL)
    order = OrderFactory(affiliate=joe)
    order.affiliate = marta
    order.save()
    order = Order.objects.get(pk=order.pk)
    found = [(found.affiliate.name, found.title, found.state) for found in explain.explain(order)]
    assert sorted(found) == [
        ("Joe", "Order created callback", "pending"),
        ("Joe", "Order updated callback", "pending"),
        ("Marta", "Order created callback", "pending"),
        ("Marta", "Order updated callback", "not_due"),
    ]


# --- not recorded ------------------------------------------------------------------
def test_explain_without_an_affiliate_is_empty() -> None:
    assert explain.explain(OrderFactory(affiliate=None)) == []


def test_explain_without_a_callback_says_that_there_is_none(joe: Affiliate) -> None:
    order = OrderFactory(affiliate=joe)
    for event in EventType:
        explanation = explained(order, event)
        assert (explanation.state, explanation.setting) == ("not_set", None)
        assert "Joe has no callback for this event" in explanation.sentence


def test_explain_order_older_than_the_callback_says_so(joe: Affiliate) -> None:
    order = OrderFactory(affiliate=joe)
    callbacks_for(joe, URL)
    assert explained(order).state == "not_due"
    assert "was created before the callback was set up" in explained(order).sentence
    assert "have not changed since this callback was set up" in explained(order, "order.updated").sentence


def test_explain_unchanged_order_says_that_nothing_changed(joe: Affiliate) -> None:
    callbacks_for(joe, URL)
    order = OrderFactory(affiliate=joe, link=LinkFactory(affiliate=joe))
    order.save()
    explanation = explained(order, "order.updated")
    assert explanation.state == "not_due"
    assert "have not changed since the order was created" in explanation.sentence


def test_explain_order_written_without_a_signal_names_the_command(joe: Affiliate) -> None:
    callbacks_for(joe, URL)
    order = OrderFactory(affiliate=joe)
    Order.objects.filter(pk=order.pk).update(status="approved")
    explanation = explained(order, "order.updated")
    assert explanation.state == "not_recorded"
    assert "manage.py reconcile" in explanation.sentence
    Delivery.objects.all().delete()
    assert explained(order).state == "not_recorded"


def test_explain_order_changed_before_its_callback_was_not_due(joe: Affiliate) -> None:
    CallbackSettingFactory(affiliate=joe, url=URL)
    order = OrderFactory(affiliate=joe)
    order.status = "approved"
    order.save()
    CallbackSettingFactory(affiliate=joe, url=URL, event=EventType.UPDATED)
    explanation = explained(order, "order.updated")
    assert (explanation.state, "before this callback was set up" in explanation.sentence) == ("not_due", True)


def test_explain_takes_as_many_queries_for_thirty_deliveries_as_for_one(joe: Affiliate) -> None:
    def change() -> None:
        order.amount += 1
        order.save()

    callbacks_for(joe, URL)
    order = OrderFactory(affiliate=joe)
    assert_same_queries(
        lambda: explain.explain(Order.objects.select_related("affiliate", "link").get(pk=order.pk)), change
    )


# --- in the admin --------------------------------------------------------------------
def test_order_page_explains_each_callback(admin_client: Client, joe: Affiliate) -> None:
    CallbackSettingFactory(affiliate=joe, url=URL)
    order = OrderFactory(affiliate=joe)
    page = admin_client.get(order.get_absolute_url()).content.decode()
    assert 'data-reason="pending"' in page
    assert 'data-reason="not_set"' in page
    assert order.deliveries.get().get_absolute_url() in page
    nobody = admin_client.get(OrderFactory(affiliate=None).get_absolute_url()).content.decode()
    assert "This order has no affiliate" in nobody


def test_order_list_says_in_short_why_there_are_no_deliveries(admin_client: Client, joe: Affiliate) -> None:
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
    assert "Pending" in shown(sent)
    Delivery.objects.all().delete()
    assert "Not recorded" in shown(sent)


def test_order_list_takes_as_many_queries_for_thirty_as_for_one(admin_client: Client) -> None:
    assert_same_queries(lambda: admin_client.get("/admin/orders/order/"), OrderFactory)
