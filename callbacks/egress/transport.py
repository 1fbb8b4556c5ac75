"""Carries requests over the wire: many at once, bounded in time and size, to allowed addresses only.

It knows nothing of deliveries, retries or the database. Whatever the other side does, and whatever libcurl refuses,
becomes an `Outcome`; an exception out of here is our own bug. Redirects, cookies and compressed bodies are not
followed, kept or unpacked; proxies are not used, unless the operator named one.

The guard is libcurl's open-socket callback (`callbacks.egress.transfer`): it sees the address after resolution, so that no
name can bypass it. Once it has refused an address, the whole transfer is over, also where another address of that
name is being tried at the same time.
"""

from collections import deque
from collections.abc import Callable, Sequence
from select import select
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import certifi
import pycurl

from callbacks.egress import addresses
from callbacks.egress import proxy as proxies
from callbacks.egress.addresses import Policy
from callbacks.egress.dns import Addresses, Lookups, by_the_system
from callbacks.egress.outcome import Outcome, Request
from callbacks.egress.proxy import Proxy
from callbacks.egress.response import Limits
from callbacks.egress.sendable import RefusedError, name_in
from callbacks.egress.transfer import Transfer

if TYPE_CHECKING:
    import socket

    from _typeshed import HasFileno

__all__ = ["Limits", "Outcome", "Policy", "Proxy", "Request", "Transport", "transport_from"]

# While something is on the wire, what was found out about names is heard of this often.
LISTEN_S = 0.01


def transport_from(settings: Any, *, max_in_flight: int) -> "Transport":
    """A transport as the operator configured it: what may be called, through which proxy, trusting whom."""
    return Transport(
        addresses.policy_from(settings),
        ca_bundle=settings.CALLBACKS_CA_BUNDLE,
        proxy=proxies.read(settings.CALLBACKS_PROXY_URL),
        max_in_flight=max_in_flight,
    )


