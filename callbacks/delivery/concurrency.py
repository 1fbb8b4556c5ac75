"""Who may have how many requests in flight, so that no endpoint and no host holds the places that others need.

Pure bookkeeping of one worker process: no database, no clock, no network.

- A host has a limited number of places, and one endpoint (a callback setting) has not all of its host's.
- An endpoint starts with a few places. Each answer earns it one more; each attempt that was given up for being slow
  halves them, so that one that hangs is soon down to a single place.
- Endpoints that have not answered lately share half of all places at most, however many they are: a thousand that
  hang leave the other half to those that work.
- Endpoints take turns.
"""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

PLACES = 256
PLACES_PER_HOST = 32
PLACES_PER_ENDPOINT = 24
FIRST_PLACES = 4
# How many may wait in a lane: enough to keep an endpoint that answers busy until the next claim.
WAITING = 500


class Job(Protocol):
    """Something to be sent to one endpoint at one host."""

    @property
    def setting_id(self) -> int | None: ...
    @property
    def host(self) -> str: ...


J = TypeVar("J", bound=Job)


@dataclass(slots=True)
class _EndpointQueue(Generic[J]):
    waiting: deque[J] = field(default_factory=deque)
    in_flight: int = 0
    places: int = FIRST_PLACES
    is_trusted: bool = False

    @property
    def is_full(self) -> bool:
        return len(self.waiting) >= (WAITING if self.is_trusted else self.places)


class EndpointQueues(Generic[J]):
    """The jobs of one worker process, waiting and in flight, in a lane for each endpoint.

    A lane that is empty is kept: what it learned of its endpoint is worth more than its few bytes.
    """

    def __init__(self, places: int = PLACES) -> None:
        self._places = places
        self._lanes: dict[int | None, _EndpointQueue[J]] = {}
        self._turn: deque[int | None] = deque()  # endpoints with something waiting, each once
        self._hosts: Counter[str] = Counter()  # places taken
        self._untrusted = 0  # places taken by lanes that are not trusted
        self._in_flight = 0
        self._waiting = 0

    @property
    def waiting(self) -> int:
        return self._waiting

    @property
    def in_flight(self) -> int:
        return self._in_flight

    def full(self) -> list[int]:
        """The endpoints for which nothing more should be claimed for now."""
        return [endpoint for endpoint in self._turn if endpoint is not None and self._lanes[endpoint].is_full]

    def offer(self, job: J) -> bool:
        """Put a job into its lane; False if the lane has enough waiting."""
        lane = self._lanes.setdefault(job.setting_id, _EndpointQueue())
        if lane.is_full and not (lane.is_trusted and len(lane.waiting) < 2 * WAITING):
            return False
        if not lane.waiting:
            self._turn.append(job.setting_id)
        lane.waiting.append(job)
        self._waiting += 1
        return True

    def start(self) -> Iterator[J]:
        """The jobs that may be sent now, in turn; each is in flight as soon as it is given out."""
        passed = 0
        while passed < len(self._turn) and self._in_flight < self._places:
            endpoint = self._turn[0]
            lane = self._lanes[endpoint]
            self._turn.rotate(-1)
            if not self._may_start(lane):
                passed += 1
                continue
            passed = 0
            job = lane.waiting.popleft()
            if not lane.waiting:
                self._turn.pop()  # rotated to the end just now
            self._waiting -= 1
            self._in_flight += 1
            lane.in_flight += 1
            self._hosts[job.host] += 1
            self._untrusted += not lane.is_trusted
            yield job

    def finish(self, job: J, *, is_slow: bool) -> None:
        """A job is no more in flight. `is_slow`: it was given up because no answer came in time."""
        self.cancel(job)
        lane = self._lanes[job.setting_id]
        if lane.is_trusted == is_slow:  # the lane's other places change sides with it
            self._untrusted += lane.in_flight if is_slow else -lane.in_flight
            lane.is_trusted = not is_slow
        lane.places = max(1, lane.places // 2) if is_slow else min(PLACES_PER_ENDPOINT, lane.places + 1)

    def cancel(self, job: J) -> None:
        """A job is no more in flight, and was never sent: nothing was learned of its endpoint."""
        lane = self._lanes[job.setting_id]
        self._in_flight -= 1
        self._hosts[job.host] -= 1
        if not self._hosts[job.host]:
            del self._hosts[job.host]
        self._untrusted -= not lane.is_trusted
        lane.in_flight -= 1

    def take_out(self, host: str | None = None) -> list[J]:
        """Take out everything that waits, or what waits for one host."""
        jobs: list[J] = []
        for lane in (self._lanes[endpoint] for endpoint in self._turn):
            taken = [job for job in lane.waiting if host in (None, job.host)]
            if taken:
                lane.waiting = deque(job for job in lane.waiting if host not in (None, job.host))
                jobs += taken
        self._turn = deque(endpoint for endpoint in self._turn if self._lanes[endpoint].waiting)
        self._waiting -= len(jobs)
        return jobs

    def _may_start(self, lane: _EndpointQueue[J]) -> bool:
        return (
            lane.in_flight < lane.places
            and self._hosts[lane.waiting[0].host] < PLACES_PER_HOST
            and (lane.is_trusted or self._untrusted < self._places // 2)
        )
