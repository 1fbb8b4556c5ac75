"""How long from an order's commit until the tracker has the request, quiet and under load."""

from collections.abc import Iterator, Mapping

from tests.bench.figures import Figure, Target, at_most, percentile
from tests.bench.ground import ENDPOINTS, Ground
from tests.bench.peers import TASK

QUIET = 12  # orders a second: far enough from each other that everything is idle in between
PERCENTS = (50, 95, 99)
LIMITS = {("quiet", 50): 15, ("quiet", 99): 50, ("200/s", 95): 25, ("200/s", 99): 60}

Sample = list[float]


def latencies(committed: Mapping[str, float], arrived: Mapping[str, float]) -> Sample:
    """Milliseconds of each order. Raises if one did not arrive."""
    if lost := committed.keys() - arrived.keys():
        raise RuntimeError(f"{len(lost)} of {len(committed)} orders did not arrive.")
    return [(arrived[number] - at) * 1000 for number, at in committed.items()]


def measure(ground: Ground) -> Iterator[Figure]:
    theirs = _of_task(ground)
    for database in ("postgresql", "sqlite"):
        urls = [ground.arrivals.url(f"/{n}") for n in range(ENDPOINTS)]
        with ground.installation(database, urls) as ours, ours.worker(2, beat=True):
            ground.arrivals.take()
            for name, (rate, seconds) in _loads(ground).items():
                committed = ours.ask("save_at_pace", rate=rate, seconds=seconds)
                sample = latencies(committed, ground.arrivals.take_all(set(committed)))
                for percent in PERCENTS:
                    peers: dict[str, float | None] = {TASK: percentile(theirs[name], percent)} if theirs else {}
                    what = f"{database}, {name}: p{percent}"
                    ours_ms = percentile(sample, percent)
                    yield Figure("latency", what, ours_ms, "ms", "less", _target(name, percent), peers)


def _target(name: str, percent: int) -> Target | None:
    limit = LIMITS.get((name, percent))
    return at_most(limit) if limit else None


def _loads(ground: Ground) -> dict[str, tuple[float, float]]:
    sizes = ground.sizes
    return {"quiet": (QUIET, sizes.quiet_orders / QUIET), "50/s": (50, sizes.pace_s), "200/s": (200, sizes.pace_s)}


def _of_task(ground: Ground) -> dict[str, Sample]:
    if ground.peers is None:
        return {}
    peer = ground.peers.peer(TASK, ground.sink.url("/peer"))
    peer.ask("redirect", url=ground.arrivals.url("/peer"))
    samples = {}
    with peer.worker(2):
        ground.arrivals.take()
        for name, (rate, seconds) in _loads(ground).items():
            committed = peer.ask("save_at_pace", rate=rate, seconds=seconds)
            peer.told += len(committed)
            peer.wait(60)
            samples[name] = latencies(committed, ground.arrivals.take_all(set(committed)))
    peer.ask("redirect", url=peer.url)
    return samples
