"""A worker's process that looks for what is due by itself: with a broker, without one, without beat."""

import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.utils import timezone
from structlog.testing import capture_logs

from callbacks.delivery import queue, wakeup
from callbacks.models import Delivery
from callbacks.poller import Poller
from config.stack.valkey import Valkey
from tests.factories import AffiliateFactory, OrderFactory, callbacks_for
from tests.receiver import Receiver

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("broker", "loopback")]


@pytest.fixture(autouse=True)
def forget_broker() -> Iterator[None]:
    wakeup._valkey.cache_clear()
    yield
    wakeup._valkey.cache_clear()
    wakeup._quiet_until = 0.0


@pytest.fixture
def poller() -> Iterator[Poller]:
    running = Poller(interval_s=0.05)
    yield running
    running.stop()


@pytest.fixture
def save(receiver: Receiver) -> Callable[[], None]:
    """Saves an order whose affiliate is to hear of it."""
    affiliate = AffiliateFactory()
    callbacks_for(affiliate, receiver.url("/pb"))
    return lambda: OrderFactory(affiliate=affiliate) and None


def test_poller_without_a_broker_sends_what_is_saved(
    poller: Poller, save: Callable[[], None], receiver: Receiver, settings: Any
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        settings.REDIS_URL = f"redis://127.0.0.1:{nobody.getsockname()[1]}/0"
        poller.start()
        save()
        receiver.wait_for(1)
        save()
        receiver.wait_for(2)


def test_poller_without_sweeps_sends_what_is_saved_and_what_a_dead_worker_held(
    poller: Poller, save: Callable[[], None], receiver: Receiver
) -> None:
    save()
    queue.claim(1)
    Delivery.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    save()
    poller.start()
    receiver.wait_for(2)


def test_poller_leaves_everything_to_sweeps_until_they_stay_away(
    poller: Poller, save: Callable[[], None], receiver: Receiver, broker: Valkey
) -> None:
    wakeup.note_sweep()
    save()
    poller.start()
    poller._stopping.wait(0.5)
    assert not receiver.requests
    with redis.Redis.from_url(broker.url) as client:
        client.pexpire("postbacks:heartbeat", 24_000)  # as it is six seconds later
    receiver.wait_for(1)


def test_poller_that_is_stopped_has_recorded_what_it_sent(
    poller: Poller, save: Callable[[], None], receiver: Receiver
) -> None:
    save()
    poller.start()
    receiver.wait_for(1)
    poller.stop()
    assert Delivery.objects.get().status == "succeeded"
    assert not poller._thread.is_alive()


def test_broker_that_fails_is_said_once_and_its_return_too() -> None:
    wakeup.note_success()
    with capture_logs() as lines:
        for _ in range(3):
            wakeup.note_failure(redis.ReadOnlyError("READONLY"))
        for _ in range(3):
            wakeup.note_success()
    assert [line["event"] for line in lines] == ["broker_failed", "broker_back"]
