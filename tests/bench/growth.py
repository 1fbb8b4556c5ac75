"""What a delivery costs, and from that what 1, 10 and 100 million a day need, and where each limit lies.

`measure` measures on PostgreSQL; the rest is arithmetic with a simulated day. docs/growth.md is made of `tables`:
`python -m tests.bench.growth FILE.json` prints them again from a result of `make bench`.
"""

import contextlib
import http.client
import json
import math
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from config.stack.child import Child
from tests.bench import processes
from tests.bench.figures import Figure, number
from tests.bench.installation import Installation
from tests.bench.resources import Resources

THREADS = 8  # that hand orders over
STATISTICS_S = 11.0  # PostgreSQL's processes say at the latest after 10 s what they have written


@dataclass(frozen=True)
class Cost:
    """Of one order with one delivery and one attempt, unless it says otherwise. The names are those of the document."""

    worker_ms: float  # CPU of the worker
    worker_rate: float  # deliveries a second of one worker process, when trackers answer at once
    web_ms: float  # CPU of the web process, for an order by the API
    recording_ms: float  # CPU of the database, to save the order and record its delivery
    sending_ms: float  # CPU of the database, to claim and to settle the delivery
    order_bytes: float  # rows with their indexes
    delivery_bytes: float
    attempt_bytes: float
    wal_bytes: float
    rows_written: float


WORDS = {
    "worker_ms": ("CPU of the worker", "ms"),
    "worker_rate": ("one worker process, trackers answer at once", "/s"),
    "web_ms": ("CPU of the web process, for an order by the API", "ms"),
    "recording_ms": ("CPU of the database to save and record", "ms"),
    "sending_ms": ("CPU of the database to claim and settle", "ms"),
    "order_bytes": ("order on disk, with indexes", "bytes"),
    "delivery_bytes": ("delivery on disk, with indexes", "bytes"),
    "attempt_bytes": ("attempt on disk, with indexes", "bytes"),
    "wal_bytes": ("write-ahead log", "bytes"),
    "rows_written": ("rows written", "rows"),
}


# --- measuring -------------------------------------------------------------------
def measure(resources: Resources) -> Iterator[Figure]:
    cost = _measured(resources)
    for name, value in asdict(cost).items():
        what, unit = WORDS[name]
        yield Figure("growth", what, value, unit)
    for resource, per_day in limits(cost).items():
        yield Figure("growth", f"limit: {resource}", per_day / 1e6, "million a day")


def _measured(resources: Resources) -> Cost:
    sizes = resources.sizes
    with resources.installation("postgresql") as ours:
        name = ours.env["DATABASE_URL"]
        with psycopg.connect(name, autocommit=True) as asking, _web(ours) as (web, port):
            token = ours.ask("token")
            _hand_over(port, token, 50)  # warm
            before, web_s = _Database.now(resources, asking), processes.cpu_s(web)
            _hand_over(port, token, sizes.few)
            web_ms = (processes.cpu_s(web) - web_s) * 1000 / sizes.few
            recorded = _Database.now(resources, asking).since(before, sizes.few)
        with psycopg.connect(name, autocommit=True) as asking:
            with ours.worker(1) as worker:
                ours.record(sizes.waiting)
                before, worker_s = _Database.now(resources, asking), processes.cpu_s(worker.pid)
                done = ours.ask("drain")
                worker_ms = (processes.cpu_s(worker.pid) - worker_s) * 1000 / done["count"]
                sent = _Database.now(resources, asking).since(before, done["count"])
            tables = ("orders_order", "callbacks_delivery", "callbacks_attempt")
            order, delivery, attempt = (_bytes_of_row(asking, table) for table in tables)
    return Cost(
        worker_ms, done["count"] / done["seconds"], web_ms, recorded.cpu_ms, sent.cpu_ms, order, delivery, attempt,
        recorded.wal_bytes + sent.wal_bytes, recorded.rows + sent.rows,
    )  # fmt: skip


@dataclass(frozen=True)
class _Database:
    """What the server has used so far, or for each of something."""

    cpu_ms: float
    wal_bytes: float
    rows: float

    @classmethod
    def now(cls, resources: Resources, asking: "psycopg.Connection[Any]") -> "_Database":
        time.sleep(STATISTICS_S)
        written = "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables"
        wal, rows = (
            float(asking.execute(sql).fetchone()[0])  # type: ignore[index]  # each has a row
            for sql in ("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn", written)
        )
        return cls(processes.cpu_with_ended_s(resources.cluster.process.pid) * 1000, wal, rows)

    def since(self, before: "_Database", amount: int) -> "_Database":
        return _Database(
            (self.cpu_ms - before.cpu_ms) / amount,
            (self.wal_bytes - before.wal_bytes) / amount,
            (self.rows - before.rows) / amount,
        )


