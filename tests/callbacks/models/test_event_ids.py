"""The ids of events."""

import time
import uuid

from callbacks.models.delivery import new_event_id


def test_new_is_a_uuid_of_version_7_that_begins_with_the_time() -> None:
    before = time.time_ns() // 1_000_000
    made = new_event_id()
    after = time.time_ns() // 1_000_000
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= after


def test_new_ones_differ_in_all_bits_that_are_neither_time_nor_version() -> None:
    made = [new_event_id().int for _ in range(1000)]
    assert len(set(made)) == 1000
    either = both = made[0]
    for number in made:
        either, both = either | number, both & number
    random = (either & ~both) & ((1 << 80) - 1)
    assert random.bit_count() == 74


def test_new_ones_stand_in_the_order_of_their_making() -> None:
    first = new_event_id()
    time.sleep(0.002)  # the next millisecond
    assert first < new_event_id()
