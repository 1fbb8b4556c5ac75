"""Looks up many names at once, each in a thread of its own, because the system's resolver may hang.

libcurl does that as well, but with twenty threads, two for each name: ten names whose DNS is silent would keep every
other name waiting. The addresses found here are handed to libcurl. Which of them may be called is decided where the
socket is opened, and not here.
"""

import socket
from collections import deque
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic

# Addresses are used without a new lookup for FRESH_S. Until USABLE_S they are still used at once, while a new lookup
# runs: a tracker that is called often does not suffer when its DNS is slow or down.
FRESH_S = 60.0
USABLE_S = 600.0
MAX_THREADS = 256
MAX_CACHED = 10_000

Addresses = tuple[str, ...]


def system_lookup(name: str) -> Addresses:
    """The addresses of `name`, in the order to try them; none if it is not found. There is no time limit."""
    try:
        found = socket.getaddrinfo(name.encode("ascii"), None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(address[0]).partition("%")[0] for *_, address in found))


class Resolver:
    """Looks up names in the background and caches what it finds.

    For one thread of one process. Only `look_up` runs in other threads, which do not keep the process alive.
    """

    def __init__(
        self,
        look_up: Callable[[str], Addresses] = system_lookup,
        *,
        max_threads: int = MAX_THREADS,
        max_cached: int = MAX_CACHED,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._look_up = look_up
        self._max_threads = max_threads
        self._max_cached = max_cached
        self._clock = clock
        self._cache: dict[str, tuple[float, Addresses]] = {}  # by name: when it was found, and what
        self._pending: set[str] = set()
        self._queue: deque[str] = deque()  # pending names that wait for a thread
        self._threads = 0
        self._results: SimpleQueue[tuple[str, Addresses]] = SimpleQueue()
        self._received: list[tuple[str, Addresses]] = []

    @property
    def is_busy(self) -> bool:
        """Whether a lookup is running, or its result has not been given back yet."""
        return bool(self._pending)

    def cached(self, name: str) -> Addresses:
        """The addresses of `name`. If there are none yet, a lookup starts and `results` will give what it found."""
        found_at, addresses = self._cache.get(name, (0.0, ()))
        age = self._clock() - found_at
        if (not addresses or age > FRESH_S) and name not in self._pending:
            self._pending.add(name)
            self._queue.append(name)
            self._start_queued()
        return addresses if age <= USABLE_S else ()

    def results(self) -> Iterator[tuple[str, Addresses]]:
        """Each name whose lookup has ended since the last call, with its addresses; none if it was not found."""
        self.wait(0)
        received, self._received = self._received, []
        for name, addresses in received:
            self._threads -= 1
            self._pending.discard(name)
            if addresses:
                if len(self._cache) >= self._max_cached:
                    self._cache.clear()
                self._cache[name] = self._clock(), addresses
            yield name, addresses
        self._start_queued()

    def wait(self, seconds: float) -> None:
        """Wait until `results` has something to give, or `seconds` are over."""
        try:
            self._received.append(self._results.get(timeout=seconds) if seconds > 0 else self._results.get_nowait())
            while True:
                self._received.append(self._results.get_nowait())
        except Empty:
            pass

    def _start_queued(self) -> None:
        while self._queue and self._threads < self._max_threads:
            name = self._queue.popleft()
            self._threads += 1
            try:
                Thread(target=self._run, args=(name,), daemon=True).start()
            except RuntimeError:  # the system gives us no more threads
                self._results.put((name, ()))

    def _run(self, name: str) -> None:
        addresses: Addresses = ()
        try:
            addresses = self._look_up(name)
        finally:
            self._results.put((name, addresses))
