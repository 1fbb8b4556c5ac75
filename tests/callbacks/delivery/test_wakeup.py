"""Wake-ups with a real broker, one that is gone and one that is frozen."""

import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.db import transaction

from callbacks.delivery import wakeup
from callbacks.models import Delivery
from config.stack.valkey import Valkey
from tests.factories import AffiliateFactory, OrderFactory, callbacks_for


@pytest.fixture(autouse=True)
def forget_failures() -> Iterator[None]:
    wakeup._quiet_until = 0.0
    wakeup._valkey.cache_clear()
    yield
    wakeup._quiet_until = 0.0
    wakeup._valkey.cache_clear()


def messages_waiting(broker: Valkey) -> int:
    with redis.Redis.from_url(broker.url) as client:
        return client.llen("postbacks")


def test_send_many_times_leaves_one_message_waiting(broker: Valkey) -> None:
    assert all(wakeup.send() for _ in range(100))
    assert messages_waiting(broker) == 1


def test_take_lets_the_next_wakeup_through(broker: Valkey) -> None:
    wakeup.send()
    assert wakeup.take()
    assert not wakeup.take()
    wakeup.send()
    assert messages_waiting(broker) == 2


def test_sweep_is_known_for_as_long_as_it_is_asked_for(broker: Valkey) -> None:
    assert not wakeup.was_swept(5)
    wakeup.note_sweep()
    assert wakeup.was_swept(5)
    assert not wakeup.was_swept(-1)


def test_send_after_a_sweep_asks_the_broker_again_at_once(broker: Valkey) -> None:
    os.kill(broker.child.process.pid, signal.SIGSTOP)
    try:
        assert not wakeup.send()
    finally:
        os.kill(broker.child.process.pid, signal.SIGCONT)
    assert not wakeup.send()  # it is left alone for some seconds
    wakeup.note_sweep()
    assert wakeup.send()


@pytest.fixture
def nobody(settings: Any) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        settings.REDIS_URL = f"redis://127.0.0.1:{probe.getsockname()[1]}/0"


@pytest.mark.usefixtures("nobody")
def test_send_broker_gone_is_no_error_and_then_quick() -> None:
    assert not wakeup.send()
    began = time.perf_counter()
    assert not any(wakeup.send() for _ in range(1000))
    assert time.perf_counter() - began < 0.25
    assert not wakeup.take()
    wakeup.note_sweep()
    assert not wakeup.was_swept(5)


@pytest.mark.django_db(transaction=True)
def test_order_saved_with_a_frozen_broker_waits_once_and_briefly(broker: Valkey) -> None:
    affiliate = AffiliateFactory()
    callbacks_for(affiliate, "https://tracker.example/")
    assert wakeup.send()  # so that connections are open, as in a process that has been running
    wakeup.take()
    os.kill(broker.child.process.pid, signal.SIGSTOP)
    try:
        took = []
        for _ in range(20):
            began = time.perf_counter()
            with transaction.atomic():
                OrderFactory(affiliate=affiliate)
            took.append(time.perf_counter() - began)
    finally:
        os.kill(broker.child.process.pid, signal.SIGCONT)
    assert Delivery.objects.filter(status="pending").count() == 20
    assert max(took) < 0.5
    assert sorted(took)[10] < 0.1


@pytest.fixture
def listener(broker: Valkey) -> Iterator[wakeup.WakeupListener]:
    """One that is sure to listen."""
    listener = wakeup.WakeupListener()
    listener.resume()
    assert is_woken(listener, 5)
    yield listener
    listener.pause()


def is_woken(listener: wakeup.WakeupListener, seconds: float) -> bool:
    return bool(select.select([listener], [], [], seconds)[0]) and listener.clear()


def test_listener_receives_each_wakeup_and_nothing_else(listener: wakeup.WakeupListener) -> None:
    assert not is_woken(listener, 0.05)
    for _ in range(2):
        wakeup.send()
        assert is_woken(listener, 5)
        wakeup.take()
        assert not is_woken(listener, 0.05)


def test_listener_after_the_broker_was_away_receives_again(listener: wakeup.WakeupListener, broker: Valkey) -> None:
    with redis.Redis.from_url(broker.url) as client:
        client.client_kill_filter(_type="pubsub")
    assert is_woken(listener, 5)
    wakeup.send()
    assert is_woken(listener, 5)


def test_listener_that_is_paused_leaves_the_broker_alone_and_receives_again_when_resumed(
    listener: wakeup.WakeupListener, broker: Valkey
) -> None:
    listener.pause()
    with redis.Redis.from_url(broker.url) as client:
        deadline = time.monotonic() + 5
        while client.pubsub_numsub("postbacks:bell")[0][1] and time.monotonic() < deadline:
            wakeup.send()
            wakeup.take()
        assert client.pubsub_numsub("postbacks:bell")[0][1] == 0
    listener.clear()
    assert not is_woken(listener, 0.05)
    listener.resume()
    assert is_woken(listener, 5)