class Transport:
    """Sends requests and gives back their outcomes. Connections are kept between uses.

    For one thread of one process: do not carry it over a fork. `max_in_flight` requests are on the wire at most; what
    is submitted beyond that waits its turn inside, and its time begins when it is sent.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        limits: Limits | None = None,
        ca_bundle: str | None = None,
        proxy: Proxy | None = None,
        look_up: Callable[[str], Addresses] = by_the_system,
        max_in_flight: int = 256,
    ) -> None:
        self._policy = policy
        self._limits = limits or Limits()
        self._ca_bundle = ca_bundle or certifi.where()
        self._proxy = proxy
        self._max_in_flight = max_in_flight
        self._waiting: deque[Request] = deque()
        self._lookups = Lookups(look_up)
        self._looking: dict[str, list[tuple[float, int, Transfer]]] = {}  # by name: since when, port, for whom
        self._busy: dict[pycurl.Curl, Transfer] = {}
        self._idle: list[Transfer] = []
        self._finished: list[Outcome] = []
        self._refused: list[Transfer] = []
        self._sockets: list[socket.socket] = []
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_NOTHING)
        self._multi.setopt(pycurl.M_MAXCONNECTS, max_in_flight)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @property
    def in_flight(self) -> int:
        """How many requests were submitted whose outcome was not yet given back."""
        return self._under_way + len(self._waiting) + len(self._finished)

    @property
    def _under_way(self) -> int:
        return len(self._busy) + sum(map(len, self._looking.values()))

    def submit(self, request: Request) -> None:
        """Take a request. Raises for nothing that stands in it: what cannot be sent has an outcome too."""
        self._waiting.append(request)

    def poll(self, timeout_s: float, beside: "Sequence[HasFileno]" = ()) -> list[Outcome]:
        """Drive the transfers until at least one is finished, something `beside` wakes us, or `timeout_s` is over.

        At once if there are none.
        """
        deadline = monotonic() + timeout_s
        while True:
            self._start_waiting()
            if self._lookups.is_asking:
                self._hear_of_names()
            if self._busy:
                self._multi.perform()
                self._settle()
            if self._finished or not (self._busy or self._looking):
                finished, self._finished = self._finished, []
                return finished
            left = deadline - monotonic()
            if left <= 0:
                return []
            if self._wait(left, beside):
                deadline = 0.0  # one more round for what has come meanwhile

    def close(self) -> None:
        """End everything. Requests still under way are broken off and have no outcome."""
        for transfer in self._busy.values():
            self._multi.remove_handle(transfer.curl)
        for transfer in [*self._busy.values(), *self._idle]:
            transfer.curl.close()
        for waiting in self._looking.values():
            for _, _, transfer in waiting:
                transfer.curl.close()
        self._looking.clear()
        self._busy.clear()
        self._idle.clear()
        self._waiting.clear()
        self._close_sockets()
        self._multi.close()

    def _start_waiting(self) -> None:
        while self._waiting and self._under_way < self._max_in_flight:
            request = self._waiting.popleft()
            transfer = self._idle.pop() if self._idle else self._new_transfer()
            try:
                transfer.prepare(request)
            except RefusedError as refusal:
                kind, detail = refusal.args
                self._finished.append(Outcome(request.key, None, kind, detail))
                self._idle.append(transfer)
            else:
                self._start(transfer)

    def _start(self, transfer: Transfer) -> None:
        name, port = ("", 0) if self._proxy else name_in(transfer.request.url)
        if not name:
            self._launch(transfer)
            return
        since = monotonic()
        if found := self._lookups.known(name):
            transfer.resolve(name, port, found, 0.0)
            self._launch(transfer)
        else:
            self._looking.setdefault(name, []).append((since, port, transfer))

    def _launch(self, transfer: Transfer) -> None:
        self._busy[transfer.curl] = transfer
        self._multi.add_handle(transfer.curl)

    def _hear_of_names(self) -> None:
        now = monotonic()
        for name, found in self._lookups.heard():
            for since, port, transfer in self._looking.pop(name, ()):
                if found:
                    transfer.resolve(name, port, found, now - since)
                    self._launch(transfer)
                else:
                    self._give_up(transfer, now - since, is_over=False)
        for name, waiting in list(self._looking.items()):
            while waiting and now - waiting[0][0] >= self._limits.connect_s:
                since, _, transfer = waiting.pop(0)
                self._give_up(transfer, now - since, is_over=True)
            if not waiting:
                del self._looking[name]

    def _give_up(self, transfer: Transfer, spent_s: float, *, is_over: bool) -> None:
        self._finished.append(transfer.unresolved(spent_s, is_over=is_over))
        transfer.clear()
        self._idle.append(transfer)

    def _new_transfer(self) -> Transfer:
        return Transfer(self._policy, self._limits, self._ca_bundle, self._proxy, self._refused, self._sockets)

    def _wait(self, seconds: float, beside: "Sequence[HasFileno]") -> bool:
        """Wait for something to do on the wire, or beside it, which is what is returned."""
        if self._looking:
            seconds = min(seconds, LISTEN_S)
            if not self._busy:
                self._lookups.wait(seconds)
                return False
        due_ms = self._multi.timeout()
        if due_ms >= 0:
            seconds = min(seconds, due_ms / 1000)
        reading, writing, _ = self._multi.fdset()
        ready, *_ = select([*reading, *beside], writing, [], seconds)
        return any(other in ready for other in beside)

    def _settle(self) -> None:
        self._close_sockets()
        for transfer in self._refused:
            self._finish(transfer, pycurl.E_ABORTED_BY_CALLBACK, "")
        self._refused.clear()
        queued = 1
        while queued:
            queued, succeeded, failed = self._multi.info_read()
            for curl in succeeded:
                self._finish(self._busy[curl], 0, "")
            for curl, code, message in failed:
                self._finish(self._busy[curl], code, message)

    def _close_sockets(self) -> None:
        for opened in self._sockets:
            opened.close()
        self._sockets.clear()

    def _finish(self, transfer: Transfer, code: int, message: str) -> None:
        self._finished.append(transfer.outcome(code, message))
        self._multi.remove_handle(transfer.curl)
        del self._busy[transfer.curl]
        transfer.clear()
        self._idle.append(transfer)
