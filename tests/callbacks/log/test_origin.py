"""The origin of deliveries: a test is shown as one, is not counted, is sent once; the log filters by origin."""

import csv
import io
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from affiliates.models import Affiliate
from affiliates.profile import facts
from callbacks.delivery import circuit_breaker, dispatcher, queue, reconcile, resend
from callbacks.log import explain
from callbacks.models import Attempt, CallbackSetting, CountedUpTo, Delivery, EventType, HourlyCount, TroubledHost
from callbacks.reports import callback_health, hourly, overview, reconciliation
from callbacks.reports.reconciliation import Month
from callbacks.setup import test_send
from orders.models import Order
from tests.factories import OrderFactory, callbacks_for
from tests.receiver import Answer, Receiver

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("broker", "loopback")]

LOG = "/admin/callbacks/delivery/"
PASSWORD = "a long enough passphrase"


@pytest.fixture
def order(joe: Affiliate, receiver: Receiver) -> Order:
    """One that was sent, so that there is something to be counted."""
    callbacks_for(joe, receiver.url("/pb?o={{order.number}}"))
    order: Order = OrderFactory(affiliate=joe, number="#77")
    dispatcher.run()
    receiver.answer("/pb", Answer(500))
    return order


def send_test(order: Order, user: User, event: str = "order.created") -> Delivery:
    assert order.affiliate
    setting = CallbackSetting.objects.select_related("affiliate").get(affiliate=order.affiliate, event=event)
    sent = test_send.send(setting, order, user.pk)
    assert sent.attempt
    return sent.attempt.delivery


def figures(order: Order) -> Any:
    shown = overview.overview(overview.RANGES[0])
    names = ("lately", "waiting", "failed", "skipped", "times", "endpoints", "more_endpoints")
    return [shown[name] for name in names] + [list(shown["failures"]), [bar.counts for bar in shown["bars"]]]


def counted_hours(order: Order) -> Any:
    Attempt.objects.update(created_at=timezone.now() - timedelta(minutes=5))
    HourlyCount.objects.all().delete()
    CountedUpTo.objects.all().delete()
    while hourly.count():
        pass
    return list(HourlyCount.objects.values("delivered", "refused", "unanswered"))


def reconciled(order: Order) -> Any:
    assert order.affiliate
    month = Month.of(order.created_at)
    found = reconciliation.reconcile(order.affiliate, month)
    rows = list(reconciliation.csv_rows(order.affiliate, month))
    return [line.counts for line in found.lines], found.undelivered, rows


def callbacks(order: Order) -> Any:
    assert order.affiliate
    shown = [
        (callback.health, callback.last, callback.attempt) for callback in callback_health.callbacks_of(order.affiliate)
    ]
    listed = callback_health.with_health(Affiliate.objects.all()).values_list("health", flat=True)
    return shown, list(listed), facts.facts_of(order.affiliate)


def orders(order: Order) -> Any:
    client = signed_in()
    page = client.get("/admin/orders/order/")
    failed = client.get("/admin/orders/order/?deliveries=failed")
    return page.context["cl"].result_list[0].delivery_state, list(failed.context["cl"].result_list)


def signed_in() -> Client:
    client = Client()
    client.force_login(User.objects.get(username="admin"))
    return client


def badge(order: Order) -> Any:
    page = signed_in().get("/admin/orders/order/")
    return [item.badge for section in page.context["navigation"] for item in section.items]


def missed(order: Order) -> Any:
    """The order is changed without a signal before the test, which must not count as the missing delivery."""
    Order.objects.update(status="approved")
    return [(found.event, found.state.status) for found in reconcile.missed(order.created_at - timedelta(days=1))]


def explained(order: Order) -> Any:
    return explain.explain(order)


@pytest.mark.parametrize(
    "reader",
    [figures, counted_hours, reconciled, callbacks, orders, badge, missed, explained],
    ids=lambda reader: reader.__name__,
)
def test_test_changes_nothing_that_is_counted(order: Order, admin_user: User, reader: Callable[[Order], Any]) -> None:
    before = reader(order)
    for event in EventType:
        order.refresh_from_db()
        assert send_test(order, admin_user, event).status == "failed"
    assert reader(order) == before
    Delivery.objects.update(origin="event")  # as events the same would count
    Attempt.objects.update(trigger="initial")
    assert reader(order) != before


def test_test_alone_leaves_the_overview_with_the_first_steps(
    admin_user: User, joe: Affiliate, receiver: Receiver
) -> None:
    callbacks_for(joe, receiver.url("/"))
    setting = CallbackSetting.objects.select_related("affiliate").first()
    assert setting
    test_send.send(setting, None, admin_user.pk)
    assert not signed_in().get("/admin/").context.get("has_deliveries")


