"""`make bench`: measures what the README and the product's description promise, beside what others do.

    make bench                              everything, in about fifteen minutes
    make bench ARGS="drain latency"         some parts
    make bench ARGS=--quick                 small sizes, in a few minutes: does the benchmark itself work?
    make bench ARGS="drain --no-peers"      ours alone

It makes all that it needs and stops it again: a PostgreSQL cluster, a Valkey and a data directory for each measurement,
nginx as the receiver (where it cannot be had, our own, which is slower), and for the peers an environment of their own,
kept in `var/bench-cache` or where BENCH_CACHE says. Everything listens on loopback. Real Celery workers in processes of
their own do the sending. The figures go to the terminal as a table and to `var/bench/` as JSON.

The peers run in the same minutes on the same machine, on PostgreSQL: django-webhook 0.0.15; a Celery task per postback
written by hand with requests; and, as the ceiling, a bare libcurl loop that claims and records in batches.
Machines differ, so what is judged is ratios: to the peers, or of ours to ours. Milliseconds and rates are printed too.
No part needs another one or has a limit of time; what shows no progress for two minutes has failed.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import doors, drain, growth, hanging, history, intake, latency, memory, pages, pruning, saving
from tests.bench.figures import Figure, table
from tests.bench.processes import ROOT
from tests.bench.resources import FULL, QUICK, Resources

PARTS: dict[str, Callable[[Resources], Iterator[Figure]]] = {
    "drain": drain.measure,
    "latency": latency.measure,
    "save": saving.measure,
    "memory": memory.measure,
    "intake": intake.measure,
    "messages": doors.messages,
    "api": doors.api,
    "hanging": hanging.measure,
    "history": history.measure,
    "pages": pages.measure,
    "growth": growth.measure,
    "prune": pruning.measure,
}


def machine() -> dict[str, object]:
    with Path("/proc/meminfo").open() as lines:
        memory_gib = round(int(next(lines).split()[1]) / (1 << 20))
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return {
        "cores": os.cpu_count(),
        "memory_gib": memory_gib,
        "python": platform.python_version(),
        "system": platform.platform(),
        "commit": commit.stdout.strip(),
        "load_average": os.getloadavg(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description="Measure ours beside the peers.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all without")
    parser.add_argument("--quick", action="store_true", help="small sizes: does the benchmark work?")
    parser.add_argument("--no-peers", action="store_true", help="ours alone")
    parser.add_argument("--out", type=Path, default=ROOT / "var" / "bench", help="where the JSON goes")
    options = parser.parse_args()
    if unknown := set(options.parts) - PARTS.keys():
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    began, about = datetime.now(UTC), machine()
    figures: list[Figure] = []
    failures: dict[str, str] = {}
    with Resources(QUICK if options.quick else FULL, with_peers=not options.no_peers) as resources:
        for name in options.parts or PARTS:
            print(f"{name} ...", end=" ", flush=True)
            started = time.monotonic()
            try:
                figures.extend(PARTS[name](resources))
            except Exception as error:  # noqa: BLE001 - the other parts are worth having all the same
                failures[name] = f"{type(error).__name__}: {error}"
                print(f"failed: {error}", flush=True)
            else:
                print(f"{time.monotonic() - started:.0f} s", flush=True)
    print(f"\n{table(figures)}\n")
    minutes = (datetime.now(UTC) - began).total_seconds() / 60
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{about['cores']} cores, {about['memory_gib']} GiB, {began:%Y-%m-%d}, {minutes:.1f} minutes, load {load}")
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"{began:%Y-%m-%dT%H%M%S}.json"
    result = {"began_at": began.isoformat(), "quick": options.quick, "machine": about, "failures": failures}
    path.write_text(json.dumps(result | {"figures": [figure.as_json() for figure in figures]}, indent=1) + "\n")
    print(path)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