def _bytes_of_row(asking: "psycopg.Connection[Any]", table: str) -> float:
    """Of a table that was written anew, so without the versions of rows that are dead."""
    asking.execute(f"VACUUM (FULL, ANALYZE) {table}".encode())
    row = asking.execute(f"SELECT pg_total_relation_size('{table}')::float / count(*) FROM {table}".encode()).fetchone()
    assert row
    return float(row[0])


@contextlib.contextmanager
def _web(ours: Installation) -> Iterator[tuple[int, int]]:
    """A web process; its process id and port."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        command = [ours.python, "-m", "config.stack.web", str(listener.fileno())]
        env = ours.env | {"ALLOWED_HOSTS": "127.0.0.1"}
        child = Child("web", command, env, log=ours.directory / "web.log", pass_fds=[listener.fileno()])
        port = listener.getsockname()[1]
    try:
        yield child.process.pid, port
    finally:
        child.stop(5)


def _hand_over(port: int, token: str, amount: int) -> None:
    """So many new orders by the API, from several threads, each over one connection."""
    numbers, errors = iter(range(amount)), []
    lock = threading.Lock()

    def run() -> None:
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=processes.STALLED_S)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        with contextlib.closing(line):
            while not errors:
                with lock:
                    if next(numbers, None) is None:
                        return
                    order = {"number": f"G{next(_orders)}", "amount": "58.00", "affiliate": "partner0"}
                line.request("POST", "/api/orders", json.dumps(order), headers)
                answer = line.getresponse()
                text = answer.read()
                if answer.status != http.HTTPStatus.CREATED:
                    errors.append(text)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise RuntimeError(f"An order was refused: {errors[0]!r}")


_orders = count(1)


# --- what so many a day need -----------------------------------------------------
MILLION = 1_000_000
DAYS = (MILLION, 10 * MILLION, 100 * MILLION)
MINUTES = 1440
STEEPNESS = 1.75  # with which the busiest minute of the day has three times the mean
ANSWER_S = 0.3  # a tracker's answer
SLOTS = 256  # requests that a worker process has in flight; callbacks.delivery.concurrency
FULL_AT = 0.7  # of a processor: above that, waiting grows
WAIT_S = 10.0  # that a delivery may wait at the busiest time
KEPT_DELIVERIES, KEPT_ATTEMPTS = 400, 90  # days; the defaults of RETENTION_*
ROOM = 1.3  # for dead rows and pages that are not full
DISK = 1e12  # bytes
CONNECTIONS = 100  # PostgreSQL's own max_connections
OTHER_CONNECTIONS = 20  # beat, commands, a person, a backup
# Of one process: of its database thread, its tasks and its background thread; of 16 threads and the background.
WORKER_CONNECTIONS, WEB_CONNECTIONS = 3, 17


def arrivals(per_day: float) -> list[float]:
    """A day by the minute: quiet at night, with its peak at noon."""
    wave = [math.exp(STEEPNESS * math.cos(2 * math.pi * (m / MINUTES - 0.5))) for m in range(MINUTES)]
    return [per_day * share / sum(wave) for share in wave]


def process_rate(cost: Cost) -> float:
    """Deliveries a second of one worker process: what its processor allows, or what its requests in flight do."""
    return min(cost.worker_rate * FULL_AT, SLOTS / ANSWER_S)


def longest_wait_s(per_day: float, rate: float) -> float:
    """The longest that a delivery waits on such a day, if `rate` a second can be sent."""
    waiting = longest = 0.0
    for come in arrivals(per_day):
        waiting = max(0.0, waiting + come - rate * 60)
        longest = max(longest, waiting / rate)
    return longest


def worker_processes(per_day: float, cost: Cost) -> int:
    """The fewest with which no delivery waits for long."""
    return next(n for n in count(1) if longest_wait_s(per_day, n * process_rate(cost)) <= WAIT_S)


def peak_rate(per_day: float) -> float:
    return max(arrivals(per_day)) / 60


def database_ms(cost: Cost) -> float:
    return cost.recording_ms + cost.sending_ms


def web_processes(per_day: float, cost: Cost) -> int:
    return math.ceil(peak_rate(per_day) * cost.web_ms / 1000 / FULL_AT)


def disk_bytes(per_day: float, cost: Cost) -> float:
    """After 400 days. Orders are not pruned: they go on growing."""
    kept = (cost.order_bytes + cost.delivery_bytes) * KEPT_DELIVERIES + cost.attempt_bytes * KEPT_ATTEMPTS
    return per_day * kept * ROOM


def connections(per_day: float, cost: Cost) -> int:
    workers = worker_processes(per_day, cost) * WORKER_CONNECTIONS
    return workers + web_processes(per_day, cost) * WEB_CONNECTIONS + OTHER_CONNECTIONS


def limits(cost: Cost) -> dict[str, float]:
    """Deliveries a day at which each resource is used up at the busiest time, the nearest first."""
    peak_share = peak_rate(MILLION) / MILLION
    found = {
        "one web process, orders by the API": 1000 * FULL_AT / cost.web_ms / peak_share,
        f"one worker process, trackers answer in {ANSWER_S} s": process_rate(cost) / peak_share,
        "one core of the database": 1000 * FULL_AT / database_ms(cost) / peak_share,
        "a disk of 1 TB, with what is kept by default": DISK / disk_bytes(1, cost),
        "100 connections": MILLION * _most(lambda m: connections(m * MILLION, cost) <= CONNECTIONS),
    }
    return dict(sorted(found.items(), key=lambda item: item[1]))


def _most(is_enough: Any) -> int:
    """The last whole number of millions that is."""
    return next(m for m in count(1) if not is_enough(m + 1))


# --- the document ----------------------------------------------------------------
def tables(cost: Cost) -> list[str]:
    """The lines of all tables of docs/growth.md."""
    return [*_needs(cost), *_limits(cost), *_costs(cost)]


def _needs(cost: Cost) -> list[str]:
    rows = {
        "a second: mean, busiest minute": lambda d: f"{d / 86400:,.0f}, {peak_rate(d):,.0f}",
        "worker processes": lambda d: f"{worker_processes(d, cost)}",
        "web processes, orders by the API": lambda d: f"{web_processes(d, cost)}",
        "cores of the database": lambda d: f"{max(0.1, peak_rate(d) * database_ms(cost) / 1000 / FULL_AT):,.1f}",
        "rows written a second, busiest minute": lambda d: f"{peak_rate(d) * cost.rows_written:,.0f}",
        "write-ahead log a day": lambda d: _size(d * cost.wal_bytes),
        "new on disk a day": lambda d: _size(d * (cost.order_bytes + cost.delivery_bytes + cost.attempt_bytes)),
        "database after 400 days": lambda d: _size(disk_bytes(d, cost)),
        "connections": lambda d: f"{connections(d, cost):,.0f}",
    }
    head = ["deliveries a day", *(f"{d // MILLION} million" for d in DAYS)]
    return [_row(head), "|---" * len(head) + "|", *(_row([what, *map(say, DAYS)]) for what, say in rows.items())]


def _limits(cost: Cost) -> list[str]:
    lines = [_row([what, f"{per_day / MILLION:,.1f} million"]) for what, per_day in limits(cost).items()]
    return ["| this is used up | at so many deliveries a day |", "|---|---|", *lines]


def _costs(cost: Cost) -> list[str]:
    lines = [_row([*WORDS[name], f"{value:.6g}"]) for name, value in asdict(cost).items()]
    return ["| for one delivery | unit | measured |", "|---|---|---|", *lines]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _size(size: float) -> str:
    return number(size / 1e12, "TB") if size >= 1e12 else number(size / 1e9, "GB")


def read(document: str) -> Cost:
    """The cost that is in such a document."""
    cells = [line.strip("| ").split(" | ") for line in document.splitlines() if line.startswith("| ")]
    values = {row[0]: row[2] for row in cells if len(row) == 3}
    return Cost(**{field.name: float(values[WORDS[field.name][0]]) for field in fields(Cost)})


def main() -> None:
    figures = json.loads(Path(sys.argv[1]).read_text())["figures"]
    values = {figure["what"]: figure["ours"] for figure in figures if figure["part"] == "growth"}
    print("\n".join(tables(Cost(**{name: float(f"{values[what]:.6g}") for name, (what, _) in WORDS.items()}))))


if __name__ == "__main__":
    main()
