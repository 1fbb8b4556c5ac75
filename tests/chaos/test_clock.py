"""A clock that is an hour wrong for a while, for the shop and the workers alike."""

from collections.abc import Callable
from datetime import timedelta

from django.utils import timezone

from callbacks.delivery import queue
from callbacks.models import Attempt, Delivery
from tests.chaos.surroundings import Surroundings, size
from tests.receiver import Answer, Receiver
from tests.waiting import wait_until

DELIVERIES = size(400, 4000)
QUICK = 80
HOUR = 3600.0


def _new_leases() -> list[float]:
    """When the leases end that were given out since the clock was set forward, in seconds since 1970."""
    ends = Delivery.objects.filter(leased_until__gt=timezone.now() + timedelta(seconds=HOUR))
    return [until.timestamp() for until in ends.values_list("leased_until", flat=True)]


def test_clock_set_an_hour_forward_sends_nothing_twice_but_what_was_on_the_wire(
    around: Surroundings, receiver: Receiver, report: Callable[..., None]
) -> None:
    """All leases seem to have ended at once, as they do for a worker that an endpoint keeps waiting for so long. What
    it holds and has not sent is somebody else's now.
    """
    receiver.answer("*", *[Answer()] * QUICK, Answer(delay_s=4))  # slow only once much is claimed
    around.place(DELIVERIES, around.affiliates(2), changed_each=0)
    around.beat()
    around.worker(**around.wrong_clock)
    receiver.wait_for(QUICK + 20, 60)
    unrecorded = around.claimed("pending", "sending")
    around.set_clock(HOUR)
    wait_until(_new_leases, 30, around.log)
    around.note_fault(unrecorded, min(_new_leases()) - queue.LEASE.total_seconds() - HOUR)
    receiver.answer("*", Answer())
    around.wait_until_sent(60)
    counts = around.count()
    assert counts.deliveries == DELIVERIES
    assert counts.in_flight
    report("clock an hour forward", counts)


def test_clock_set_an_hour_back_and_right_again_loses_nothing(
    around: Surroundings, receiver: Receiver, report: Callable[..., None]
) -> None:
    receiver.answer("*", Answer(delay_s=0.3))
    around.place(120, around.affiliates(2))
    around.beat()
    around.worker(**around.wrong_clock)
    receiver.wait_for(10, 30)
    around.set_clock(-HOUR)
    count = len(receiver.requests)
    codes = around.affiliates(1)
    shop = around.shop(**around.wrong_clock)
    shop.do(first=around.next_number(5), count=5, codes=codes)  # goes out at once, whatever the clock says
    wait_until(lambda: sum(request.path == f"/{codes[0]}" for request in receiver.requests) == 5, 30, around.log)
    assert len(receiver.requests) > count
    wait_until(lambda: not around.claimed(), 30, around.log)  # the right clock would end a wrong one's leases at once
    around.set_clock(0)
    around.wait_until_sent(60)
    counts = around.count()
    assert counts.duplicates == 0
    assert Attempt.objects.count() == counts.deliveries
    report("clock an hour back, and right again", counts)
