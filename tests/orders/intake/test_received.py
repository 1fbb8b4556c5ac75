"""Many messages at once: a busy process only stores them, and a worker applies them in their turn."""

import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.utils import timezone

from callbacks.models import Delivery
from callbacks.tasks import run_jobs
from orders.intake import applying, receive, received
from orders.models import Message, Order, Shop
from tests.callbacks.panel import at_once
from tests.factories import AffiliateFactory, callbacks_for
from tests.queries import count_queries
from tests.shop_messages import make_shop, send, shopify_order, woocommerce_order

pytestmark = pytest.mark.django_db
Outcome = Message.Outcome
TIED = "2017-03-22T19:28:08"


@pytest.fixture
def shop() -> Shop:
    return make_shop("shopify")


@pytest.fixture
def woocommerce() -> Shop:
    return make_shop("woocommerce")


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """This process takes in many messages already."""
    monkeypatch.setattr(receive, "_busy_until", time.monotonic() + 100)
    monkeypatch.setattr(received, "AGE", timedelta(0))
    return monkeypatch


def order_of(number: int, **fields: Any) -> dict[str, Any]:
    return shopify_order(id=number, name=f"#{number}", **fields)


def outcomes() -> list[str]:
    return list(Message.objects.order_by("pk").values_list("outcome", flat=True))


# --- what a busy process does --------------------------------------------------
def test_busy_process_stores_a_message_and_a_worker_applies_it(shop: Shop, busy: Any) -> None:
    callbacks_for(AffiliateFactory(code="joe"), "https://t.example/")
    assert send(shop, order_of(1)).status_code == 200
    assert (outcomes(), Order.objects.count()) == ([Outcome.RECEIVED], 0)
    shop.refresh_from_db()
    assert shop.last_received_at is not None
    run_jobs()
    message = Message.objects.get()
    assert (message.outcome, message.order, message.reason) == (Outcome.CREATED, Order.objects.get(), "")
    assert Delivery.objects.count() == 1


def test_process_that_gets_many_at_once_stores_what_comes_for_a_second(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive, "_busy_until", 0.0)
    monkeypatch.setattr(receive, "BUSY_S", 0.5)
    with receive._taking_in(), receive._taking_in():
        send(shop, order_of(1))
        with receive._taking_in():
            send(shop, order_of(2))
    send(shop, order_of(3))
    time.sleep(0.5)
    send(shop, order_of(4))
    assert outcomes() == [Outcome.CREATED, Outcome.RECEIVED, Outcome.RECEIVED, Outcome.CREATED]


def test_busy_process_asks_the_database_twice(shop: Shop, busy: Any) -> None:
    send(shop, order_of(1))
    assert count_queries(lambda: send(shop, order_of(2))) == 1  # the insert
    time.sleep(receive.FRESH_S)
    assert count_queries(lambda: send(shop, order_of(3))) <= 3  # the shop is read and says when it was heard of


@pytest.mark.django_db(transaction=True)
def test_busy_process_knows_repetitions_and_refuses_what_is_wrong(shop: Shop, busy: Any) -> None:
    for _again in range(2):
        assert send(shop, order_of(1), headers={"X-Shopify-Webhook-Id": "one"}).status_code == 200
    assert send(shop, b"{").status_code == 200
    assert send(shop, order_of(2), headers={"X-Shopify-Hmac-Sha256": "x"}).status_code == 401
    assert outcomes() == [Outcome.RECEIVED, Outcome.REFUSED]
    shop.refresh_from_db()
    assert shop.refused_count == 1


@pytest.mark.django_db(transaction=True)
def test_what_other_shops_send_does_not_wait_for_woocommerce(shop: Shop, woocommerce: Shop, busy: Any) -> None:
    """Whose messages wait longer for a lock, because it never repeats one."""
    has_begun, goes_on = threading.Event(), threading.Event()

    def hold(messages: Sequence[Message]) -> Sequence[Message]:
        has_begun.set()
        assert goes_on.wait(5)
        return applying.store(messages)

    def send_theirs() -> None:
        send(woocommerce, woocommerce_order())
        connections.close_all()

    busy.setattr(applying.store_with_others[Shop.Kind.WOOCOMMERCE], "_run", hold)
    thread = threading.Thread(target=send_theirs)
    thread.start()
    assert has_begun.wait(5)
    assert send(shop, order_of(1)).status_code == 200
    assert thread.is_alive()
    goes_on.set()
    thread.join(5)
    assert outcomes() == [Outcome.RECEIVED, Outcome.RECEIVED]


