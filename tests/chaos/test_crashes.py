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


@pytest.mark.parametrize(
    ("place", "comes_twice"),
    [
        ("claimed, not sent", {False}),
        ("answered 2xx, not settled", {True}),
        pytest.param("attempt written, not committed", {True}, marks=pytest.mark.full),
        pytest.param("settled", {False, True}, marks=pytest.mark.full),  # others were on the wire, or none
    ],
)
def test_worker_that_dies_loses_nothing(
    around: Surroundings, report: Callable[..., None], place: str, comes_twice: set[bool]
) -> None:
    around.place(DELIVERIES)
    worker = around.worker(concurrency=1, **around.dying(place))
    wait_until(lambda: around.has_died, 30, around.log)
    # Its pool process alone has died, and the worker makes another; nobody has claimed what it held.
    wait_until(lambda: len(worker.pool()) == 1, 10)
    around.note_deaths()
    around.expire_leases()
    around.beat()
    around.wait_until_sent(60)
    tally = around.tally()
    assert tally.deliveries == DELIVERIES
    assert bool(tally.duplicates) in comes_twice
    assert Attempt.objects.count() == DELIVERIES  # what was not recorded at first was recorded the second time
    report(f"crash: {place}", tally)


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
    around.worker(**around.dying("leases taken back, bell not rung"))
    around.beat()
    wait_until(lambda: around.has_died, 30, around.log)
    around.wait_until_sent(60)
    tally = around.tally()
    assert tally.duplicates == 0
    report("crash: leases taken back, bell not rung", tally)


def test_shop_that_dies_between_commit_and_bell_loses_nothing(
    around: Surroundings, receiver: Receiver, report: Callable[..., None]
) -> None:
    codes = around.affiliates(1)
    around.beat()
    around.worker()
    shop = around.shop(**around.dying("committed, bell not rung"))
    shop.begin(first=around.next_number(1), count=1, codes=codes)
    assert shop.dies() == signal.SIGKILL
    assert Order.objects.count() == 1
    around.wait_until_sent(20)
    report("crash: committed, bell not rung", around.tally())


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
    tally = around.tally()
    assert tally.deliveries == 1
    report("crash: recorded, not committed", tally)
