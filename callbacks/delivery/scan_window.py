"""How far back a look for what is due has to reach.

What waits for an endpoint that hangs, a host that is held back or a callback that is paused stands before everything
else in the order of what is due, and passing over thousands of such rows for each new order would delay all others. So
a look that has seen everything says up to when; the next ones begin there, as long as what was left alone then is still
left alone, and only now and then one begins at the beginning. Pure: no database, no clock.
"""

from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

# What others set free (a callback is resumed, a first attempt lets an *updated* go) is found by the looks that begin at
# the beginning: so often that they take about this share of the time, and at least so often.
SHARE, AT_LEAST_EVERY_S = 0.02, 5.0
# An order's transaction may end so long after its deliveries were dated; one that takes longer is found a little later.
COMMITTED_LATE = timedelta(seconds=1)

Alone = AbstractSet[int | str]  # endpoints by id and hosts by name


class ScanWindow:
    def __init__(self) -> None:
        self._seen_until: datetime | None = None
        self._left_alone: Alone = frozenset()
        self._all_again_at = 0.0

    def since(self, left_alone: Alone, clock: float) -> datetime | None:
        """Where a look may begin that leaves these alone; None is the beginning. `clock` is in seconds."""
        return self._seen_until if clock < self._all_again_at and self._left_alone <= left_alone else None

    def saw(self, since: datetime | None, now: datetime, left_alone: Alone, took_s: float, clock: float) -> bool:
        """A look from `since` found less than it could take. False if it left out what is free by now."""
        if since is None:
            self._all_again_at = clock + min(took_s / SHARE, AT_LEAST_EVERY_S)
        elif not self._left_alone <= left_alone:
            self.forget()
            return False
        self._seen_until, self._left_alone = now - COMMITTED_LATE, left_alone
        return True

    def forget(self) -> None:
        """Begin at the beginning."""
        self._seen_until = None
