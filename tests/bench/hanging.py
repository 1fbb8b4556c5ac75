"""Whether one endpoint that hangs delays the others: their latency with it and without it."""

from collections.abc import Iterator

from tests.bench.figures import Figure, percentile
from tests.bench.latency import latencies
from tests.bench.receivers import Arrivals
from tests.bench.resources import Resources

ENDPOINTS = 50
RATE = 100  # orders a second, of all the others together
SLOWER = 20.0  # percent


def measure(resources: Resources) -> Iterator[Figure]:
    hosts = [f"127.0.0.{2 + n}" for n in range(ENDPOINTS)]  # each a host of its own, as trackers are
    with Arrivals(*hosts) as arrivals:
        hanging = arrivals.url("/hang")
        urls = [hanging, *(arrivals.url(f"/{n}", host=n) for n in range(1, ENDPOINTS))]
        with resources.installation("postgresql", urls) as ours, ours.worker(2, beat=True, warm=0):
            pace = {"rate": RATE, "seconds": resources.sizes.pace_s, "but_affiliate": 0}
            ours.ask("save_at_pace", **pace | {"seconds": 2.0})
            arrivals.take()
            samples = []
            for _ in range(2):
                committed = ours.ask("save_at_pace", **pace)
                samples.append(latencies(committed, arrivals.take_all(set(committed))))
                if len(samples) == 1:
                    ours.ask("record", amount=resources.sizes.hanging, affiliate=0)
    before, after = (percentile(sample, 95) for sample in samples)
    note = f"{before:.1f} ms without, {after:.1f} ms with {resources.sizes.hanging:,} waiting for the one that hangs"
    slower = (after / before - 1) * 100
    yield from [Figure("hanging", f"longer p95 of the other {ENDPOINTS - 1}", slower, "%", "less", SLOWER, note=note)]
