"""Looks names up, many at once, each in a thread of its own, because the system's resolver may hang in there.

libcurl does that as well, but in twenty threads and with two for each name: ten names whose DNS is silent would keep
every other name waiting. What is found here is handed to libcurl; which of the addresses may be called is decided
where the socket is opened and not here.
"""

import socket
from collections import deque
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic

# What was found is taken for true so long; for some time after that it is still used at once, and asked for again
# beside, so that a tracker that is called often does not feel that its DNS is slow or away.
FRESH_S = 60.0
USABLE_S = 600.0
AT_ONCE = 256
REMEMBERED = 10_000

Addresses = tuple[str, ...]


def by_the_system(name: str) -> Addresses:
    """The addresses of `name`, in the order to try them; none if it is not found. Takes as long as it takes."""
    try:
        found = socket.getaddrinfo(name.encode("ascii"), None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(place[0]).partition("%")[0] for *_, place in found))


class Lookups:
    """For one thread of one process; only `look_up` runs in others, which do not keep the process alive."""

    def __init__(self, look_up: Callable[[str], Addresses] = by_the_system) -> None:
        self._look_up = look_up
        self._known: dict[str, tuple[float, Addresses]] = {}
        self._asked: set[str] = set()
        self._waiting: deque[str] = deque()
        self._threads = 0
        self._answers: SimpleQueue[tuple[str, Addresses]] = SimpleQueue()
        self._heard: list[tuple[str, Addresses]] = []

    @property
    def is_asking(self) -> bool:
        """Whether there is or will be something to be heard."""
        return bool(self._asked)

    def known(self, name: str) -> Addresses:
        """The addresses of `name`; none if they are not known, and then `heard` will say what was found."""
        found_at, addresses = self._known.get(name, (0.0, ()))
        age = monotonic() - found_at
        if not addresses or age > FRESH_S:
            self._ask(name)
        return addresses if age <= USABLE_S else ()

    def heard(self) -> Iterator[tuple[str, Addresses]]:
        """Each name that was looked up since the last call, with what was found; nothing is an answer, too."""
        self.wait(0)
        heard, self._heard = self._heard, []
        for name, addresses in heard:
            self._threads -= 1
            self._asked.discard(name)
            if addresses:
                if len(self._known) >= REMEMBERED:
                    self._known.clear()
                self._known[name] = monotonic(), addresses
            yield name, addresses
        while self._waiting and self._threads < AT_ONCE:
            self._start(self._waiting.popleft())

    def wait(self, seconds: float) -> None:
        """Wait until there is something to be heard, or `seconds` are over."""
        try:
            self._heard.append(self._answers.get(timeout=seconds) if seconds > 0 else self._answers.get_nowait())
            while True:
                self._heard.append(self._answers.get_nowait())
        except Empty:
            pass

    def _ask(self, name: str) -> None:
        if name not in self._asked:
            self._asked.add(name)
            self._waiting.append(name)
            if self._threads < AT_ONCE:
                self._start(self._waiting.popleft())

    def _start(self, name: str) -> None:
        self._threads += 1
        try:
            Thread(target=self._answer, args=(name,), daemon=True).start()
        except RuntimeError:  # the system has no more
            self._answers.put((name, ()))

    def _answer(self, name: str) -> None:
        addresses: Addresses = ()
        try:
            addresses = self._look_up(name)
        finally:
            self._answers.put((name, addresses))
