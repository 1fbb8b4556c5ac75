"""Processes that die at the worst place there is: real ones, by SIGKILL, with database and broker left as they are.

The places are in `tests.chaos.tampered`.
"""

import signal
from collections.abc import Callable

import pytest

from callbacks.models import Attempt, Delivery
from orders.models import Order
from tests.chaos.surroundings import Surroundings, size
from tests.receiver import Receiver
from tests.waiting import wait_until

DELIVERIES = size(60, 2000)


# Where a worker dies, and whether something comes twice then.
COMES_TWICE = {
    "claimed, not sent": {False},
    "answered 2xx, not settled": {True},
    "attempt written, not committed": {True},
    "settled": {False, True},  # others of its deliveries were on the wire, or none were
}
TELLING = ["claimed, not sent", "answered 2xx, not settled"]


@pytest.mark.parametrize(
    "place", [place if place in TELLING else pytest.param(place, marks=pytest.mark.full) for place in COMES_TWICE]
)
def test_worker_that_dies_loses_nothing(around: Surroundings, report: Callable[..., None], place: str) -> None:
    around.place(DELIVERIES)
    around.worker(concurrency=1, **around.dying(place))
    wait_until(lambda: around.has_died, 30, around.log)
    around.note_deaths()  # of its only pool process; the worker makes another soon, which nobody wakes before the beat
    around.expire_leases()
    around.beat()
    around.wait_until_sent(60)
    counts = around.count()
    assert counts.deliveries == DELIVERIES
    assert bool(counts.duplicates) in COMES_TWICE[place]
    assert Attempt.objects.count() == DELIVERIES  # what was not recorded at first was recorded the second time
    report(f"crash: {place}", counts)


@pytest.mark.full
def test_sweep_that_dies_after_it_took_leases_back_loses_nothing(
    around: Surroundings, report: Callable[..., None]
) -> None:
    around.place(DELIVERIES)
    claimer = around.worker(concurrency=1, **around.dying("claimed, not sent"))
    wait_until(lambda: around.has_died, 30, around.log)
    claimer.kill()
    around.note_deaths()
    around.expire_leases()
    (around.directory / "died").unlink()
    around.worker(**around.dying("leases taken back, no wake-up sent"))
    around.beat()
    wait_until(lambda: around.has_died, 30, around.log)
    around.wait_until_sent(60)
    counts = around.count()
    assert counts.duplicates == 0
    report("crash: leases taken back, no wake-up sent", counts)


def test_shop_that_dies_between_commit_and_wakeup_loses_nothing(
    around: Surroundings, receiver: Receiver, report: Callable[..., None]
) -> None:
    codes = around.affiliates(1)
    around.beat()
    around.worker()
    shop = around.shop(**around.dying("committed, no wake-up sent"))
    shop.begin(first=around.next_number(1), count=1, codes=codes)
    assert shop.dies() == signal.SIGKILL
    assert Order.objects.count() == 1
    around.wait_until_sent(20)
    report("crash: committed, no wake-up sent", around.count())


def test_shop_that_dies_before_commit_saves_neither_order_nor_delivery(
    around: Surroundings, report: Callable[..., None]
) -> None:
    codes = around.affiliates(1)
    shop = around.shop(**around.dying("recorded, not committed"))
    shop.begin(first=1, count=1, codes=codes)
    assert shop.dies() == signal.SIGKILL
    assert not Order.objects.exists()
    assert not Delivery.objects.exists()
    around.beat()
    around.worker()
    around.shop().do(first=1, count=1, codes=codes)  # as the shop would, once it is up again
    around.wait_until_sent(20)
    counts = around.count()
    assert counts.deliveries == 1
    report("crash: recorded, not committed", counts)
