"""The product's processes as a test holds them: a worker or a beat that can be killed, a shop that saves orders."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from config.stack.child import Child, bound_to
from tests.chaos.shop import Batch, Report
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parent.parent.parent


class Program(Child):
    """A worker, a beat or a web process, which listens at `port`."""

    port = 0

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        """End it as a power cut would, with whatever it was doing."""
        self.process.kill()
        self.process.wait()
        wait_until(lambda: not self._session(), 10)  # its pool dies with it

    def pause(self) -> None:
        """Stop it and its pool where they are (SIGSTOP)."""
        for pid in self._session():
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGCONT)
        for pid in self._session():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def pool(self) -> list[int]:
        """The ids of a worker's pool processes."""
        return [pid for pid, parent in self._session().items() if parent == self.pid]

    def kill_pool(self, meanwhile: Callable[[], Any]) -> None:
        """Kill the pool processes, and do something before the worker can make new ones."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            dead = self.pool()
            for pid in dead:
                os.kill(pid, signal.SIGKILL)
            meanwhile()
        finally:
            os.kill(self.pid, signal.SIGCONT)
        wait_until(lambda: not set(dead) & set(self.pool()), 10)

    def _session(self) -> dict[int, int]:
        """The living processes of its session, each with its parent."""
        rows = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid=,sess=,stat="], capture_output=True, text=True, check=True
        ).stdout.split("\n")
        found = [row.split() for row in rows if row]
        return {
            int(pid): int(parent) for pid, parent, session, stat in found if int(session) == self.pid and stat[0] != "Z"
        }


class Shop:
    """The shop's back end: a process that saves orders when told to."""

    def __init__(self, command: list[str], env: Mapping[str, str], log: Path) -> None:
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                command,
                env=env,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                preexec_fn=bound_to(os.getpid()),  # noqa: PLW1509 - as in config.stack.child
            )
        self._reports: queue.Queue[Report | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def begin(self, **batch: Any) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(asdict(Batch(**batch))) + "\n")
        self.process.stdin.flush()

    def report(self, within_s: float = 60) -> Report:
        report = self._reports.get(timeout=within_s)
        assert report, "The shop's process has died."
        return report

    def do(self, **batch: Any) -> Report:
        self.begin(**batch)
        return self.report()

    def dies(self, within_s: float = 30) -> int:
        """Wait for its end; the number of the signal that it died by."""
        return -self.process.wait(timeout=within_s)

    def stop(self) -> None:
        assert self.process.stdin
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(timeout=5)

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as lines:
            for line in lines:
                self._reports.put(Report(**json.loads(line)))
        self._reports.put(None)
