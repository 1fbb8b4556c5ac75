"""What a fault happens in: a database, a broker and a receiver of its own, and the product's real processes.

Each of them can be killed, stopped, frozen and started again alone; all of them end with the test, by their process
ids. And the count at the end: what was lost, what came twice, what came in the wrong order.
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from config.children import Child, bound_to
from tests.chaos.broker import Broker
from tests.chaos.shop import Job, Report
from tests.receiver import Receiver
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parent.parent.parent
IS_FULL = os.environ.get("CHAOS", "short") == "full"
# It knows its affiliate, order, event and delivery by the query alone.
QUERY = "?order={{order.number}}&event={{event}}&status={{order.status}}&id={{event.id}}"


def size(short: int, full: int) -> int:
    """How large a test is: short with every run of the suite, full in `make chaos`."""
    return full if IS_FULL else short


@dataclass(frozen=True)
class Fault:
    """What was claimed, and not recorded, at the time of a fault."""

    event_ids: frozenset[str]
    at: float


@dataclass(frozen=True)
class Tally:
    """How it ended. `in_flight` counts what had been sent and was not recorded when a fault came."""

    deliveries: int
    lost: int
    duplicates: int
    in_flight: int


class Program(Child):
    """A worker, a beat or a shop."""

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        """End it as a power cut would, with whatever it was doing."""
        self.process.kill()
        self.process.wait()
        wait_until(lambda: not self._session(), 10)  # its pool dies with it

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
                preexec_fn=bound_to(os.getpid()),  # noqa: PLW1509 - as in config.children
            )
        self._reports: queue.Queue[Report | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def begin(self, **job: Any) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(asdict(Job(**job))) + "\n")
        self.process.stdin.flush()

    def report(self, within_s: float = 60) -> Report:
        report = self._reports.get(timeout=within_s)
        assert report, "The shop's process has died."
        return report

    def do(self, **job: Any) -> Report:
        self.begin(**job)
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


class Surroundings:
    """One installation without its web, taken apart. The test's own connection leads to the same database."""

    def __init__(self, directory: Path, database_url: str, broker: Broker, receiver: Receiver) -> None:
        self.directory = directory
        self.broker = broker
        self.receiver = receiver
        self.clock = directory / "clock"
        self.programs: list[Program] = []
        self.shops: list[Shop] = []
        self.faults: list[Fault] = []
        self._saved = 0
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CALLBACKS_", "PYTEST_"))}
        self.env = kept | {
            "DATA_DIR": str(directory),
            "DATABASE_URL": database_url,
            "REDIS_URL": broker.url,
            "CALLBACKS_ALLOWED_NETWORKS": "127.0.0.1/32",
            "CALLBACKS_ALLOWED_PORTS": str(receiver.port),
            "LOG_LEVEL": "WARNING",
            "PYTHONPATH": str(ROOT),
        }

    # --- processes -----------------------------------------------------------
    def worker(self, *, concurrency: int = 2, **tampering: str) -> Program:
        """Start a worker as the product does; with `tampering`, one with something wrong in it."""
        alone = ["--without-mingle", "--without-gossip"]
        name = f"--hostname=w{len(self.programs)}@test"
        return self._celery(
            "worker", "--pool=prefork", f"--concurrency={concurrency}", *alone, name, tampering=tampering
        )

    def beat(self, **tampering: str) -> Program:
        schedule = self.directory / f"beat-schedule-{len(self.programs)}"
        return self._celery("beat", f"--schedule={schedule}", "--pidfile=", tampering=tampering)

    def _celery(self, *arguments: str, tampering: Mapping[str, str]) -> Program:
        module = ["tests.chaos.tampered", "celery"] if tampering else ["celery"]
        warning = "ignore:You're running the worker with superuser"
        common = ["--quiet", "--skip-checks", "--workdir", str(ROOT), "-A", "config"]
        command = [sys.executable, "-W", warning, "-m", *module, *common, *arguments, "--loglevel=warning"]
        log = self.directory / f"{arguments[0]}.log"
        program = Program(arguments[0], command, self.env | tampering, log=log)
        self.programs.append(program)
        return program

    def shop(self, **tampering: str) -> Shop:
        module = ["tests.chaos.tampered", "shop"] if tampering else ["tests.chaos.shop"]
        shop = Shop([sys.executable, "-m", *module], self.env | tampering, self.directory / "shop.log")
        self.shops.append(shop)
        return shop

    def dying(self, place: str) -> dict[str, str]:
        """The tampering for a process that dies once at this place."""
        return {"CHAOS_DIE_AT": place, "CHAOS_DIE_ONCE": str(self.directory / "died")}

    @property
    def has_died(self) -> bool:
        return (self.directory / "died").exists()

    def set_clock(self, seconds: float) -> None:
        """Set the clock of all processes that were started with `wrong_clock`."""
        new = self.clock.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self.clock)

    @property
    def wrong_clock(self) -> dict[str, str]:
        if not self.clock.exists():
            self.set_clock(0)
        return {"CHAOS_CLOCK": str(self.clock)}

    def close(self) -> None:
        for shop in self.shops:
            shop.stop()
        for program in self.programs:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGCONT)
            program.stop(0)

    def log(self) -> str:
        return "\n".join(
            f"{path.name}: {path.read_text(errors='replace')[-3000:]}" for path in self.directory.glob("*.log")
        )

    # --- affiliates, orders --------------------------------------------------
    def affiliates(self, count: int, **fields: Any) -> list[str]:
        """Make affiliates with both callbacks, each to a path of its own; their codes."""
        from tests.factories import AffiliateFactory, callbacks_for  # Django is set up only now

        made = [AffiliateFactory() for _ in range(count)]
        for affiliate in made:
            callbacks_for(affiliate, self.receiver.url(f"/{affiliate.code}") + QUERY, **fields)
        return [affiliate.code for affiliate in made]

    def affiliate_without_callbacks(self) -> str:
        from tests.factories import AffiliateFactory  # as above

        return AffiliateFactory().code

    def next_number(self, count: int) -> int:
        """The first of so many order numbers that nobody has used."""
        self._saved += count
        return self._saved - count + 1

    def place(self, deliveries: int, *, affiliates: int = 4) -> list[str]:
        """Save orders that make so many deliveries, half of them *created*, half *updated*; the affiliates' codes."""
        count, codes = deliveries // 2, self.affiliates(affiliates)
        shop = self.shop()
        shop.begin(first=self.next_number(count), count=count, codes=codes, is_bulk=True, is_changed=True)
        assert len(shop.report(within_s=300).saved) == count
        return codes

    # --- deliveries ----------------------------------------------------------
    def claimed(self) -> frozenset[str]:
        from callbacks.models import Delivery

        return frozenset(str(i) for i in Delivery.objects.filter(status="sending").values_list("event_id", flat=True))

    def note_fault(self) -> Fault:
        """Remember what was claimed when a fault came: only that may come twice. To be called with the worker down."""
        fault = Fault(self.claimed(), time.time())
        self.faults.append(fault)
        return fault

    def expire_leases(self) -> None:
        """Put the leases of what is claimed into the past, which is what a minute of waiting would do."""
        from django.utils import timezone

        from callbacks.models import Delivery

        Delivery.objects.filter(status="sending").update(leased_until=timezone.now() - timedelta(seconds=1))

    def make_due(self) -> None:
        """Make every retry due now, which is what waiting for it would do."""
        from django.utils import timezone

        from callbacks.models import Delivery

        Delivery.objects.filter(status="pending").update(next_attempt_at=timezone.now())

    def states(self) -> dict[str, int]:
        from callbacks.models import Delivery

        return dict(Counter(Delivery.objects.values_list("status", flat=True)))

    def wait_until_sent(self, within_s: float) -> float:
        """Wait until nothing is pending or being sent; the seconds that took."""
        began = time.monotonic()
        wait_until(
            lambda: not self.states().keys() & {"pending", "sending"}, within_s, lambda: f"{self.states()} {self.log()}"
        )
        return time.monotonic() - began

    # --- the count -----------------------------------------------------------
    def tally(self, refused: Collection[str] = ()) -> Tally:
        """Count, and assert what holds after every fault: nothing is lost; twice came only what was in flight at a
        fault, under the same id; per order *created* came before *updated*.

        What was `refused`, or got no answer, came again rightly.
        """
        from callbacks.models import Delivery
        from orders.models import Order

        requests = list(self.receiver.requests)
        came: dict[str, list[float]] = defaultdict(list)
        for request in requests:
            event_id = request.header("webhook-id")
            assert event_id and ("id", event_id) in request.query
            came[event_id].append(request.at)
        rows = Delivery.objects.exclude(status="skipped").values_list("event_id", "status")
        states = {str(event_id): status for event_id, status in rows}
        assert came.keys() <= states.keys(), "Something was sent that is not in the database."
        lost = [event_id for event_id, status in states.items() if status != "succeeded" or event_id not in came]
        assert not lost, f"lost: {len(lost)} of {len(states)}: {self.states()} {self.log()}"
        told = set(Delivery.objects.filter(event="order.created").values_list("order__number", flat=True))
        wanted = Order.objects.filter(affiliate__callback_settings__event="order.created")
        untold = set(wanted.values_list("number", flat=True)) - told
        assert not untold, f"saved, but never recorded: {untold}"
        twice = {event_id for event_id, times in came.items() if len(times) > 1}.difference(refused)
        excused = set().union(*(fault.event_ids for fault in self.faults))
        assert twice <= excused, f"came twice without a reason: {len(twice - excused)} of {len(states)}; {self.log()}"
        in_flight = sum(min(came[i]) < fault.at for fault in self.faults for i in fault.event_ids if i in came)
        duplicates = sum(len(came[event_id]) - 1 for event_id in twice)
        assert duplicates <= in_flight, f"{duplicates} duplicates of {in_flight} in flight"
        self._assert_order()
        return Tally(len(states), len(lost), duplicates, in_flight)

    def _assert_order(self) -> None:
        created: set[str] = set()
        for request in self.receiver.requests:
            query = dict(request.query)
            if query["event"] == "order.created":
                created.add(query["order"])
            assert query["order"] in created, f"{query['order']} was updated before it was created."


@contextlib.contextmanager
def connected(database_url: str) -> Iterator[None]:
    """Have this process's connection lead to another database of the same kind."""
    import environ
    from django.db import connection, connections

    settings = connections.settings["default"]
    before = {name: settings[name] for name in ("NAME", "OPTIONS")}
    url = environ.Env.db_url_config(database_url)
    connections.close_all()
    settings["NAME"] = url["NAME"]
    settings["OPTIONS"] = settings["OPTIONS"] | url.get("OPTIONS", {})
    try:
        assert connection.settings_dict is settings
        yield
    finally:
        connections.close_all()
        settings.update(before)
