"""Whether pruning delays deliveries: their p95 while a million old rows go, and before. And how many dead rows stay."""

import subprocess
import time
from collections.abc import Iterator

from tests.bench.figures import Figure, percentile
from tests.bench.installation import Installation
from tests.bench.latency import latencies
from tests.bench.processes import ROOT
from tests.bench.resources import ENDPOINTS, Resources

RATE = 50  # orders a second
SLOWER = 20.0  # percent
DEAD = 10.0  # percent
AGE_DAYS = 500
SEED = 1_000  # deliveries that the old ones are copies of


def measure(resources: Resources) -> Iterator[Figure]:
    sizes = resources.sizes
    urls = [resources.arrivals.url(f"/{n}") for n in range(ENDPOINTS)]
    for database in ("postgresql", "sqlite"):
        with resources.installation(database, urls) as ours, ours.worker(2):
            ours.send(SEED)
            ours.ask("age", days=AGE_DAYS)
            ours.ask("grow", amount=sizes.old // 2, with_orders=True)  # each has an attempt
            resources.arrivals.take()
            before = _sample(ours, resources)
            began = time.monotonic()
            command = [ours.python, "manage.py", "prune"]
            pruning = subprocess.Popen(command, cwd=ROOT, env=ours.env, stdout=subprocess.DEVNULL)
            try:
                during = _sample(ours, resources, pruning)
                took = time.monotonic() - began
            finally:
                pruning.terminate()  # it has ended, unless the measurement broke off
                pruning.wait()
            left = ours.ask("old_rows", days=AGE_DAYS)
            if pruning.returncode or left:
                raise RuntimeError(f"Pruning ended with {pruning.returncode}, and {left} rows are left.")
        slower = (percentile(during, 95) / percentile(before, 95) - 1) * 100
        note = f"{percentile(before, 95):.1f} ms before, {percentile(during, 95):.1f} ms during"
        what = f"{database}: longer p95 while {sizes.old:,} old rows go"
        yield Figure("prune", what, slower, "%", "less", SLOWER, note=note)
        yield Figure("prune", f"{database}: rows pruned a second", sizes.old / took, "/s")
    with resources.installation("postgresql", urls) as ours, ours.worker(2):
        ours.send(SEED)
        ours.ask("grow", amount=sizes.old // 10)
        share = ours.ask("update_often", amount=sizes.old)
    yield Figure(
        "prune", f"dead rows after {sizes.old:,} updates", share["after"], "%", "less", DEAD, note=share["note"]
    )


def _sample(ours: Installation, resources: Resources, beside: "subprocess.Popen[bytes] | None" = None) -> list[float]:
    """Latencies at that pace, for a while; or as long as a process runs, if that is longer."""
    found: list[float] = []
    while not found or (beside is not None and beside.poll() is None):
        committed = ours.ask("save_at_pace", rate=RATE, seconds=resources.sizes.pace_s)
        found += latencies(committed, resources.arrivals.take_all(set(committed)))
    return found
