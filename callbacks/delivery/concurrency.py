"""Decides how many requests may be in flight, so that no endpoint and no host takes the slots that others need.

Bookkeeping of one worker process: no database, no clock, no network.

- A host has a limited number of slots, and one endpoint (a callback setting) cannot take all slots of its host.
- An endpoint starts with a few slots. Each answer adds one; each attempt that was given up because it was slow halves
  them, so an endpoint that hangs soon has a single slot.
- All endpoints that have not answered lately share half of all slots: a thousand that hang leave the other half to
  those that work.
- Endpoints take turns.
"""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

SLOTS = 256
SLOTS_PER_HOST = 32
SLOTS_PER_ENDPOINT = 24
INITIAL_SLOTS = 4  # of an endpoint that has not answered yet
# How many items may wait for one endpoint: enough to keep one that answers busy until the next claim.
MAX_WAITING = 500


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

    @property
    def is_full(self) -> bool:
        return len(self.waiting) >= (MAX_WAITING if self.is_responsive else self.slots)


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
        if queue.is_full and not (queue.is_responsive and len(queue.waiting) < 2 * MAX_WAITING):
            return False
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
            yield item

    def finish(self, item: ItemT, *, is_slow: bool) -> None:
        """An item is no longer in flight. `is_slow`: it was given up because no answer came in time."""
        self.cancel(item)
        queue = self._queues[item.setting_id]
        if queue.is_responsive == is_slow:  # it changes, and its other slots in use are counted on the other side
            self._unresponsive += queue.in_flight if is_slow else -queue.in_flight
            queue.is_responsive = not is_slow
        queue.slots = max(1, queue.slots // 2) if is_slow else min(SLOTS_PER_ENDPOINT, queue.slots + 1)

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
        removed: list[ItemT] = []
        for queue in (self._queues[endpoint] for endpoint in self._turns):
            found = [item for item in queue.waiting if host in (None, item.host)]
            if found:
                queue.waiting = deque(item for item in queue.waiting if host not in (None, item.host))
                removed += found
        self._turns = deque(endpoint for endpoint in self._turns if self._queues[endpoint].waiting)
        self._waiting -= len(removed)
        return removed

    def _may_start(self, queue: _EndpointQueue[ItemT]) -> bool:
        return (
            queue.in_flight < queue.slots
            and self._hosts[queue.waiting[0].host] < SLOTS_PER_HOST
            and (queue.is_responsive or self._unresponsive < self._slots // 2)
        )
