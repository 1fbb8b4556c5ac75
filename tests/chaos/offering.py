"""The shop's back end at the HTTP API: it offers orders and changes of them, and notes what it was answered.

Accepted is what was answered 200 or 201. All else is offered again at the end, as the API asks for. What a fault did to
those who offered is its bite.
"""

import contextlib
import http.client
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.waiting import wait_until

Event = tuple[str, str]  # an order's number, and order.created or order.updated
SLOW_S = 1.0
PATIENCE_S = 40.0  # longer than anything that the API waits for itself


@dataclass
class Offered:
    """What was handed over so far. `refusals` are answers, and ways of not getting one, each with how often it came."""

    events: set[Event] = field(default_factory=set)
    accepted: set[Event] = field(default_factory=set)
    refusals: Counter[str] = field(default_factory=Counter)
    slow: int = 0
    longest_s: float = 0.0

    @property
    def unhappy(self) -> int:
        return self.refusals.total() + self.slow

    @property
    def bite(self) -> str:
        said = [f"{count} times {what}" for what, count in self.refusals.most_common()]
        return ", ".join([*said, *([f"{self.slow} took over {SLOW_S:.0f} s"] if self.slow else [])])


class Offering:
    """Offers orders from several threads, to each of `ports` in turn; a context manager.

    One of `changed_each` orders is approved after it was made. Orders have the numbers from `first` on.
    """

    def __init__(
        self, ports: Sequence[int], token: str, codes: Sequence[str], first: int, *,
        threads: int = 4, pause_s: float = 0.05, changed_each: int = 4,
    ) -> None:  # fmt: skip
        self.ports, self.token, self.codes = list(ports), token, codes
        self.offered = Offered()
        self.asking: Counter[int] = Counter()  # requests that wait for their answers, by port
        self._numbers = itertools.count(first)
        self._pause_s, self._changed_each = pause_s, changed_each
        self._lock, self._stopping = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.end()

    def end(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(PATIENCE_S + 5)
            assert not thread.is_alive()

    def wait_for_more(self, count: int, within_s: float = 30) -> None:
        """Wait until so many more events are accepted."""
        wanted = len(self.offered.accepted) + count
        wait_until(lambda: len(self.offered.accepted) >= wanted, within_s, lambda: self.offered.bite)

    def leave(self, port: int) -> None:
        """Offer nothing more there, and wait until all answers from there have come: what a proxy does."""
        with self._lock:
            self.ports = [other for other in self.ports if other != port]
        wait_until(lambda: not self.asking[port], PATIENCE_S)

    def offer_again(self) -> None:
        """Offer what was not accepted once more, when the fault is over: now all of it has to be taken."""
        assert self._stopping.is_set()
        for number, event in sorted(self.offered.events - self.offered.accepted):
            if event == "order.created":
                self._offer(number, event)
        for number, event in sorted(self.offered.events - self.offered.accepted):
            self._offer(number, event)
        assert self.offered.events == self.offered.accepted, self.offered.bite

    def _run(self) -> None:
        while not self._stopping.is_set():
            with self._lock:
                count = next(self._numbers)
            is_made = self._offer(f"#{count}", "order.created")
            if is_made and count % self._changed_each == 0:
                self._offer(f"#{count}", "order.updated")
            self._stopping.wait(self._pause_s)

    def _offer(self, number: str, event: str) -> bool:
        """Whether it was accepted."""
        count = int(number[1:])
        body = {"number": number, "amount": "58.00", "affiliate": self.codes[count % len(self.codes)]}
        if event == "order.updated":
            body["status"] = "approved"
        with self._lock:
            self.offered.events.add((number, event))
            port = self.ports[(count + (event == "order.updated")) % len(self.ports)]  # made at one, changed at another
            self.asking[port] += 1
        began = time.monotonic()
        answer = self._ask(port, json.dumps(body))
        took = time.monotonic() - began
        with self._lock:
            self.asking[port] -= 1
            self.offered.slow += took > SLOW_S
            self.offered.longest_s = max(self.offered.longest_s, took)
            if answer in {"200", "201"}:
                self.offered.accepted.add((number, event))
            else:
                self.offered.refusals[answer] += 1
        return answer in {"200", "201"}

    def _ask(self, port: int, body: str) -> str:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        with contextlib.closing(line):
            try:
                line.request("POST", "/api/orders", body, headers)
                response = line.getresponse()
                response.read()
            except ConnectionRefusedError:
                return "refused connection"
            except (OSError, http.client.HTTPException):
                return "no answer"
        return str(response.status)


def answers(port: int) -> bool:
    """Whether a web process serves there."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.closing(line):
        try:
            line.request("GET", "/healthz")
            return line.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False


def tracebacks(logs: Iterable[str]) -> list[str]:
    """The lines of these logs that begin a traceback, or tell of an error or where it was raised."""
    lines = [line for log in logs for line in log.splitlines()]
    signs = (" ERROR ", " CRITICAL ", " where=")
    return [line for line in lines if line.startswith("Traceback") or any(sign in line for sign in signs)]
