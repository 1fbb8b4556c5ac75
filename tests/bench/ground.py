"""What the measurements stand on: database, receiver, peers, each made when first wanted and stopped at the end."""

import contextlib
import os
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests import machine
from tests.bench.installation import Installation
from tests.bench.peers import Peers, PeersError
from tests.bench.processes import ROOT
from tests.bench.receivers import Arrivals, Receiver, sink
from tests.postgresql import Cluster

ENDPOINTS = 20
CACHE = Path(os.environ.get("BENCH_CACHE") or ROOT / "var" / "bench-cache")


@dataclass(frozen=True)
class Sizes:
    """How much of everything. The peers get less of it, because they need longer."""

    waiting: int = 20_000
    repeats: int = 3
    waiting_peers: int = 800
    quiet_orders: int = 100
    pace_s: float = 10.0
    saves: int = 1_000
    outage_s: float = 12.0
    long_run: int = 100_000
    old: int = 1_000_000
    intake: int = 10_000
    hanging: int = 5_000


FULL = Sizes()
QUICK = Sizes(
    waiting=1_000,
    repeats=1,
    waiting_peers=100,
    quiet_orders=20,
    pace_s=1.5,
    saves=50,
    outage_s=2.0,
    long_run=2_000,
    old=10_000,
    intake=500,
    hanging=100,
)


class Ground:
    """A context manager; what it holds is stopped in the reverse order of its making."""

    def __init__(self, sizes: Sizes, *, with_peers: bool = True) -> None:
        self.sizes = sizes
        self.with_peers = with_peers
        self.grown: dict[str, tuple[Installation, Any]] = {}
        self._stack = contextlib.ExitStack()
        self._names = count()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stack.close()

    @cached_property
    def cluster(self) -> Cluster:
        if machine.postgresql() is None:
            machine.install(["postgresql"])
        cluster = Cluster()
        self._stack.callback(cluster.stop)
        return cluster

    @cached_property
    def sink(self) -> Receiver:
        return self._stack.enter_context(sink(CACHE))

    @cached_property
    def arrivals(self) -> Arrivals:
        return self._stack.enter_context(Arrivals())

    @cached_property
    def peers(self) -> Peers | None:
        """None, with a word on the terminal, where they could not be set up."""
        if not self.with_peers:
            return None
        try:
            return self._stack.enter_context(Peers(CACHE, self.cluster))
        except PeersError as error:
            print(f"There are no peers to compare with: {error}", flush=True)
            return None

    def installation(self, database: str, urls: list[str] | None = None) -> Installation:
        """Ours on `database`, sqlite or postgresql, with callbacks to `urls` or to the sink. A context manager."""
        name = f"ours{next(self._names)}"
        url = self.cluster.create_database(name) if database == "postgresql" else ""
        return Installation(urls or [self.sink.url(f"/{n}") for n in range(ENDPOINTS)], url)

    def kept(self, database: str) -> Installation:
        """One that lives until the end."""
        return self._stack.enter_context(self.installation(database))
