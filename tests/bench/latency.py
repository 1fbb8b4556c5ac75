"""How long from an order's commit until the tracker has the request, quiet and under load."""

from collections.abc import Iterator, Mapping

from tests.bench.figures import Figure, percentile
from tests.bench.peers import TASK
from tests.bench.resources import ENDPOINTS, Resources

QUIET = 12  # orders a second: far enough from each other that everything is idle in between
PERCENTS = (50, 95, 99)
BESIDE_TASK = {("quiet", 50): 0.65, ("50/s", 95): 0.1}  # at most this part of what the task by hand takes

Sample = list[float]


def latencies(committed: Mapping[str, float], arrived: Mapping[str, float]) -> Sample:
    """Milliseconds of each order. Raises if one did not arrive."""
    if lost := committed.keys() - arrived.keys():
        raise RuntimeError(f"{len(lost)} of {len(committed)} orders did not arrive.")
    return [(arrived[number] - at) * 1000 for number, at in committed.items()]


def measure(resources: Resources) -> Iterator[Figure]:
    theirs = _of_task(resources)
    for database in ("postgresql", "sqlite"):
        urls = [resources.arrivals.url(f"/{n}") for n in range(ENDPOINTS)]
        with resources.installation(database, urls) as ours, ours.worker(2, beat=True):
            resources.arrivals.take()
            for name, (rate, seconds) in _loads(resources).items():
                committed = ours.ask("save_at_pace", rate=rate, seconds=seconds)
                sample = latencies(committed, resources.arrivals.take_all(set(committed)))
                for percent in PERCENTS:
                    peers: dict[str, float | None] = {TASK: percentile(theirs[name], percent)} if theirs else {}
                    what = f"{database}, {name}: p{percent}"
                    ours_ms = percentile(sample, percent)
                    yield Figure("latency", what, ours_ms, "ms", "less", peers=peers)
                    limit = BESIDE_TASK.get((name, percent)) if database == "postgresql" else None
                    if limit and theirs:
                        part = ours_ms / percentile(theirs[name], percent)
                        yield Figure("latency", f"{what} beside the task", part, "times", "less", limit)


def _loads(resources: Resources) -> dict[str, tuple[float, float]]:
    sizes = resources.sizes
    return {"quiet": (QUIET, sizes.quiet_orders / QUIET), "50/s": (50, sizes.pace_s), "200/s": (200, sizes.pace_s)}


def _of_task(resources: Resources) -> dict[str, Sample]:
    if not resources.has_peers:
        return {}
    samples = {}
    with resources.peer(TASK, resources.arrivals.url("/peer")) as peer, peer.worker(2):
        resources.arrivals.take()
        for name, (rate, seconds) in _loads(resources).items():
            committed = peer.ask("save_at_pace", rate=rate, seconds=seconds)
            peer.told += len(committed)
            peer.wait()
            samples[name] = latencies(committed, resources.arrivals.take_all(set(committed)))
    return samples
