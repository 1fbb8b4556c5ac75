"""From which due time on the queue is scanned.

Deliveries that are excluded from a claim (their endpoint is busy, their host is held back) were due before all others,
and passing over thousands of them for each new order would delay everything. So after a scan that found all there was,
the next ones begin where it ended, as long as everything that was excluded then is still excluded. Now and then one is
a full scan. No database, no clock.
"""

from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

# What other processes make claimable (a callback is resumed, the first attempt lets an *updated* go) is found by the
# next full scan. Full scans take about this share of the time, and there is at least one in each interval.
FULL_SCAN_SHARE, FULL_SCAN_INTERVAL_S = 0.02, 5.0
# An order's transaction may commit so long after its deliveries became due; a later one is found by the next full scan.
LATE_COMMIT = timedelta(seconds=1)

Excluded = AbstractSet[int | str]  # endpoints by id and hosts by name


class ScanWindow:
    def __init__(self) -> None:
        self._scanned_until: datetime | None = None
        self._excluded: Excluded = frozenset()
        self._full_scan_at = 0.0

    def start(self, excluded: Excluded, clock: float) -> datetime | None:
        """The due time from which to scan without `excluded`; None for a full scan. `clock` is in seconds."""
        return self._scanned_until if clock < self._full_scan_at and self._excluded <= excluded else None

    def record(self, start: datetime | None, now: datetime, excluded: Excluded, took_s: float, clock: float) -> bool:
        """A scan from `start`, made at `now`, found less than it could take.

        False if it has to be repeated as a full scan: something due before `start` is no longer excluded.
        """
        if start is None:
            self._full_scan_at = clock + min(took_s / FULL_SCAN_SHARE, FULL_SCAN_INTERVAL_S)
        elif not self._excluded <= excluded:
            self.reset()
            return False
        self._scanned_until, self._excluded = now - LATE_COMMIT, excluded
        return True

    def reset(self) -> None:
        """Make the next scan a full one."""
        self._scanned_until = None
