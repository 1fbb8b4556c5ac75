from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from callbacks.delivery import concurrency
from callbacks.delivery.concurrency import EndpointQueues


@dataclass(frozen=True)
class Job:
    setting_id: int | None
    host: str
    number: int = 0


def jobs(count: int, setting: int = 1, host: str = "") -> list[Job]:
    return [Job(setting, host or f"host{setting}", number) for number in range(count)]


def filled(*batches: list[Job]) -> EndpointQueues[Job]:
    made: EndpointQueues[Job] = EndpointQueues()
    for batch in batches:
        for job in batch:
            made.offer(job)
    return made


def trusted(made: EndpointQueues[Job], setting: int, host: str = "") -> None:
    """Let an endpoint answer until it has all of its places."""
    for _ in range(concurrency.PLACES_PER_ENDPOINT):
        made.offer(Job(setting, host or f"host{setting}"))
        for job in list(made.start()):
            made.finish(job, is_slow=False)


def test_offer_unknown_endpoint_takes_a_few_and_no_more() -> None:
    made: EndpointQueues[Job] = EndpointQueues()
    assert [made.offer(job) for job in jobs(6)] == [True] * 4 + [False] * 2
    assert made.full() == [1]
    assert [job.number for job in made.start()] == [0, 1, 2, 3]
    assert made.full() == []


def test_offer_trusted_endpoint_takes_a_batch_on_top_of_what_waits() -> None:
    made: EndpointQueues[Job] = EndpointQueues()
    trusted(made, 1)
    assert all(made.offer(job) for job in jobs(concurrency.WAITING))
    assert made.full() == [1]
    assert made.offer(Job(1, "host1"))


def test_start_endpoint_that_answers_earns_places_up_to_its_limit() -> None:
    made: EndpointQueues[Job] = EndpointQueues()
    trusted(made, 1)
    for job in jobs(100):
        made.offer(job)
    assert len(list(made.start())) == concurrency.PLACES_PER_ENDPOINT
    assert made.waiting == 100 - concurrency.PLACES_PER_ENDPOINT


def test_start_endpoint_that_hangs_is_down_to_one_place() -> None:
    made: EndpointQueues[Job] = EndpointQueues()
    trusted(made, 1)
    for _ in range(10):
        for job in jobs(100):
            made.offer(job)
        for job in list(made.start()):
            made.finish(job, is_slow=True)
    assert len(list(made.start())) == 1


def test_cancel_frees_the_place_and_teaches_nothing() -> None:
    made = filled(jobs(3))
    for job in list(made.start()):
        made.cancel(job)
    assert (made.in_flight, made.waiting) == (0, 0)
    for job in jobs(100):
        made.offer(job)
    assert len(list(made.start())) == concurrency.FIRST_PLACES


def test_start_endpoint_leaves_places_of_its_host_to_the_others() -> None:
    made: EndpointQueues[Job] = EndpointQueues()
    trusted(made, 1, "same")
    trusted(made, 2, "same")
    for job in [*jobs(100, 1, "same"), *jobs(100, 2, "same")]:
        made.offer(job)
    first = list(made.start())
    assert len(first) == concurrency.PLACES_PER_HOST
    for job in first:
        made.finish(job, is_slow=False)
    made.take_out()
    for job in [*jobs(100, 1, "same")]:
        made.offer(job)
    hanging = list(made.start())
    for job in jobs(100, 2, "same"):
        made.offer(job)
    assert len(list(made.start())) == concurrency.PLACES_PER_HOST - len(hanging) > 0


def test_start_a_thousand_that_never_answered_leave_half_of_the_places() -> None:
    made: EndpointQueues[Job] = EndpointQueues()
    trusted(made, 5000)
    for setting in range(1000):
        made.offer(Job(setting, f"host{setting}"))
    assert len(list(made.start())) == concurrency.PLACES // 2
    for job in jobs(10, 5000):
        made.offer(job)
    assert [job.setting_id for job in made.start()] == [5000] * 10


def test_start_endpoints_take_turns() -> None:
    made = filled(jobs(4, 1), jobs(2, 2))
    assert [job.setting_id for job in made.start()] == [1, 2, 1, 2, 1, 1]


def test_start_deleted_setting_has_a_lane_too() -> None:
    made = filled([Job(None, "")])
    assert [job.setting_id for job in made.start()] == [None]
    assert made.full() == []


def test_take_out_gives_back_what_waits_and_keeps_what_is_in_flight() -> None:
    made = filled(jobs(4))
    (first, *_) = made.start()
    made.offer(Job(1, "host1", 9))
    assert [job.number for job in made.take_out()] == [9]
    assert (made.waiting, made.in_flight) == (0, 4)
    made.finish(first, is_slow=False)
    assert made.in_flight == 3


def test_take_out_one_host_leaves_the_others() -> None:
    made = filled(jobs(2, 1), jobs(2, 2))
    made.offer(Job(1, "elsewhere", 7))
    assert [(job.host, job.number) for job in made.take_out("host1")] == [("host1", 0), ("host1", 1)]
    assert [job.host for job in made.start()] == ["elsewhere", "host2", "host2"]
    assert made.take_out("host1") == []


@given(
    st.lists(
        st.tuples(st.sampled_from(["offer", "start", "ok", "slow", "cancel"]), st.integers(0, 5), st.integers(0, 2)),
        max_size=200,
    )
)
def test_limits_hold_and_every_job_is_given_out_once_whatever_happens(steps: list[tuple[str, int, int]]) -> None:
    made: EndpointQueues[Job] = EndpointQueues(places=20)
    accepted, given_out = 0, 0
    flying: list[Job] = []
    for number, (step, setting, host) in enumerate(steps):
        if step == "offer":
            accepted += made.offer(Job(setting, f"host{host}", number))
        elif step == "start":
            for job in made.start():
                given_out += 1
                flying.append(job)
        elif flying and step == "cancel":
            made.cancel(flying.pop(setting % len(flying)))
        elif flying:
            made.finish(flying.pop(setting % len(flying)), is_slow=step == "slow")
        assert made.in_flight == len(flying) <= 20
        assert made.waiting == accepted - given_out
        assert max(Counter(job.host for job in flying).values(), default=0) <= concurrency.PLACES_PER_HOST
        assert made._untrusted == sum(not made._lanes[job.setting_id].is_trusted for job in flying)
    while made.waiting:  # whatever was learned, nothing waits for ever
        started = list(made.start())
        given_out += len(started)
        flying += started
        assert flying
        made.finish(flying.pop(), is_slow=True)
    assert given_out == accepted
