"""Decides how many requests may be in flight, so that no endpoint and no host takes the slots that others need.

Bookkeeping of one worker process: no database, no clock, no network.

- A host has a limited number of slots, and one endpoint (a callback setting) cannot take all slots of its host.
- An endpoint starts with a few slots. Each answer adds one; each attempt that was given up because it was slow halves
  them, so an endpoint that hangs soon has a single slot.
- An answer that asks us to wait (429 or 503 with Retry-After) halves them too, and holds the endpoint until then. As
  long as nothing succeeds between two such answers, the wait doubles, up to `LONGEST_BACKOFF_S`. If the wait is short,
  the tracker has a limit: from then on it gets as many in such a time as it took before, and slowly more.
- All endpoints that have not answered lately share half of all slots: a thousand that hang leave the other half to
  those that work.
- Endpoints take turns.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

SLOTS = 256
SLOTS_PER_HOST = 32
SLOTS_PER_ENDPOINT = 24
INITIAL_SLOTS = 4  # of an endpoint that has not answered yet
# How many items may wait for one endpoint: enough to keep one that answers busy until the next claim.
MAX_WAITING = 500
LONGEST_BACKOFF_S = 300.0
# A wait that is no longer tells of a limit of so many requests in so much time. After some times without another such
# answer, half as many more are tried.
LONGEST_PACE_S, PATIENCE = 10.0, 3


class Item(Protocol):
    """Something to be sent to one endpoint at one host."""

    @property
    def setting_id(self) -> int | None: ...
    @property
    def host(self) -> str: ...


ItemT = TypeVar("ItemT", bound=Item)


@dataclass(slots=True)
class _EndpointQueue(Generic[ItemT]):
    waiting: deque[ItemT] = field(default_factory=deque)
    in_flight: int = 0
    slots: int = INITIAL_SLOTS
    is_responsive: bool = False  # whether its last attempt was answered in time
    held_until: float = 0.0
    holds: int = 0  # in a row, without a success between them
    # While it has a limit: how many it gets in how much time, how often it has taken them all, and since when how many
    # were sent.
    limit: int = 0
    pace_s: float = 0.0
    kept: int = 0
    since: float = 0.0
    sent: int = 0
    succeeded: int = 0

    @property
    def is_full(self) -> bool:
        most = min(MAX_WAITING, 2 * self.limit or MAX_WAITING)
        return len(self.waiting) >= (most if self.is_responsive else self.slots)


class EndpointQueues(Generic[ItemT]):
    """The items of one worker process, waiting and in flight, in a queue for each endpoint.

    An empty queue is kept, because it knows how many slots its endpoint has earned.
    """

    def __init__(self, slots: int = SLOTS) -> None:
        self._slots = slots
        self._queues: dict[int | None, _EndpointQueue[ItemT]] = {}
        self._turns: deque[int | None] = deque()  # endpoints with something waiting, each once
        self._hosts: Counter[str] = Counter()  # slots in use
        self._unresponsive = 0  # slots in use by endpoints that are not responsive
        self._in_flight = 0
        self._waiting = 0
        self._held: set[int | None] = set()
        self._clock = 0.0

    @property
    def waiting(self) -> int:
        return self._waiting

    @property
    def in_flight(self) -> int:
        return self._in_flight

    def full(self) -> list[int]:
        """The endpoints for which nothing more should be claimed for now."""
        return [endpoint for endpoint in self._turns if endpoint is not None and self._queues[endpoint].is_full]

    def put(self, item: ItemT) -> bool:
        """Add an item to the queue of its endpoint; False if enough is waiting there."""
        queue = self._queues.setdefault(item.setting_id, _EndpointQueue())
        if queue.is_full and not (queue.is_responsive and not queue.limit and len(queue.waiting) < 2 * MAX_WAITING):
            return False
        is_idle = not (queue.waiting or queue.in_flight or queue.limit)
        if is_idle and self._clock - queue.since > LONGEST_PACE_S:  # what it took before a pause tells of no limit
            queue.since, queue.succeeded = 0.0, 0
        if not queue.waiting:
            self._turns.append(item.setting_id)
        queue.waiting.append(item)
        self._waiting += 1
        return True

    def start(self) -> Iterator[ItemT]:
        """The items that may be sent now, endpoints in turn; each is in flight as soon as it is yielded."""
        passed = 0
        while passed < len(self._turns) and self._in_flight < self._slots:
            endpoint = self._turns[0]
            queue = self._queues[endpoint]
            self._turns.rotate(-1)
            if not self._may_start(queue):
                passed += 1
                continue
            passed = 0
            item = queue.waiting.popleft()
            if not queue.waiting:
                self._turns.pop()  # rotated to the end just now
            self._waiting -= 1
            self._in_flight += 1
            queue.in_flight += 1
            self._hosts[item.host] += 1
            self._unresponsive += not queue.is_responsive
            queue.since = queue.since or self._clock
            queue.sent += 1
            if queue.limit and queue.sent >= queue.limit:
                self._hold(item.setting_id, queue.since + queue.pace_s)
            yield item

    def finish(self, item: ItemT, *, is_slow: bool, is_success: bool = False) -> None:
        """An item is no longer in flight. `is_slow`: it was given up because no answer came in time."""
        self.cancel(item)
        queue = self._queues[item.setting_id]
        if queue.is_responsive == is_slow:  # it changes, and its other slots in use are counted on the other side
            self._unresponsive += queue.in_flight if is_slow else -queue.in_flight
            queue.is_responsive = not is_slow
        queue.slots = max(1, queue.slots // 2) if is_slow else min(SLOTS_PER_ENDPOINT, queue.slots + 1)
        queue.holds = 0 if is_success else queue.holds
        queue.succeeded += is_success

    def hold(self, item: ItemT, asked_s: float) -> float:
        """The answer to an item, now in flight no longer, asks us to wait. Returns for how many seconds we do."""
        self.cancel(item)
        queue = self._queues[item.setting_id]
        queue.slots = max(1, queue.slots // 2)
        if queue.since:  # of several that were in flight together, the first one counts
            queue.holds += 1
            queue.pace_s, queue.kept = (asked_s, -1) if asked_s <= LONGEST_PACE_S else (0.0, 0)
            share = asked_s / max(asked_s, self._clock - queue.since)
            queue.limit = max(1, round(queue.succeeded * share)) if queue.pace_s else 0
            queue.since, queue.sent, queue.succeeded = 0.0, 0, 0
        wait_s = max(asked_s, min(asked_s * 2 ** (queue.holds - 1), LONGEST_BACKOFF_S))
        self._hold(item.setting_id, max(queue.held_until, self._clock + wait_s))
        return queue.held_until - self._clock

    def release(self, clock: float) -> bool:
        """End what is held no longer than until now, in seconds of a clock. True if there was anything."""
        self._clock = clock
        over = [endpoint for endpoint in self._held if self._queues[endpoint].held_until <= clock]
        for endpoint in over:
            self._held.remove(endpoint)
            queue = self._queues[endpoint]
            queue.held_until, queue.since, queue.sent, queue.succeeded = 0.0, 0.0, 0, 0
            queue.kept += 1
            if queue.kept >= PATIENCE:
                queue.kept, queue.limit = 0, queue.limit + max(1, queue.limit // 2)
            if queue.limit >= SLOTS:
                queue.limit = 0
        return bool(over)

    def release_long_holds(self, until: float) -> list[ItemT]:
        """End holds that last longer, which the database knows too; returns what waits for these endpoints, removed."""
        over = {endpoint for endpoint in self._held if self._queues[endpoint].held_until > until}
        for endpoint in over:
            self._queues[endpoint].held_until = 0.0
        self._held -= over
        return self._remove_waiting(lambda endpoint, _: endpoint in over) if over else []

    def cancel(self, item: ItemT) -> None:
        """An item is no longer in flight and was never sent, so it says nothing about its endpoint."""
        queue = self._queues[item.setting_id]
        self._in_flight -= 1
        self._hosts[item.host] -= 1
        if not self._hosts[item.host]:
            del self._hosts[item.host]
        self._unresponsive -= not queue.is_responsive
        queue.in_flight -= 1

    def remove_waiting(self, host: str | None = None) -> list[ItemT]:
        """Remove everything that waits, or what waits for one host."""
        return self._remove_waiting(lambda _, item: host in (None, item.host))

    def _remove_waiting(self, is_meant: Callable[[int | None, ItemT], bool]) -> list[ItemT]:
        removed: list[ItemT] = []
        for endpoint in self._turns:
            queue = self._queues[endpoint]
            found = [item for item in queue.waiting if is_meant(endpoint, item)]
            if found:
                queue.waiting = deque(item for item in queue.waiting if not is_meant(endpoint, item))
                removed += found
        self._turns = deque(endpoint for endpoint in self._turns if self._queues[endpoint].waiting)
        self._waiting -= len(removed)
        return removed

    def _hold(self, endpoint: int | None, until: float) -> None:
        self._queues[endpoint].held_until = until
        self._held.add(endpoint)

    def _may_start(self, queue: _EndpointQueue[ItemT]) -> bool:
        return (
            queue.in_flight < queue.slots
            and not queue.held_until
            and self._hosts[queue.waiting[0].host] < SLOTS_PER_HOST
            and (queue.is_responsive or self._unresponsive < self._slots // 2)
        )
