from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from callbacks.delivery import concurrency
from callbacks.delivery.concurrency import EndpointQueues


@dataclass(frozen=True)
class Item:
    setting_id: int | None
    host: str
    number: int = 0


def items(count: int, setting: int = 1, host: str = "") -> list[Item]:
    return [Item(setting, host or f"host{setting}", number) for number in range(count)]


def filled(*batches: list[Item]) -> EndpointQueues[Item]:
    queues: EndpointQueues[Item] = EndpointQueues()
    for batch in batches:
        for item in batch:
            queues.put(item)
    return queues


def answering(queues: EndpointQueues[Item], setting: int, host: str = "") -> None:
    """Let an endpoint answer until it has all of its slots."""
    for _ in range(concurrency.SLOTS_PER_ENDPOINT):
        queues.put(Item(setting, host or f"host{setting}"))
        for item in list(queues.start()):
            queues.finish(item, is_slow=False)


def test_put_unknown_endpoint_takes_a_few_and_no_more() -> None:
    queues: EndpointQueues[Item] = EndpointQueues()
    assert [queues.put(item) for item in items(6)] == [True] * 4 + [False] * 2
    assert queues.full() == [1]
    assert [item.number for item in queues.start()] == [0, 1, 2, 3]
    assert queues.full() == []


def test_put_endpoint_that_answers_takes_a_batch_on_top_of_what_waits() -> None:
    queues: EndpointQueues[Item] = EndpointQueues()
    answering(queues, 1)
    assert all(queues.put(item) for item in items(concurrency.MAX_WAITING))
    assert queues.full() == [1]
    assert queues.put(Item(1, "host1"))


def test_start_endpoint_that_answers_earns_slots_up_to_its_limit() -> None:
    queues: EndpointQueues[Item] = EndpointQueues()
    answering(queues, 1)
    for item in items(100):
        queues.put(item)
    assert len(list(queues.start())) == concurrency.SLOTS_PER_ENDPOINT
    assert queues.waiting == 100 - concurrency.SLOTS_PER_ENDPOINT


def test_start_endpoint_that_hangs_is_down_to_one_slot() -> None:
    queues: EndpointQueues[Item] = EndpointQueues()
    answering(queues, 1)
    for _ in range(10):
        for item in items(100):
            queues.put(item)
        for item in list(queues.start()):
            queues.finish(item, is_slow=True)
    assert len(list(queues.start())) == 1


def test_cancel_frees_the_slot_and_changes_no_limit() -> None:
    queues = filled(items(3))
    for item in list(queues.start()):
        queues.cancel(item)
    assert (queues.in_flight, queues.waiting) == (0, 0)
    for item in items(100):
        queues.put(item)
    assert len(list(queues.start())) == concurrency.INITIAL_SLOTS


def test_start_endpoint_leaves_slots_of_its_host_to_the_others() -> None:
    queues: EndpointQueues[Item] = EndpointQueues()
    answering(queues, 1, "same")
    answering(queues, 2, "same")
    for item in [*items(100, 1, "same"), *items(100, 2, "same")]:
        queues.put(item)
    first = list(queues.start())
    assert len(first) == concurrency.SLOTS_PER_HOST
    for item in first:
        queues.finish(item, is_slow=False)
    queues.remove_waiting()
    for item in items(100, 1, "same"):
        queues.put(item)
    hanging = list(queues.start())
    for item in items(100, 2, "same"):
        queues.put(item)
    assert len(list(queues.start())) == concurrency.SLOTS_PER_HOST - len(hanging) > 0


def test_start_a_thousand_that_never_answered_leave_half_of_the_slots() -> None:
    queues: EndpointQueues[Item] = EndpointQueues()
    answering(queues, 5000)
    for setting in range(1000):
        queues.put(Item(setting, f"host{setting}"))
    assert len(list(queues.start())) == concurrency.SLOTS // 2
    for item in items(10, 5000):
        queues.put(item)
    assert [item.setting_id for item in queues.start()] == [5000] * 10


def test_start_endpoints_take_turns() -> None:
    queues = filled(items(4, 1), items(2, 2))
    assert [item.setting_id for item in queues.start()] == [1, 2, 1, 2, 1, 1]


def test_start_deleted_setting_has_a_queue_too() -> None:
    queues = filled([Item(None, "")])
    assert [item.setting_id for item in queues.start()] == [None]
    assert queues.full() == []


def test_remove_waiting_gives_back_what_waits_and_keeps_what_is_in_flight() -> None:
    queues = filled(items(4))
    (first, *_) = queues.start()
    queues.put(Item(1, "host1", 9))
    assert [item.number for item in queues.remove_waiting()] == [9]
    assert (queues.waiting, queues.in_flight) == (0, 4)
    queues.finish(first, is_slow=False)
    assert queues.in_flight == 3