def test_busy_process_takes_a_secret_that_was_just_rotated(shop: Shop, busy: Any) -> None:
    send(shop, order_of(1))
    shop.rotate("shpss_new")
    assert send(shop, order_of(2)).status_code == 200


def test_version_of_the_api_is_noted_once_though_it_is_known_when_it_is_applied(shop: Shop, busy: Any) -> None:
    for number, version in enumerate(("2026-04", "2026-07", "2026-07")):
        send(shop, order_of(number), headers={"X-Shopify-API-Version": version})
    received.run()
    reasons = Message.objects.order_by("pk").values_list("reason", flat=True)
    assert ["version 2026-07" in reason for reason in reasons] == [False, True, False]


# --- their order -----------------------------------------------------------------
@pytest.mark.parametrize("is_busy_again", [True, False])
def test_later_one_of_equal_time_wins_though_the_earlier_still_waits(
    woocommerce: Shop, busy: Any, is_busy_again: Any
) -> None:
    send(woocommerce, woocommerce_order(status="processing", date_modified_gmt=TIED))
    send(woocommerce, woocommerce_order(id=5, number="5"))
    if not is_busy_again:
        busy.setattr(receive, "_busy_until", 0.0)
    send(woocommerce, woocommerce_order(status="cancelled", date_modified_gmt=TIED))
    assert outcomes() == [Outcome.RECEIVED] * 3
    received.run()
    assert outcomes() == [Outcome.CREATED, Outcome.CREATED, Outcome.UPDATED]
    assert Order.objects.get(external_id="727").status == "rejected"


def test_deletion_without_a_time_comes_after_what_waits(woocommerce: Shop, busy: Any) -> None:
    send(woocommerce, woocommerce_order())
    busy.setattr(receive, "_busy_until", 0.0)
    send(woocommerce, {"id": 727}, "order.deleted")
    received.run()
    assert (outcomes(), Order.objects.get().status) == ([Outcome.CREATED, Outcome.UPDATED], "rejected")


def test_older_one_changes_nothing(woocommerce: Shop, busy: Any) -> None:
    send(woocommerce, woocommerce_order(status="cancelled", date_modified_gmt="2017-03-22T19:28:09"))
    send(woocommerce, woocommerce_order(status="processing", date_modified_gmt=TIED))
    received.run()
    assert (outcomes(), Order.objects.get().status) == ([Outcome.CREATED, Outcome.OLDER], "rejected")


def test_order_that_is_known_by_its_number_alone_keeps_the_order_of_arrival(busy: Any) -> None:
    own = make_shop("signed")
    send(own, {"number": "A1", "amount": "5.00", "currency": "USD"})
    busy.setattr(receive, "_busy_until", 0.0)
    send(own, {"number": "A1", "amount": "7.00"})
    received.run()
    assert (outcomes(), Order.objects.get().amount) == ([Outcome.CREATED, Outcome.UPDATED], Decimal(7))


def test_refund_that_came_before_its_order_is_applied_with_it(shop: Shop, busy: Any) -> None:
    paid_back = {"kind": "refund", "status": "success", "amount": "5.00", "currency": "USD"}
    refund = {"id": 7, "order_id": 1, "transactions": [paid_back]}
    send(shop, refund, "refunds/create")
    received.run()
    assert outcomes() == [Outcome.WAITING]
    send(shop, order_of(1, currency="USD"))
    send(shop, order_of(2))
    received.run()
    assert Outcome.WAITING not in outcomes()
    assert Order.objects.get(external_id="1").refunded == 5


def test_batch_is_what_one_by_one_makes_of_it(shop: Shop, busy: Any) -> None:
    AffiliateFactory(code="joe")
    odd = [order_of(2, currency="BTC"), order_of(3, financial_status="weird"), {"id": 4}, []]
    bodies = [order_of(1), *odd, order_of(5)]
    for body in bodies:
        send(shop, body)
    received.run()
    together = list(Message.objects.order_by("pk").values_list("outcome", "reason", "order__number"))
    Message.objects.all().delete()
    Order.objects.all().delete()
    Shop.objects.update(status_map={})
    busy.setattr(receive, "_busy_until", 0.0)
    for body in bodies:
        send(shop, body)
    assert list(Message.objects.order_by("pk").values_list("outcome", "reason", "order__number")) == together


