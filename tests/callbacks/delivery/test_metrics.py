"""What the engine counts and says in the log of a delivery, from the request that saved its order to its end."""

import uuid
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from callbacks.delivery import dispatcher
from callbacks.models import CallbackSetting, Delivery
from config.models import CountedSample, Process
from config.monitoring import metrics
from orders.api import tokens
from tests.factories import AffiliateFactory, CallbackSettingFactory, OrderFactory
from tests.receiver import Answer, Receiver

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("broker", "loopback")]


def scraped() -> dict[str, float]:
    metrics.flush()
    answer = Client().get("/metrics")
    lines = [line for line in answer.content.decode().splitlines() if not line.startswith("#")]
    return {series: float(value) for series, _, value in (line.rpartition(" ") for line in lines)}


def test_metrics_follow_deliveries_from_their_orders_to_their_answers(receiver: Receiver):
    Process.objects.create(name="a:1", kind="worker", seen_at=timezone.now())
    setting = CallbackSettingFactory(url=receiver.url("/pb"))
    CallbackSettingFactory(affiliate=setting.affiliate, name="2", url=receiver.url("/no"), is_active=False)
    receiver.answer("/pb", Answer(500), Answer(200))
    before = scraped()
    OrderFactory(affiliate=setting.affiliate)
    OrderFactory(affiliate=setting.affiliate)
    waiting = scraped()
    dispatcher.run()
    after = scraped()

    def added(series: str) -> float:
        return after[series] - before.get(series, 0.0)

    assert waiting["postbacks_waiting"] == 2
    assert waiting["postbacks_oldest_waiting_seconds"] > 0
    assert added('postbacks_recorded_total{event="order.created"}') == 4
    assert added('postbacks_skipped_total{reason="paused"}') == 2
    assert added('postbacks_attempts_total{outcome="delivered"}') == 1
    assert added('postbacks_attempts_total{outcome="status"}') == 1
    assert added('postbacks_answer_seconds_bucket{le="+Inf"}') == added("postbacks_answer_seconds_count") == 2
    assert 0 < added("postbacks_answer_seconds_sum") < 20
    assert added("postbacks_first_attempt_seconds_count") == 2
    assert added("postbacks_deliveries_failed_total") == 0
    assert after["postbacks_waiting"] == 1
    assert (after["postbacks_in_flight"], after["postbacks_workers"], after["postbacks_broker_up"]) == (0, 1, 1)
    assert 0 <= after["postbacks_worker_heartbeat_age_seconds"] < 20
    assert after["postbacks_database_bytes"] > 0
    assert CountedSample.objects.count() > 20


def test_order_that_is_rolled_back_is_not_counted():
    from django.db import transaction

    setting = CallbackSettingFactory()
    series, before = 'postbacks_recorded_total{event="order.created"}', scraped()
    with transaction.atomic():
        OrderFactory(affiliate=setting.affiliate)
        transaction.set_rollback(True)
    assert scraped()[series] == before[series]


# --- the log ---------------------------------------------------------------------
def lines(caplog: Any, event: str) -> list[str]:
    return [line.partition(" event=")[2] for line in caplog.text.splitlines() if f" event={event} " in line]


def test_request_id_goes_from_the_request_to_the_lines_of_its_delivery(receiver: Receiver, caplog, settings):
    from ipaddress import ip_network

    settings.TRUSTED_PROXIES = (ip_network("127.0.0.1"),)
    joe = AffiliateFactory(code="joe")
    setting = CallbackSettingFactory(affiliate=joe, url="http://10.0.0.1/?secret=abc&n={{order.number}}")
    token, mine = tokens.create("shop"), uuid.uuid4().hex
    order = {"number": "1", "amount": "1.00", "currency": "USD", "affiliate": "joe"}
    headers = {"Authorization": f"Bearer {token}", "X-Request-ID": mine}
    answer = Client().post("/api/orders", order, "application/json", headers=headers)
    assert (answer.status_code, answer["X-Request-ID"]) == (201, mine)
    delivery = Delivery.objects.get()
    assert delivery.request_id == mine
    dispatcher.run()
    (line,) = lines(caplog, "delivery_failed")
    ids = f"delivery={delivery.pk} callback={setting.pk}"
    assert line == f'delivery_failed {ids} host=10.0.0.1 code="" kind=blocked_address request_id={mine}'


def test_attempt_that_is_tried_again_is_a_line_at_debug(receiver: Receiver, caplog):
    setting = CallbackSettingFactory(url=receiver.url("/pb"))
    receiver.answer("/pb", Answer(500))
    OrderFactory(affiliate=setting.affiliate)
    with caplog.at_level("DEBUG", "callbacks.delivery.db_thread"):
        dispatcher.run()
    (line,) = lines(caplog, "attempt_failed")
    assert "code=500 kind=status" in line
    assert not lines(caplog, "delivery_failed")


def test_callback_that_is_paused_is_a_line(receiver: Receiver, caplog):
    setting = CallbackSettingFactory(url=receiver.url("/gone"))
    receiver.answer("/gone", Answer(410))
    OrderFactory(affiliate=setting.affiliate)
    dispatcher.run()
    Delivery.objects.update(next_attempt_at=timezone.now())
    dispatcher.run()
    assert not CallbackSetting.objects.get().is_active
    (line,) = lines(caplog, "callback_paused")
    assert f"callback={setting.pk}" in line