def test_remove_waiting_one_host_leaves_the_others() -> None:
    queues = filled(items(2, 1), items(2, 2))
    queues.put(Item(1, "elsewhere", 7))
    assert [(item.host, item.number) for item in queues.remove_waiting("host1")] == [("host1", 0), ("host1", 1)]
    assert [item.host for item in queues.start()] == ["elsewhere", "host2", "host2"]
    assert queues.remove_waiting("host1") == []


@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "start", "ok", "slow", "cancel"]), st.integers(0, 5), st.integers(0, 2)),
        max_size=200,
    )
)
def test_limits_hold_and_every_item_is_started_once_whatever_happens(steps: list[tuple[str, int, int]]) -> None:
    queues: EndpointQueues[Item] = EndpointQueues(slots=20)
    accepted, started_count = 0, 0
    in_flight: list[Item] = []
    for number, (step, setting, host) in enumerate(steps):
        if step == "put":
            accepted += queues.put(Item(setting, f"host{host}", number))
        elif step == "start":
            for item in queues.start():
                started_count += 1
                in_flight.append(item)
        elif in_flight and step == "cancel":
            queues.cancel(in_flight.pop(setting % len(in_flight)))
        elif in_flight:
            queues.finish(in_flight.pop(setting % len(in_flight)), is_slow=step == "slow")
        assert queues.in_flight == len(in_flight) <= 20
        assert queues.waiting == accepted - started_count
        assert max(Counter(item.host for item in in_flight).values(), default=0) <= concurrency.SLOTS_PER_HOST
        assert queues._unresponsive == sum(not queues._queues[item.setting_id].is_responsive for item in in_flight)
    while queues.waiting:  # whatever was learned, nothing waits for ever
        started = list(queues.start())
        started_count += len(started)
        in_flight += started
        assert in_flight
        queues.finish(in_flight.pop(), is_slow=True)
    assert started_count == accepted


# --- asked to wait -----------------------------------------------------------
def sent(queues: EndpointQueues[Item], clock: float) -> list[Item]:
    """What is sent at that time if every answer comes at once."""
    queues.release(clock)
    done = []
    while started := list(queues.start()):
        for item in started:
            queues.finish(item, is_slow=False, is_success=True)
        done += started
    return done


def refuse_one(queues: EndpointQueues[Item], clock: float, asked_s: float) -> float:
    """Have the next request answered with a wish to wait."""
    queues.release(clock)
    return queues.hold(next(iter(queues.start())), asked_s)


def test_hold_stops_the_endpoint_until_then_and_no_other() -> None:
    queues = filled(items(4), items(4, setting=2))
    assert refuse_one(queues, 10.0, 60.0) == 60.0
    assert {item.setting_id for item in sent(queues, 69.9)} == {2}
    assert {item.setting_id for item in sent(queues, 70.0)} == {1}


def test_hold_again_and_again_waits_twice_as_long_until_something_succeeds() -> None:
    queues, clock, waits = filled(items(4)), 0.1, []
    for _ in range(3):
        waits.append(round(refuse_one(queues, clock, 60.0)))
        clock += waits[-1]
        queues.put(Item(1, "host1"))
    assert waits == [60, 120, 240]
    assert round(refuse_one(queues, clock, 60.0)) == concurrency.LONGEST_BACKOFF_S
    queues.put(Item(1, "host1"))
    assert sent(queues, clock + 301)
    queues.put(Item(1, "host1"))
    assert refuse_one(queues, 2000.0, 3600.0) == 3600.0


def test_hold_of_several_in_flight_counts_once() -> None:
    queues = filled(items(4))
    queues.release(0.1)
    assert [queues.hold(item, 60.0) for item in list(queues.start())] == [60.0] * 4


def test_short_hold_tells_of_a_limit_that_is_kept_and_slowly_tried_anew() -> None:
    queues = filled(items(4))
    assert len(sent(queues, 0.1)) == 4
    for item in items(200):
        queues.put(item)
    refuse_one(queues, 0.2, 1.0)
    counts = [len(sent(queues, second + 0.3)) for second in range(1, 11)]
    assert counts == [4, 4, 4, 6, 6, 6, 9, 9, 9, 13]


def test_long_hold_is_given_up_once_the_database_knows_it() -> None:
    queues = filled(items(4), items(4, setting=2))
    refuse_one(queues, 0.1, 3600.0)
    assert {item.setting_id for item in queues.release_long_holds(5.0)} == {1}
    assert queues.waiting == 4
    queues.put(Item(1, "host1"))
    assert {item.setting_id for item in sent(queues, 1.0)} == {1, 2}
