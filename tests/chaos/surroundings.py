"""What a fault happens in: a database, a broker and a receiver of its own, and the product's real processes.

Each of them can be killed, stopped, frozen and started again alone; all of them end with the test, by their process
ids. Imported before Django is set up, so what needs it is imported where it is needed.
"""

import contextlib
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.chaos import offering
from tests.chaos.broker import Broker
from tests.chaos.processes import ROOT, Program, Shop
from tests.receiver import Receiver
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.chaos.counting import Counts, Fault
    from tests.chaos.offering import Offered

IS_FULL = os.environ.get("CHAOS", "short") == "full"
# It knows its affiliate, order, event and delivery by the query alone.
QUERY = "?order={{order.number}}&event={{event}}&status={{order.status}}&id={{event.id}}"


def size(short: int, full: int) -> int:
    """How large a test is: short with every run of the suite, full in `make chaos`."""
    return full if IS_FULL else short


class Surroundings:
    """One installation, taken apart. The test's own connection leads to the same database."""

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
    def worker(self, *, concurrency: int = 2, release: Path = ROOT, **tampering: str) -> Program:
        """Start a worker as the product does; with `tampering`, one with something wrong in it. `release` is where the
        source of another release lies.
        """
        arguments = ("worker", "--pool=prefork", f"--concurrency={concurrency}")
        if release != ROOT:  # where workers had one name on a host
            arguments += ("--without-mingle", "--without-gossip", f"--hostname=w{len(self.programs)}@test")
        return self._celery(*arguments, release=release, tampering=tampering)

    def beat(self, release: Path = ROOT, **tampering: str) -> Program:
        schedule = self.directory / f"beat-schedule-{len(self.programs)}"
        file = () if release == ROOT else (f"--schedule={schedule}", "--pidfile=")
        return self._celery("beat", *file, release=release, tampering=tampering)

    def _celery(self, *arguments: str, release: Path, tampering: Mapping[str, str]) -> Program:
        module = ["tests.chaos.tampered", "celery"] if tampering else ["celery"]
        common = ["--quiet", "--skip-checks", "--workdir", str(release), "-A", "config"]
        return self._start(arguments[0], [*module, *common, *arguments, "--loglevel=warning"], release, tampering)

    def web(self, port: int = 0, release: Path = ROOT, **tampering: str) -> Program:
        """Start a web process as the product does, and wait until it answers; `port` is that of an earlier one."""
        with socket.create_server(("127.0.0.1", port), backlog=1024) as listener:
            number = str(listener.fileno())
            module = ["tests.chaos.tampered", "web", number] if tampering else ["config.stack.web", number]
            program = self._start("web", module, release, tampering, pass_fds=[listener.fileno()])
            program.port = listener.getsockname()[1]
        wait_until(lambda: program.has_ended() or offering.answers(program.port), 30, self.log)
        assert not program.has_ended(), self.log()
        return program

    def program(self, name: str, module: list[str], **env: str) -> Program:
        """Start another program of this project."""
        return self._start(name, module, ROOT, env)

    def _start(
        self, name: str, module: list[str], release: Path, tampering: Mapping[str, str], pass_fds: Sequence[int] = ()
    ) -> Program:
        warning = "ignore:You're running the worker with superuser"
        # In its folder, and without ours (-P): Celery imports from the working directory too.
        command = ["env", "-C", str(release), sys.executable, "-P", "-W", warning, "-m", *module]
        log = self.directory / f"{name if release == ROOT else f'previous-{name}'}.log"
        env = self.env | {"PYTHONPATH": str(release)} | tampering
        program = Program(name, command, env, log=log, pass_fds=pass_fds)
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
            program.resume()
            program.stop(0)

    def tally(self, offered: "Offered") -> "Counts":
        """What has come of it so far, without judging it."""
        from tests.chaos import counting

        return counting.tally(list(self.receiver.requests), self.faults, offered=offered)

    def log(self) -> str:
        return "\n".join(
            f"{path.name}: {path.read_text(errors='replace')[-3000:]}" for path in self.directory.glob("*.log")
        )

    # --- affiliates, orders --------------------------------------------------
    def affiliates(self, count: int, **fields: Any) -> list[str]:
        """Make affiliates with both callbacks, each to a path of its own; their codes."""
        from tests.factories import AffiliateFactory, callbacks_for

        made = [AffiliateFactory() for _ in range(count)]
        for affiliate in made:
            callbacks_for(affiliate, self.receiver.url(f"/{affiliate.code}") + QUERY, **fields)
        return [affiliate.code for affiliate in made]

    def affiliate_without_callbacks(self) -> str:
        from tests.factories import AffiliateFactory

        return AffiliateFactory().code

    def next_number(self, count: int) -> int:
        """The first of so many order numbers that nobody has used."""
        self._saved += count
        return self._saved - count + 1

    def place(self, deliveries: int, codes: list[str] | None = None, *, changed_each: int = 4) -> list[str]:
        """Save orders that make so many deliveries, one of `changed_each` orders being changed, in turn for affiliates
        with these codes, or for four new ones; the codes.
        """
        from tests.chaos.shop import Batch, do

        codes = codes or self.affiliates(4)
        count = deliveries * changed_each // (changed_each + 1) if changed_each else deliveries
        # In this process, whose wake-ups go to another broker: a worker that starts later looks by itself, others are
        # woken by the sweep.
        saved = do(Batch(self.next_number(count), count, codes, is_bulk=True, changed_each=changed_each)).saved
        assert len(saved) == count
        return codes

    # --- deliveries ----------------------------------------------------------
    def claimed(self, *states: str) -> set[str]:
        """The event ids of what is claimed, or of what is in one of these states."""
        from callbacks.models import Delivery

        found = Delivery.objects.filter(status__in=states or ["sending"])
        return set(map(str, found.values_list("event_id", flat=True)))

    def note_deaths(self) -> "Fault":
        """Note that all who were sending are dead, and what they held: only that may come twice."""
        with socket.create_connection((self.receiver.host, self.receiver.port), 10) as latest:
            latest.sendall(b"\0")
            assert latest.recv(1)  # it had its turn, so had their connections before it
        self.receiver.wait_for_connections(0, 10)  # and all that was sent over them has been read
        return self.note_fault(self.claimed(), time.time())

    def note_fault(self, identity: Collection[str], at: float) -> "Fault":
        from tests.chaos.counting import Fault

        fault = Fault(frozenset(identity), at)
        self.faults.append(fault)
        return fault

    def expire_leases(self, identity: Collection[str] | None = None) -> None:
        """Put the leases of what is claimed, or of these alone, into the past: what a minute of waiting would do."""
        from django.utils import timezone

        from callbacks.models import Delivery

        claimed = Delivery.objects.filter(status="sending")
        if identity is not None:
            claimed = claimed.filter(event_id__in=identity)
        claimed.update(leased_until=timezone.now() - timedelta(seconds=1))

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

    def token(self) -> str:
        """A token for the API."""
        from orders.api import tokens

        return tokens.create("shop")

    def count(self, refused: Collection[str] = (), offered: "Offered | None" = None) -> "Counts":
        """Count what came, and assert what holds after every fault; see `tests.chaos.counting`."""
        from tests.chaos import counting

        try:
            return counting.count(list(self.receiver.requests), self.faults, refused, offered)
        except AssertionError as failure:
            failure.add_note(f"{self.states()} {self.log()}")
            raise


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
