"""From which due time on the queue is scanned."""

from datetime import UTC, datetime, timedelta

import pytest

from callbacks.delivery.scan_window import FULL_SCAN_INTERVAL_S, FULL_SCAN_SHARE, LATE_COMMIT, ScanWindow

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EXCLUDED = frozenset({7, "slow.example"})
COSTLY_S = 0.01
WINDOW_S = COSTLY_S / FULL_SCAN_SHARE


def scanned(at: float = 100.0, took_s: float = COSTLY_S) -> ScanWindow:
    """After one full scan without `EXCLUDED`."""
    window = ScanWindow()
    assert window.start(EXCLUDED, at) is None
    assert window.record(None, NOON, EXCLUDED, took_s, at)
    return window


def test_start_after_a_full_scan_is_its_end_less_a_margin_for_late_commits() -> None:
    assert scanned().start(EXCLUDED, 100.1) == NOON - LATE_COMMIT


def test_start_with_more_excluded_is_the_same() -> None:
    assert scanned().start(EXCLUDED | {8}, 100.1) == NOON - LATE_COMMIT


@pytest.mark.parametrize("still_excluded", [frozenset(), frozenset({7}), frozenset({"slow.example"})])
def test_start_with_less_excluded_is_a_full_scan(still_excluded: frozenset[int | str]) -> None:
    assert scanned().start(still_excluded, 100.1) is None


def test_full_scans_take_their_share_of_the_time() -> None:
    window = scanned()
    assert window.start(EXCLUDED, 100.0 + WINDOW_S - 0.01) is not None
    assert window.start(EXCLUDED, 100.0 + WINDOW_S) is None


def test_full_scan_that_took_very_long_is_repeated_after_the_interval() -> None:
    window = scanned(took_s=3600.0)
    assert window.start(EXCLUDED, 100.0 + FULL_SCAN_INTERVAL_S - 0.01) is not None
    assert window.start(EXCLUDED, 100.0 + FULL_SCAN_INTERVAL_S) is None


def test_partial_scan_moves_the_start_but_not_the_next_full_scan() -> None:
    window = scanned()
    start = window.start(EXCLUDED, 100.1)
    later = NOON + timedelta(seconds=2)
    assert window.record(start, later, EXCLUDED, COSTLY_S, 100.1)
    assert window.start(EXCLUDED, 100.2) == later - LATE_COMMIT
    assert window.start(EXCLUDED, 100.0 + WINDOW_S) is None


def test_host_no_longer_excluded_after_a_partial_scan_makes_the_next_one_full() -> None:
    window = scanned()
    assert not window.record(window.start(EXCLUDED, 100.1), NOON, frozenset({7}), COSTLY_S, 100.1)
    assert window.start(frozenset({7}), 100.2) is None


def test_reset_makes_the_next_scan_full() -> None:
    window = scanned()
    window.reset()
    assert window.start(EXCLUDED, 100.1) is None
