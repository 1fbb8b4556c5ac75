"""What the other tests do not wait for: the minute after which a dead worker's deliveries are somebody else's."""

import time
from collections.abc import Callable

from callbacks import outbox
from tests.chaos.surroundings import Surroundings
from tests.receiver import Answer, Receiver


def test_worker_killed_has_its_deliveries_sent_by_another_after_a_minute(
    around: Surroundings, receiver: Receiver, report: Callable[..., None]
) -> None:
    receiver.answer("*", Answer(delay_s=0.2))
    around.place(2000)
    around.beat()
    worker = around.worker()
    receiver.wait_for(200, 30)
    worker.kill()
    began = time.monotonic()
    fault = around.note_fault()
    assert fault.event_ids
    around.worker()
    around.wait_until_sent(120)
    took = time.monotonic() - began
    tally = around.tally()
    assert took < outbox.LEASE.total_seconds() + 10
    report("SIGKILL of the worker, really waiting for its leases", tally, f"all out after {took:.0f} s")
