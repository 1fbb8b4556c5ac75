"""How far back a look for what is due has to reach."""

from datetime import UTC, datetime, timedelta

import pytest

from callbacks.delivery.scan_window import AT_LEAST_EVERY_S, COMMITTED_LATE, SHARE, ScanWindow

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SLOW = frozenset({7, "slow.example"})
COSTLY_S = 0.01
WINDOW_S = COSTLY_S / SHARE


def looked_through(at: float = 100.0, took_s: float = COSTLY_S) -> ScanWindow:
    """One look that began at the beginning has left `SLOW` alone."""
    horizon = ScanWindow()
    assert horizon.since(SLOW, at) is None
    assert horizon.saw(None, NOON, SLOW, took_s, at)
    return horizon


def test_next_look_begins_where_the_last_one_ended_with_room_for_late_commits() -> None:
    assert looked_through().since(SLOW, 100.1) == NOON - COMMITTED_LATE


def test_look_that_leaves_more_alone_may_begin_there_too() -> None:
    assert looked_through().since(SLOW | {8}, 100.1) == NOON - COMMITTED_LATE


@pytest.mark.parametrize("still_alone", [frozenset(), frozenset({7}), frozenset({"slow.example"})])
def test_look_that_leaves_less_alone_begins_at_the_beginning(still_alone: frozenset[int | str]) -> None:
    assert looked_through().since(still_alone, 100.1) is None


def test_looks_from_the_beginning_take_their_share_of_the_time() -> None:
    horizon = looked_through()
    assert horizon.since(SLOW, 100.0 + WINDOW_S - 0.01) is not None
    assert horizon.since(SLOW, 100.0 + WINDOW_S) is None


def test_look_from_the_beginning_that_took_very_long_is_made_again_all_the_same() -> None:
    horizon = looked_through(took_s=3600.0)
    assert horizon.since(SLOW, 100.0 + AT_LEAST_EVERY_S - 0.01) is not None
    assert horizon.since(SLOW, 100.0 + AT_LEAST_EVERY_S) is None


def test_look_from_there_moves_on_but_does_not_put_off_the_beginning() -> None:
    horizon = looked_through()
    since = horizon.since(SLOW, 100.1)
    later = NOON + timedelta(seconds=2)
    assert horizon.saw(since, later, SLOW, COSTLY_S, 100.1)
    assert horizon.since(SLOW, 100.2) == later - COMMITTED_LATE
    assert horizon.since(SLOW, 100.0 + WINDOW_S) is None


def test_host_set_free_while_looking_makes_the_next_look_begin_at_the_beginning() -> None:
    horizon = looked_through()
    assert not horizon.saw(horizon.since(SLOW, 100.1), NOON, frozenset({7}), COSTLY_S, 100.1)
    assert horizon.since(frozenset({7}), 100.2) is None


def test_forgotten_horizon_begins_at_the_beginning() -> None:
    horizon = looked_through()
    horizon.forget()
    assert horizon.since(SLOW, 100.1) is None
