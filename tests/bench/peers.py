"""What we compare with, in an environment of its own: django-webhook, a task written by hand, and the bare loop."""

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

PACKAGE, TASK, LOOP = "django-webhook", "task by hand", "bare loop"
TOKEN = "a-token-of-the-benchmark"  # what the shop of each asks its clients for


class Peer:
    """One of them, which tells `url`, with a database and a broker of its own; a context manager."""

    def __init__(self, python: Path, name: str, cluster: Cluster, database: str, url: str) -> None:
        self.name, self.url, self.python = name, url, str(python)
        self.told = 0
        self.directory = Path(tempfile.mkdtemp(prefix="bench-peer-"))
        self.broker = Valkey(self.directory)
        cluster.create_database(database)
        self.env = os.environ | {
            "PEER": "django-webhook" if name == PACKAGE else "task",
            "PEER_TOKEN": TOKEN,
            "PEER_DATABASE": database,
            "PEER_DATABASE_HOST": str(cluster.directory),
            "PEER_BROKER": self.broker.url,
            "DJANGO_SETTINGS_MODULE": "tests.bench.peershop.settings",
            "PYTHONPATH": str(ROOT),
        }
        module = "tests.bench.peershop." + ("loop" if name == LOOP else "shop")
        self.process = processes.ActionProcess(self.python, module, self.env, self.directory / "shop.log")
        if name != LOOP:
            self.ask("prepare", url=url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.process.stop()
        self.broker.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def ask(self, action: str, stalled_s: float = processes.STALLED_S, **arguments: Any) -> Any:
        """Have an action of `peershop.shop`, or of the loop, done."""
        return self.process.ask(action, arguments, stalled_s)

    @contextmanager
    def worker(self, count: int) -> Iterator[Worker]:
        """A worker with `count` processes that has told something already."""
        app = "tests.bench.peershop.celery"
        with Worker(self.python, app, self.env, self.directory, count) as worker:
            worker.wait_until_ready()
            self.save(20)
            self.wait()
            yield worker

    def save(self, amount: int) -> float:
        seconds: float = self.ask("save", amount=amount)
        self.told += amount
        return seconds

    def wait(self) -> float:
        """Wait until all that was saved was told; when that was, on the clock of `time.monotonic()`."""
        at: float = self.ask("wait", amount=self.told)
        return at

    def drain(self, amount: int, worker: Worker) -> tuple[float, float]:
        """How many a second, and milliseconds of CPU for each, of so many that wait when the worker begins."""
        os.killpg(worker.pid, signal.SIGSTOP)
        try:
            self.save(amount)
            used, began = processes.cpu_s(worker.pid), time.monotonic()
        finally:
            os.killpg(worker.pid, signal.SIGCONT)
        ended = self.wait()
        return amount / (ended - began), (processes.cpu_s(worker.pid) - used) * 1000 / amount


def install(cache: Path) -> Path | None:
    """The Python of the peers' environment, made as `make` makes ours; None, with a word of pip, where it cannot be."""
    place = os.path.relpath(cache / "peers", ROOT)  # make takes a space in a path for its end
    lock = Path(__file__).with_name("requirements.txt").relative_to(ROOT)
    command = [
        "make",
        "--silent",
        "--no-print-directory",
        f"PYTHON={sys.executable}",
        f"VENV={place}",
        f"LOCKED={lock}",
    ]
    cache.mkdir(parents=True, exist_ok=True)
    env = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MFLAGS"}}
    done = subprocess.run([*command, f"{place}/installed"], cwd=ROOT, env=env, check=False)
    return cache / "peers/bin/python" if done.returncode == 0 else None
