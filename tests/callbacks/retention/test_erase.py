"""After an order is forgotten, no table of the database has its number or its click id."""

import threading
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from affiliates.models import Affiliate, Link
from callbacks.delivery import dispatcher
from callbacks.models import Attempt, Delivery, HourlyCount, Job, KeptOrders, audit
from callbacks.reports import hourly, reconciliation
from callbacks.retention import erase
from orders.models import Order
from tests.factories import AffiliateFactory, LinkFactory, OrderFactory, callbacks_for, client_with
from tests.queries import tables_with
from tests.receiver import Answer, Received, Receiver
from tests.waiting import wait_until

NUMBER, CLICK, EARLIER = "#PRIVATE-77", "click-of-somebody", "click-from-before"


def written(affiliate: Affiliate, receiver: Receiver) -> Order:
    """An order that left traces wherever one does."""
    user = User.objects.create_superuser("root")
    client = Client()
    client.force_login(user)
    link = LinkFactory(affiliate=affiliate, url=f"https://shop.example/?ref={affiliate.code}&clickid={EARLIER}")
    order = OrderFactory(affiliate=affiliate, number=NUMBER, link=link)
    dispatcher.run()
    form = {"number": NUMBER, "affiliate": affiliate.code, "status": "approved", "amount": "58.00", "currency": "USD",
            "commission": "", "link": f"https://shop.example/?ref={affiliate.code}&clickid={CLICK}"}  # fmt: skip
    assert client.post(f"/admin/orders/order/{order.pk}/change/", form).status_code == 302
    dispatcher.run()
    delivery = Delivery.objects.latest("pk")
    audit.note_resent([delivery], user)
    Job.objects.create(kind="resend", chosen={"q": NUMBER}, words=f"Search: “{NUMBER}”", first=1, last=1, position=0)
    again = OrderFactory(affiliate=affiliate, number="#1")  # an order that is deleted, and had the number before
    Order.objects.filter(pk=again.pk).delete()
    Delivery.objects.filter(order=again.pk).update(variables=delivery.variables)
    return Order.objects.get(number=NUMBER)


def requests_counted() -> int:
    return sum(counts.requests for counts in hourly.since(timezone.now() - timedelta(days=1)).values())


@pytest.fixture
def joe(receiver: Receiver) -> Affiliate:
    affiliate = AffiliateFactory()
    callbacks_for(affiliate, receiver.url("/pb?o={{order.number}}&c={{link.query.clickid}}"), method="POST")
    return affiliate


@pytest.mark.django_db(transaction=True)
def test_forget_leaves_nothing_in_any_table_but_sums(
    joe: Affiliate, receiver: Receiver, loopback: None, postgresql: bool
) -> None:
    receiver.answer("/pb", *[Answer(body=f"thanks for {NUMBER}".encode())] * 3)
    order, other = written(joe, receiver), OrderFactory(affiliate=joe, number="#PRIVATE-7")
    month = reconciliation.Month.of(timezone.now())
    hourly.count()
    before, counted = reconciliation.reconcile(joe, month), requests_counted()
    assert len(set(tables_with(NUMBER, CLICK, EARLIER))) >= 8  # what is looked for is there, and the search finds it
    out = StringIO()
    call_command("forget_order", NUMBER, stdout=out)
    assert out.getvalue().startswith("Deleted: orders 1, deliveries 4, attempts 2, links 2, ")
    assert tables_with(NUMBER, CLICK, EARLIER) == []
    assert Delivery.objects.get().order == other
    after = reconciliation.reconcile(joe, month)
    assert (after.sums, after.lines[1]) == (before.sums, before.lines[1])
    assert requests_counted() == counted == 2
    assert order.pk
    if not postgresql:
        connection.close()
        for path in Path(connection.settings_dict["NAME"]).parent.glob("test.sqlite3*"):
            assert CLICK.encode() not in path.read_bytes(), path.name
    with pytest.raises(CommandError, match="No data is stored"):
        call_command("forget_order", NUMBER)


@pytest.mark.django_db(transaction=True)
def test_forget_what_is_on_the_wire_is_not_written_back(joe: Affiliate, receiver: Receiver, loopback: None) -> None:
    hold = threading.Event()

    def held(_: Received) -> Answer:
        hold.wait(8)
        return Answer()

    receiver.answer("/pb", held)
    OrderFactory(affiliate=joe, number=NUMBER)
    attempts: list[int] = []

    def send() -> None:
        attempts.append(dispatcher.run())
        connection.close()

    sending = threading.Thread(target=send)
    sending.start()
    try:
        wait_until(lambda: receiver.requests, 10)
        assert erase.forget(NUMBER).deliveries == 1
    finally:
        hold.set()
        sending.join(20)
    assert attempts == [1]
    assert tables_with(NUMBER) == []
    assert (Attempt.objects.count(), HourlyCount.objects.count()) == (0, 0)


@pytest.mark.django_db
def test_forget_tells_no_tracker_and_sends_nothing(joe: Affiliate) -> None:
    OrderFactory(affiliate=joe, number=NUMBER)
    erase.forget(NUMBER)
    assert not Order.objects.exists()
    assert not Delivery.objects.exists()
    assert KeptOrders.objects.get().orders == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("query", "goes"), [("&clickid=7", True), ("#top", True), ("", False)], ids=["click", "fragment", "bare"]
)
def test_forget_the_link_goes_if_it_may_name_a_click(joe: Affiliate, query: str, goes: bool) -> None:
    link = LinkFactory(affiliate=joe, url=f"https://shop.example/?ref={joe.code}{query}")
    OrderFactory(affiliate=joe, number=NUMBER, link=link)
    erase.forget(NUMBER)
    assert Link.objects.exists() != goes


@pytest.mark.django_db
def test_forget_a_link_of_other_orders_stays(joe: Affiliate) -> None:
    link = LinkFactory(affiliate=joe)
    OrderFactory(affiliate=joe, number=NUMBER, link=link)
    OrderFactory(affiliate=joe, link=link)
    assert erase.forget(NUMBER).links == 0
    assert Link.objects.get() == link


@pytest.mark.django_db
def test_forget_by_the_page_says_what_it_does_and_notes_no_number(joe: Affiliate, caplog: Any) -> None:
    order = OrderFactory(affiliate=joe, number=NUMBER)
    assert client_with("view_order").get(f"/admin/orders/order/{order.pk}/forget/").status_code == 403
    client = client_with("view_order", "delete_order")
    page = client.get(f"/admin/orders/order/{order.pk}/forget/").content.decode()
    assert "No postback is sent." in page
    assert "1 pending delivery will not be sent." in page
    assert "Forget order…" in client.get(f"/admin/orders/order/{order.pk}/change/").content.decode()
    answer = client.post(f"/admin/orders/order/{order.pk}/forget/", follow=True)
    assert "The order and all data about it were deleted." in answer.content.decode()
    assert NUMBER not in answer.content.decode() + caplog.text
    assert "order_forgotten" in caplog.text
    assert LogEntry.objects.get().change_message == "Deleted for good, with all its data."
    assert tables_with(NUMBER) == []
    assert client.get(f"/admin/orders/order/{order.pk}/forget/").status_code == 404
    assert apps.get_model("orders", "Order").objects.count() == 0
