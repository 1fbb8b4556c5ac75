"""What the worker holds in memory over a long run: flat, or growing with what it has sent?"""

import threading
from collections.abc import Iterator

from tests.bench import processes
from tests.bench.figures import Figure
from tests.bench.installation import Worker
from tests.bench.resources import Resources

MEMORY_MIB = 150.0
GROWTH = 10.0  # percent that counts as flat, from the middle of the run to its end
EVERY_S = 0.2


class Sampler(threading.Thread):
    """Looks at the worker's memory until it is told that it is over."""

    def __init__(self, worker: Worker) -> None:
        super().__init__(daemon=True)
        self.pid = worker.pid
        self.samples: list[processes.Memory] = []
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(EVERY_S):
            self.samples.append(processes.memory(self.pid))


def measure(resources: Resources) -> Iterator[Figure]:
    amount = resources.sizes.long_run
    with resources.installation("postgresql") as ours, ours.worker(1) as worker:
        ours.record(amount)
        start = processes.memory(worker.pid)
        used = processes.cpu_s(worker.pid)
        sampler = Sampler(worker)
        sampler.start()
        done = ours.ask("drain")
        sampler.over.set()
        sampler.join()
        end = processes.memory(worker.pid)
        cpu_ms = (processes.cpu_s(worker.pid) - used) * 1000 / done["count"]
    middle = sampler.samples[len(sampler.samples) // 2] if sampler.samples else end
    most = max([start, end, *sampler.samples], key=lambda sample: sample.all)
    growth = (end.largest / middle.largest - 1) * 100
    note = (
        f"of all processes together; largest: {start.largest:.0f} at the start, {middle.largest:.0f}, {end.largest:.0f}"
    )
    yield from [
        Figure("memory", f"most over {amount:,} deliveries", most.all, "MiB", "less", MEMORY_MIB, note=note),
        Figure("memory", "growth in the second half", growth, "%", "less", GROWTH),
        Figure(
            "memory", "rate of the long run", done["count"] / done["seconds"], "/s", note=f"{cpu_ms:.3f} ms CPU each"
        ),
    ]
