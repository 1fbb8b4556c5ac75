"""How fast what waits goes out: deliveries a second, and CPU of the worker for each."""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench import processes
from tests.bench.figures import Figure, median
from tests.bench.installation import Installation, Worker
from tests.bench.peers import LOOP, PACKAGE, TASK
from tests.bench.resources import Resources

SHARE_OF_LOOP = 60  # percent
TIMES_PEERS = 50


@dataclass(frozen=True)
class Drained:
    rate: float
    cpu_ms: float


def drain_once(ours: Installation, worker: Worker, amount: int) -> Drained:
    """Record so many without a wake-up, then send one and wait until all are settled."""
    ours.record(amount)
    used = processes.cpu_s(worker.pid)
    done = ours.ask("drain")
    if done["count"] != amount:
        raise RuntimeError(f"Only {done['count']} of {amount} deliveries had waited for the wake-up.")
    if done["not_succeeded"]:
        raise RuntimeError(f"{done['not_succeeded']} deliveries did not succeed.")
    cpu_ms = (processes.cpu_s(worker.pid) - used) * 1000 / done["count"]
    return Drained(done["count"] / done["seconds"], cpu_ms)


def drained(ours: Installation, worker: Worker, amount: int, repeats: int) -> Drained:
    """The median of several."""
    runs = [drain_once(ours, worker, amount) for _ in range(repeats)]
    return Drained(median([run.rate for run in runs]), median([run.cpu_ms for run in runs]))


def measure(resources: Resources) -> Iterator[Figure]:
    sizes = resources.sizes
    theirs = {count: _of_peers(resources, count) for count in (1, 2)}
    for database in ("postgresql", "sqlite"):
        for count in (1, 2):
            with resources.installation(database) as ours, ours.worker(count) as worker:
                run = drained(ours, worker, sizes.waiting, sizes.repeats)
            what = f"{database}, {count} process{'es' if count > 1 else ''}"
            rates = {name: peer.rate for name, peer in theirs[count].items()}
            costs = {name: peer.cpu_ms for name, peer in theirs[count].items()}
            yield from [
                Figure("drain", what, run.rate, "/s", peers=rates),
                Figure("drain", f"{what}: CPU of the worker", run.cpu_ms, "ms each", "less", peers=costs),
            ]
            if (database, count) == ("postgresql", 1) and rates:
                share = run.rate / rates[LOOP] * 100
                yield Figure("drain", f"{what}: share of the bare loop", share, "%", target=SHARE_OF_LOOP)
                for name in (PACKAGE, TASK):
                    times = run.rate / rates[name]
                    yield Figure("drain", f"{what}: beside {name}", times, "times", target=TIMES_PEERS)


def _of_peers(resources: Resources, count: int) -> dict[str, Drained]:
    if not resources.has_peers:
        return {}
    results = {}
    for name in (PACKAGE, TASK):
        with resources.peer(name) as peer, peer.worker(count) as worker:
            results[name] = Drained(*peer.drain(resources.sizes.waiting_peers, worker))
    if count == 1:
        runs = []
        with resources.peer(LOOP) as loop:
            for _ in range(resources.sizes.repeats):
                loop.ask("prepare", url=loop.url, amount=resources.sizes.waiting)
                runs.append(loop.ask("drain"))
        rate = median([run["count"] / run["seconds"] for run in runs])
        results[LOOP] = Drained(rate, median([run["cpu_s"] * 1000 / run["count"] for run in runs]))
    return results
