"""Processes that do something for us, and what running ones have used: CPU time and memory (Linux only)."""

import json
import os
import select
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.stack.child import bound_to

ROOT = Path(__file__).resolve().parents[2]

TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1 << 20
STALLED_S = 120.0  # whatever shows no progress for so long has failed, on a slow machine too


@dataclass(frozen=True)
class Memory:
    """Mebibytes: `largest` is the resident set of the largest process, `all` what they occupy together."""

    largest: float
    all: float


def family(pid: int) -> list[int]:
    """The process and all below it."""
    found, new = [], [pid]
    while new:
        current = new.pop()
        found.append(current)
        for children in Path(f"/proc/{current}/task").glob("*/children"):
            new += map(int, children.read_text().split())
    return found


def cpu_s(pid: int) -> float:
    """Seconds of CPU, user and system, that the family of `pid` has used."""
    return sum(_cpu_s(member) for member in family(pid))


def cpu_with_ended_s(pid: int) -> float:
    """As `cpu_s`, with the children that have ended: of a database server, which makes one for each connection."""
    return sum(_cpu_s(member, ended=True) for member in family(pid))


def _cpu_s(pid: int, *, ended: bool = False) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11 : 15 if ended else 13])) / TICKS  # utime, stime, cutime, cstime, see proc(5)


def memory(pid: int) -> Memory:
    sizes = [_rollup(member) for member in family(pid)]
    return Memory(max(size["Rss"] for size in sizes) / MIB, sum(size["Pss"] for size in sizes) / MIB)


def _rollup(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    pairs = (line.split(":") for line in lines)
    return {name: int(rest.split()[0]) * 1024 for name, rest in pairs}


class ActionError(Exception):
    """The process did not do it; the text is what it said."""


class ActionProcess:
    """A process that does actions for us; see `tests.bench.actions`. It lives until `stop`, or as long as we do."""

    def __init__(self, python: str, module: str, env: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [python, "-m", module],
                env=env,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                bufsize=0,  # so that what is not read yet can be selected for
                start_new_session=True,
                preexec_fn=bound_to(os.getpid()),  # noqa: PLW1509 - as in config.stack.child
            )

    def ask(self, action: str, arguments: Mapping[str, Any], stalled_s: float = STALLED_S) -> Any:
        """Have it done and return the answer. Raises `ActionError`, and `TimeoutError` when it comes no further."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps([action, arguments]).encode() + b"\n")
            answer: dict[str, Any] = {"so_far": "nothing"}
            while "so_far" in answer:
                if not select.select([self.process.stdout], [], [], stalled_s)[0]:
                    raise TimeoutError(f"{action} came no further for {stalled_s:.0f} s: {answer['so_far']}")
                answer = json.loads(self.process.stdout.readline())
        except (OSError, ValueError) as error:
            self.stop()
            if isinstance(error, TimeoutError):
                raise
            raise ActionError(f"{action} ended with its process: {self.log.read_text()[-2000:]}") from error
        if "failed" in answer:
            raise ActionError(f"{action} failed: {answer['failed'][-3000:]}")
        return answer["done"]

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
