"""Whether the cost of a delivery grows with history: the drain with a million old deliveries, and without."""

from collections.abc import Iterator

from tests.bench.drain import Drained, drained
from tests.bench.figures import Figure, at_most
from tests.bench.ground import Ground
from tests.bench.installation import Installation

SLOWER = 20.0  # percent


def grown(ground: Ground, database: str) -> tuple[Installation, Drained]:
    """An installation with a history, made once in a run, and how fast it was before it had one."""
    if database not in ground.grown:
        ours = ground.kept(database)
        with ours.worker(1) as worker:
            before = drained(ours, worker, ground.sizes.waiting, ground.sizes.repeats)
        ours.ask("grow", amount=ground.sizes.old)
        ground.grown[database] = ours, before
    return ground.grown[database]


def measure(ground: Ground) -> Iterator[Figure]:
    for database in ("postgresql", "sqlite"):
        ours, before = grown(ground, database)
        with ours.worker(1) as worker:
            after = drained(ours, worker, ground.sizes.waiting, ground.sizes.repeats)
        slower = (before.rate / after.rate - 1) * 100
        what = f"{database}: longer with {ground.sizes.old:,} old deliveries"
        note = f"{before.rate:,.0f}/s before, {after.rate:,.0f}/s after"
        yield Figure("history", what, slower, "%", "less", at_most(SLOWER), note=note)
