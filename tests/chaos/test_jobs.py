"""Resends and backfills that are interrupted: nothing is left out, nothing goes out a second time, the rate is kept."""

import time
from collections import Counter
from collections.abc import Callable

import pytest

from affiliates.models import Affiliate
from callbacks.jobs import runner
from callbacks.models import Attempt, Delivery, Job
from orders.models import Order
from tests.callbacks.jobs.steps import to_backfill, to_resend
from tests.chaos.surroundings import QUERY, Surroundings, size
from tests.factories import CallbackSettingFactory
from tests.receiver import Answer, Receiver
from tests.waiting import wait_until

ROWS = size(400, 3000)
RATE = size(100, 500)
KILLS = size(2, 10)


def a_resend(around: Surroundings, rate: int = RATE, rows: int = ROWS) -> Job:
    """Of deliveries that were given up before they were ever sent, so that each must come once."""
    around.place(rows, changed_each=0)
    Delivery.objects.update(status="failed", next_attempt_at=None)
    return to_resend(rate, status__exact="failed")


def a_backfill(around: Surroundings, rate: int = RATE, rows: int = ROWS) -> Job:
    code = around.affiliate_without_callbacks()
    affiliate = Affiliate.objects.get(code=code)
    Order.objects.bulk_create(
        Order(number=f"#{number}", affiliate=affiliate, amount=58, currency="USD") for number in range(rows)
    )
    setting = CallbackSettingFactory(affiliate=affiliate, url=around.receiver.url(f"/{code}") + QUERY)
    return to_backfill(setting, rate)


JOBS = {"resend": a_resend, "backfill": a_backfill}


def wait_until_over(around: Surroundings, job: Job, within_s: float = 90) -> Job:
    def is_over() -> bool:
        job.refresh_from_db()
        return not job.is_active

    wait_until(is_over, within_s, lambda: f"{job.state} at {job.done} of {job.total}; {around.log()}")
    around.wait_until_sent(60)
    return job


def assert_each_once(job: Job, rows: int) -> None:
    assert (job.state, job.done, job.refused) == ("finished", rows, {})
    of_order = Counter(Delivery.objects.values_list("order_id", flat=True))
    assert set(of_order.values()) == {1}
    assert len(of_order) == rows


@pytest.mark.parametrize("kind", JOBS)
def test_job_goes_on_when_its_worker_is_killed_again_and_again(
    around: Surroundings, receiver: Receiver, report: Callable[..., None], kind: str
) -> None:
    job = JOBS[kind](around)
    around.beat()
    worker = around.worker()
    for kill in range(KILLS):
        receiver.wait_for((kill + 1) * ROWS // (KILLS + 2), 60)
        worker.kill()
        around.note_deaths()
        around.expire_leases()
        worker = around.worker()
    assert_each_once(wait_until_over(around, job), ROWS)
    counts = around.count()
    assert counts.deliveries == ROWS
    report(f"SIGKILL of the worker {KILLS} times during a {kind}", counts)


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("resend", "resent, step not committed"),
        ("backfill", "backfilled, step not committed"),
        pytest.param("resend", "step committed", marks=pytest.mark.full),
    ],
)
def test_worker_that_dies_within_a_step_has_done_all_of_it_or_nothing(
    around: Surroundings, report: Callable[..., None], kind: str, place: str
) -> None:
    rows = size(120, 1000)
    job = JOBS[kind](around, rows=rows)
    around.beat()
    dying = around.worker(concurrency=1, **around.dying(place))
    wait_until(lambda: around.has_died, 30, around.log)
    dying.kill()
    around.note_deaths()
    around.expire_leases()
    job.refresh_from_db()
    written = Delivery.objects.exclude(status="failed").count()
    assert job.done == written
    assert bool(written) == (place == "step committed")
    around.worker()
    assert_each_once(wait_until_over(around, job), rows)
    report(f"crash: {place}", around.count())


def test_job_goes_on_after_everything_was_away(
    around: Surroundings, receiver: Receiver, report: Callable[..., None]
) -> None:
    """Broker, beat and worker: as after a restart of the machine."""
    job = a_resend(around)
    beat, worker = around.beat(), around.worker()
    receiver.wait_for(ROWS // 4, 60)
    worker.kill()
    beat.kill()
    around.note_deaths()
    around.expire_leases()
    with around.broker.gone():
        done = Job.objects.get().done
        assert 0 < done < ROWS
    around.beat()
    around.worker()
    assert_each_once(wait_until_over(around, job), ROWS)
    report("everything away during a resend", around.count())


def test_rate_is_kept_whoever_drives_it(around: Surroundings, receiver: Receiver, report: Callable[..., None]) -> None:
    """Two beats and two workers do not make it twice as fast, and it is not slow either."""
    rate, rows = 50, size(300, 1500)
    job = a_resend(around, rate, rows)
    around.beat()
    around.beat()
    around.worker()
    around.worker()
    began = time.monotonic()
    assert_each_once(wait_until_over(around, job), rows)
    took = time.monotonic() - began
    at = sorted(request.at for request in receiver.requests)
    assert len(at) == rows
    # Between any two of them: what the rate allows in that time, what may be made up for, and how far apart two
    # requests may come that went out together.
    allowed = runner.BURST.total_seconds() + 0.5
    for first in range(0, rows, 10):
        for last in range(first, rows, 10):
            assert last - first <= rate * (at[last] - at[first] + allowed)
    assert at[-1] - at[0] >= (rows - rate) / rate - 1
    assert took <= rows / rate + 20
    report(f"resend of {rows} at {rate}/s, two beats", around.count(), f"{(at[-1] - at[0]):.1f} s")


def test_job_goes_on_while_all_dispatchers_are_busy(around: Surroundings, receiver: Receiver) -> None:
    """As long as there is always something to send, no task of the beat begins."""
    job = a_resend(around, rows=size(100, 500))
    busy, other = around.affiliates(2)
    for code in (busy, other):
        receiver.answer(f"/{code}", Answer(delay_s=0.3))
    around.beat()
    around.worker(concurrency=1)
    shop = around.shop()
    shop.begin(first=around.next_number(10_000), count=10_000, codes=[busy, other], pause_ms=5)
    wait_until(lambda: Attempt.objects.filter(delivery__affiliate__code=busy).exists(), 30, around.log)
    wait_until(lambda: not Job.objects.get(pk=job.pk).is_active, 60, around.log)
    shop.process.kill()
    around.wait_until_sent(60)
    around.count()
