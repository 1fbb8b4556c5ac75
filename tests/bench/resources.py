"""What the measurements stand on: database, receiver, peers, each made when first wanted and stopped at the end."""

import contextlib
import os
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

from tests import machine
from tests.bench import peers
from tests.bench.installation import Installation
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
    few: int = 1_000
    intake: int = 10_000
    messages: int = 3_000
    singles: int = 2_000
    batches: int = 10
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
    few=200,
    intake=500,
    messages=300,
    singles=200,
    batches=1,
    hanging=100,
)


class Resources:
    """A context manager; what it holds is stopped in the reverse order of its making."""

    def __init__(self, sizes: Sizes, *, with_peers: bool = True) -> None:
        self.sizes = sizes
        self._stack = contextlib.ExitStack()
        self._names = count()
        self._peers_python = peers.install(CACHE) if with_peers else None

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

    @property
    def has_peers(self) -> bool:
        return self._peers_python is not None

    def peer(self, name: str, url: str = "") -> peers.Peer:
        """A new one of this name, which tells `url` or the sink. A context manager."""
        assert self._peers_python
        database = f"peer{next(self._names)}"
        return peers.Peer(self._peers_python, name, self.cluster, database, url or self.sink.url("/peer"))

    def installation(self, database: str, urls: list[str] | None = None) -> Installation:
        """Ours on `database`, sqlite or postgresql, with callbacks to `urls` or to the sink. A context manager."""
        name = f"ours{next(self._names)}"
        url = self.cluster.create_database(name) if database == "postgresql" else ""
        return Installation(urls or [self.sink.url(f"/{n}") for n in range(ENDPOINTS)], url)
