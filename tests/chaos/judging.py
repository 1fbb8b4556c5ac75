"""How a fault is judged while a shop offers orders by HTTP: by what the receiver got of what was accepted.

A fault strikes in a window. A window that nobody noticed says nothing: it is discarded, and named in the table.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.chaos.offering import Offering
from tests.chaos.surroundings import Surroundings, size

if TYPE_CHECKING:
    from tests.chaos.counting import Counts

MOST_WINDOWS = 3
EVENTS = size(10, 200)  # accepted before a fault, and after it
OUT_AFTER_S = 60.0

# Strikes, ends, and gives back how often it was noticed elsewhere than by those who offer.
Strike = Callable[[Surroundings, Offering], int]


def judge(around: Surroundings, offering: Offering, report: Callable[..., None], name: str, strike: Strike) -> "Counts":
    """Have it strike while `offering` goes on, which it ends; assert what holds after every fault."""
    discarded: list[str] = []
    noticed = 0
    while not noticed and len(discarded) < MOST_WINDOWS:
        before = offering.offered.unhappy
        elsewhere = strike(around, offering)
        offering.wait_for_more(EVENTS, 90)
        noticed = elsewhere + offering.offered.unhappy - before
        if not noticed:
            discarded.append(str(len(discarded) + 1))
    offering.end()
    offering.offer_again()
    took = around.wait_until_sent(OUT_AFTER_S)
    counts = around.count(offered=offering.offered)
    said = [offering.offered.bite, f"{elsewhere} noticed elsewhere" if elsewhere else ""]
    windows = f"discarded windows: {', '.join(discarded) or 'none'}"
    remark = f"all out {took:.1f} s after; longest answer {offering.offered.longest_s:.1f} s; {windows}"
    report(name, counts, remark, ", ".join(filter(None, said)))
    assert noticed, "The fault was noticed by nobody, so this has shown nothing."
    return counts
