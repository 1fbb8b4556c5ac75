"""An installation of ours for one measurement: a database, a broker, workers and a directory of its own."""

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

from config.stack.child import Child
from config.stack.valkey import Valkey
from tests.bench import processes
from tests.bench.processes import ROOT, STALLED_S


class WorkerError(Exception):
    """The worker did not start; the text says why."""


class Worker:
    """A running Celery worker, whoever's tasks it does; a context manager."""

    def __init__(self, python: str, app: str, env: Mapping[str, str], directory: Path, count: int) -> None:
        self.log = directory / "worker.log"
        command = [python, "-W", "ignore", "-m", "celery", "--quiet", "--skip-checks", "-A", app, "worker"]
        options = ["--pool=prefork", f"--concurrency={count}", "--without-mingle", "--without-gossip"]
        self.child = Child("worker", [*command, *options, "--loglevel=info"], env, log=self.log)

    @property
    def pid(self) -> int:
        return self.child.process.pid

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + STALLED_S
        while not any(words in self.log.read_bytes() for words in (b" ready.", b"process_started")):  # a peer, or ours
            if self.child.has_ended() or time.monotonic() > deadline:
                raise WorkerError(f"A worker did not start: {self.log.read_text()[-1000:]}")
            time.sleep(0.02)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.child.stop(5)


class Installation:
    """Ours, with a callback setting for each of `urls`. `database_url` is empty for SQLite."""

    def __init__(self, urls: list[str], database_url: str = "") -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="bench-"))
        self.python = sys.executable
        self.broker = Valkey(self.directory)
        port = urls[0].split(":")[2].partition("/")[0]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CALLBACKS_")}
        self.env = inherited | {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "PYTHONPATH": str(ROOT),
            "DATA_DIR": str(self.directory),
            "DATABASE_URL": database_url or f"sqlite:///{self.directory}/postbacks.sqlite3",
            "REDIS_URL": self.broker.url,
            "SECRET_KEY": "for-the-benchmark-only-" + "x" * 50,
            "ALLOWED_HOSTS": "testserver",
            "CALLBACKS_ALLOWED_NETWORKS": "127.0.0.0/8",
            "CALLBACKS_ALLOWED_PORTS": port,
            "LOG_LEVEL": "INFO",
            "DEBUG": "",
        }
        self.shop = processes.ActionProcess(self.python, "tests.bench.shop", self.env, self.directory / "shop.log")
        self.ask("prepare", urls=urls)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.shop.stop()
        self.broker.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def ask(self, action: str, **arguments: Any) -> Any:
        """Have an action of `tests.bench.shop` done."""
        return self.shop.ask(action, arguments)

    def record(self, amount: int) -> None:
        """Deliveries that wait, and nobody has been told of them."""
        self.ask("record", amount=amount, wakes=False)

    def send(self, amount: int) -> Any:
        """Have so many deliveries recorded, and then sent by the worker."""
        self.record(amount)
        return self.ask("drain")

    @contextlib.contextmanager
    def worker(self, count: int, *, beat: bool = False, warm: int = 200) -> Iterator[Worker]:
        """A worker with `count` processes that has sent something already; with `beat`, swept for as in production."""
        with redis.Redis.from_url(self.broker.url) as client:
            client.flushall()
        with Worker(self.python, "config", self.env, self.directory, count) as worker, contextlib.ExitStack() as stack:
            worker.wait_until_ready()
            if beat:
                command = [self.python, "-m", "celery", "--quiet", "--skip-checks", "-A", "config", "beat"]
                log = self.directory / "beat.log"
                child = Child("beat", [*command, "--pidfile="], self.env, log=log)
                stack.callback(child.stop, 3)
            for _ in range(count if warm else 0):
                self.send(warm)
            yield worker