@pytest.mark.parametrize(("answer", "status"), [(Answer(), "succeeded"), (Answer(raw=b"", end="close"), "failed")])
def test_test_neither_asks_nor_informs_the_circuit_breaker(
    order: Order, admin_user: User, receiver: Receiver, answer: Answer, status: str
) -> None:
    host = CallbackSetting.objects.all()[0].host
    receiver.answer("/pb", answer)
    for failures in (circuit_breaker.THRESHOLD, circuit_breaker.THRESHOLD - 1, 0):
        TroubledHost.objects.all().delete()
        if failures:
            TroubledHost.objects.create(host=host, failures=failures, probe_at=timezone.now() + timedelta(hours=1))
        before, sent = list(TroubledHost.objects.values()), len(receiver.requests)
        assert send_test(order, admin_user).status == status
        assert len(receiver.requests) == sent + 1
        assert list(TroubledHost.objects.values()) == before


def test_test_of_created_does_not_let_updated_go_first(joe: Affiliate, admin_user: User, receiver: Receiver) -> None:
    callbacks_for(joe, receiver.url("/pb?e={{event}}"))
    order = OrderFactory(affiliate=joe)
    order.status = "approved"
    order.save()
    created = Delivery.objects.get(event="order.created")
    send_test(order, admin_user)
    assert [found.pk for found in queue.due(10)] == [created.pk]
    dispatcher.run()
    sent = [dict(request.query)["e"] for request in receiver.wait_for(3)]
    assert sent == ["order.created", "order.created", "order.updated"]


def test_test_is_not_sent_again(order: Order, admin_user: User, receiver: Receiver) -> None:
    delivery = send_test(order, admin_user)
    count = len(receiver.requests)
    client = signed_in()
    assert f"{delivery.pk}/resend/" not in client.get(delivery.get_absolute_url()).content.decode()
    page = client.post(f"{LOG}{delivery.pk}/resend/", follow=True)
    assert "was not resent. It was a test; send another one from the form of its callback." in page.content.decode()
    assert resend.resend([delivery.pk]).count == 0
    queue.recover()
    assert dispatcher.run() == 0
    assert len(receiver.requests) == count


# --- where it is seen --------------------------------------------------------------
def test_log_marks_tests_and_finds_deliveries_by_origin(order: Order, admin_user: User) -> None:
    event = Delivery.objects.get()
    tested = send_test(order, admin_user)
    backfilled = Delivery.objects.get(pk=send_test(order, admin_user).pk)
    Delivery.objects.filter(pk=backfilled.pk).update(origin="backfill")
    client = signed_in()
    for query, expected in (
        ("", [backfilled, tested, event]),
        ("?origin=event", [event]),
        ("?origin=counted", [backfilled, event]),
        ("?origin=test", [tested]),
        ("?origin=backfill", [backfilled]),
        ("?origin=nonsense", [backfilled, tested, event]),
        ("?origin=test&q=77", [tested]),
    ):
        page = client.get(LOG + query)
        assert list(page.context["cl"].result_list) == expected, query
        marks = re.findall('data-origin="([a-z]+)"', page.content.decode())
        origins = [delivery.origin for delivery in Delivery.objects.order_by("-pk") if delivery in expected]
        assert marks == [origin for origin in origins if origin != "event"]


def test_page_of_a_test_says_that_it_is_one(order: Order, admin_user: User) -> None:
    text = " ".join(signed_in().get(send_test(order, admin_user).get_absolute_url()).content.decode().split())
    assert 'data-origin="test">Test<' in text
    assert "With the values of order #77. A test is sent once and never retried." in text
    assert "Attempt 1 · test · 500" in text
    for wrong in ("No further attempt", "Resend<", "Order saved", "after the event"):
        assert wrong not in text


def test_page_of_an_order_lists_its_tests_as_such(order: Order, admin_user: User) -> None:
    page = f"/admin/orders/order/{order.pk}/change/"
    assert "All deliveries of this order" not in signed_in().get(page).content.decode()
    delivery = send_test(order, admin_user)
    text = signed_in().get(page).content.decode()
    listed = text[text.index("All deliveries of this order") :]
    assert delivery.get_absolute_url() in listed
    assert listed.count('data-origin="test"') == 1


def test_portal_shows_no_tests(order: Order, admin_user: User, joe: Affiliate) -> None:
    joe.user = User.objects.create_user(joe.email, joe.email, PASSWORD)
    joe.save()
    event, tested = Delivery.objects.get(), send_test(order, admin_user)
    client = Client()
    client.force_login(joe.user)
    assert list(client.get("/portal/").context["page"]) == [event]
    assert client.get(f"/portal/deliveries/{event.pk}/").status_code == 200
    assert client.get(f"/portal/deliveries/{tested.pk}/").status_code == 404


def test_export_names_the_origin(order: Order, admin_user: User) -> None:
    send_test(order, admin_user)
    answer = signed_in().get(f"{LOG}export/")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [row["Origin"] for row in rows] == ["test", "event"]
