"""Whether the cost of a delivery grows with history: the drain with a million old deliveries, and without."""

from collections.abc import Iterator

from tests.bench.drain import drained
from tests.bench.figures import Figure
from tests.bench.resources import Resources

SLOWER = 20.0  # percent


def measure(resources: Resources) -> Iterator[Figure]:
    sizes = resources.sizes
    for database in ("postgresql", "sqlite"):
        with resources.installation(database) as ours, ours.worker(1) as worker:
            before = drained(ours, worker, sizes.waiting, sizes.repeats)
            ours.ask("grow", amount=sizes.old)
            after = drained(ours, worker, sizes.waiting, sizes.repeats)
        slower = (before.rate / after.rate - 1) * 100
        what = f"{database}: longer with {sizes.old:,} old deliveries"
        note = f"{before.rate:,.0f}/s before, {after.rate:,.0f}/s after"
        yield Figure("history", what, slower, "%", "less", SLOWER, note=note)