def test_batch_is_few_queries(shop: Shop, busy: Any) -> None:
    AffiliateFactory(code="joe")
    for number in range(received.BATCH):
        send(shop, order_of(number))
    assert count_queries(received.run) <= 40
    assert set(outcomes()) == {Outcome.CREATED}


def test_what_has_just_come_is_left_for_a_second_by_whatever_clock(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive, "_busy_until", time.monotonic() + 100)
    send(shop, order_of(1))
    received.run()
    assert outcomes() == [Outcome.RECEIVED]
    for since in (received.AGE, -timedelta(hours=1)):  # the clock of the web process is an hour ahead
        Message.objects.update(received_at=timezone.now() - since, outcome=Outcome.RECEIVED)
        received.run()
        assert Outcome.RECEIVED not in outcomes()


# --- faults --------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_what_dies_between_has_done_nothing_and_the_next_worker_does_all(
    shop: Shop, busy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        send(shop, order_of(number))
    with monkeypatch.context() as patch:
        patch.setattr(applying, "apply_waiting", lambda _created: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            received.run()
    assert (outcomes(), Order.objects.count()) == ([Outcome.RECEIVED] * 3, 0)
    received.run()
    assert (outcomes(), Order.objects.count()) == ([Outcome.CREATED] * 3, 3)


@pytest.mark.django_db(transaction=True)
def test_workers_at_once_apply_each_message_once(shop: Shop, busy: Any) -> None:
    callbacks_for(AffiliateFactory(code="joe"), "https://t.example/")
    for number in range(20):
        price = {"current_total_price": f"{number}.00", "current_total_price_set": None}
        send(shop, order_of(number % 10, updated_at=f"2026-01-10T16:00:{number:02}Z", **price))
    at_once([received.run] * 4)
    received.run()
    assert outcomes() == [Outcome.CREATED] * 10 + [Outcome.UPDATED] * 10  # and would be other the second time
    assert sorted(Order.objects.values_list("amount", flat=True)) == list(range(10, 20))
    assert Delivery.objects.filter(event="order.created").count() == 10


@pytest.mark.django_db(transaction=True)
def test_order_that_is_locked_holds_back_no_other(shop: Shop, busy: Any, postgresql: bool) -> None:
    """As by a transaction that hangs: a worker waits for no lock for long."""
    if not postgresql:
        return  # where one lock is that of all
    send(shop, order_of(1))
    received.run()
    send(shop, order_of(1, financial_status="voided", updated_at=timezone.now().isoformat()))
    send(shop, order_of(2))
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")
    locked, done = threading.Event(), threading.Event()

    def lock() -> None:
        with transaction.atomic():
            list(Order.objects.select_for_update())
            locked.set()
            done.wait(20)
        connections.close_all()

    thread = threading.Thread(target=lock)
    thread.start()
    locked.wait(10)
    received.run()
    done.set()
    thread.join()
    assert outcomes() == [Outcome.CREATED, Outcome.RECEIVED, Outcome.CREATED]
    received.run()
    assert outcomes() == [Outcome.CREATED, Outcome.UPDATED, Outcome.CREATED]
    connection.close()


def test_error_of_ours_with_a_batch_is_one_of_one_message(
    shop: Shop, busy: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    send(shop, order_of(1))
    send(shop, order_of(2))
    monkeypatch.setattr("orders.intake.place.place_many", lambda _incoming: 1 / 0)
    received.run()
    assert (outcomes(), "messages_not_applied_together" in caplog.text) == ([Outcome.CREATED] * 2, True)


def test_message_that_was_forgotten_meanwhile_is_not_applied(shop: Shop, busy: Any) -> None:
    send(shop, order_of(1))
    Message.objects.update(outcome=Outcome.IGNORED, kept=None, external_id="")
    received.run()
    assert not Order.objects.exists()


def test_database_that_is_away_is_said(shop: Shop, busy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        send(shop, order_of(number))

    def away(_keys: object, until: float) -> bool:
        raise OperationalError

    monkeypatch.setattr(received, "_apply_batch", away)
    with pytest.raises(OperationalError):
        received.run()


def test_waiting_is_found_by_its_own_index(shop: Shop) -> None:
    days = [timezone.now() - timedelta(minutes=minute) for minute in range(300)]
    Message.objects.bulk_create([Message(shop=shop, topic="x", outcome="created", received_at=day) for day in days])
    plan = Message.objects.filter(outcome=Outcome.RECEIVED).order_by("pk").values("pk")[:100].explain()
    if connection.vendor == "postgresql":
        return  # has a plan of its own for so few rows
    assert "message_not_applied" in plan
