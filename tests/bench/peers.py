"""What we compare with, in an environment of its own: django-webhook, a task written by hand, and the bare loop."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from config.stack.valkey import Valkey
from tests.bench import processes
from tests.bench.installation import Worker
from tests.bench.processes import ROOT
from tests.postgresql import Cluster

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
PACKAGE, TASK, LOOP = "django-webhook", "task by hand", "bare loop"
INSTALL_S = 240
WARM_S = 120.0


class PeersError(Exception):
    """Their environment could not be made; the text says why."""


class Peers:
    """Their environment, broker and databases; a context manager."""

    def __init__(self, cache: Path, cluster: Cluster) -> None:
        self.python = _environment(cache)
        self.cluster = cluster
        self.directory = Path(tempfile.mkdtemp(prefix="bench-peers-"))
        self.broker = Valkey(self.directory)
        self._peers: dict[str, Peer] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for peer in self._peers.values():
            if peer.servant:
                peer.servant.stop()
        self.broker.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def peer(self, name: str, url: str) -> "Peer":
        """The peer of this name, which tells `url`."""
        if name not in self._peers:
            self._peers[name] = Peer(self, name, database=f"peer{len(self._peers)}", url=url)
        return self._peers[name]


class Peer:
    def __init__(self, peers: Peers, name: str, *, database: str, url: str) -> None:
        self.peers, self.name, self.url = peers, name, url
        self.told = 0
        peers.cluster.create_database(database)
        self.env = os.environ | {
            "PEER": "django-webhook" if name == PACKAGE else "task",
            "PEER_DATABASE": database,
            "PEER_DATABASE_HOST": str(peers.cluster.directory),
            "PEER_BROKER": f"{peers.broker.url.rpartition('/')[0]}/{database.removeprefix('peer')}",
            "DJANGO_SETTINGS_MODULE": "tests.bench.peershop.settings",
            "PYTHONPATH": str(ROOT),
        }
        self.servant: processes.Servant | None = None
        if name != LOOP:
            self.ask("prepare", url=url)

    def ask(self, action: str, time_s: float = processes.ANSWER_S, **arguments: Any) -> Any:
        """Have an action of `peershop.shop`, or of the loop, done."""
        if self.servant is None or self.servant.process.poll() is not None:
            module = "tests.bench.peershop." + ("loop" if self.name == LOOP else "shop")
            log = self.peers.directory / "shop.log"
            self.servant = processes.Servant(str(self.peers.python), module, self.env, log)
        return self.servant.ask(action, arguments, time_s)

    @contextmanager
    def worker(self, count: int) -> Iterator[Worker]:
        """A worker with `count` processes that has told something already."""
        python, app = str(self.peers.python), "tests.bench.peershop.celery"
        with Worker(python, app, self.env, self.peers.directory, count) as worker:
            worker.wait_until_ready()
            self.save(20)
            self.wait(WARM_S)
            yield worker

    def save(self, amount: int) -> float:
        seconds: float = self.ask("save", amount=amount)
        self.told += amount
        return seconds

    def wait(self, limit_s: float) -> float:
        """Wait until all that was saved was told; when that was, on the clock of `time.monotonic()`."""
        at: float = self.ask("wait", amount=self.told, limit_s=limit_s)
        return at

    def drain(self, amount: int, worker: Worker, limit_s: float) -> tuple[float, float]:
        """How many a second, and milliseconds of CPU for each, of so many that wait when the worker begins."""
        os.killpg(worker.pid, signal.SIGSTOP)
        try:
            self.save(amount)
            used, began = processes.cpu_s(worker.pid), time.monotonic()
        finally:
            os.killpg(worker.pid, signal.SIGCONT)
        ended = self.wait(limit_s)
        return amount / (ended - began), (processes.cpu_s(worker.pid) - used) * 1000 / amount


def _environment(cache: Path) -> Path:
    """The Python of the peers' environment, made where it is not there yet or was made for other versions."""
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    directory = cache / "peers"
    python, mark = directory / "bin" / "python", directory / "made-for"
    if mark.exists() and mark.read_text() == wanted:
        return python
    print("Installing the peers of the benchmark (once) ...", flush=True)
    shutil.rmtree(directory, ignore_errors=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    for command in ([sys.executable, "-m", "venv", str(directory)], [*install, "-r", str(REQUIREMENTS)]):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALL_S)
        if done.returncode:
            raise PeersError(f"their packages could not be installed: {done.stderr[-500:]}")
    mark.write_text(wanted)
    return python
