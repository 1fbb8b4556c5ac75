"""Carries requests over the wire: many at once, bounded in time and size, to allowed addresses only.

It knows nothing of deliveries, retries or the database. Whatever the other side does, and whatever libcurl refuses,
becomes an `Outcome`; an exception that leaves this module is our own bug. Redirects are not followed, cookies are not
kept, compressed bodies are not unpacked, and the only proxy that is used is the operator's.

The guard is libcurl's open-socket callback (`callbacks.egress.transfer`). It sees the address after the lookup, so that
no name can get around it. When it refuses an address, the whole transfer ends, also if another address of that name is
being tried at the same time.
"""

from collections import deque
from collections.abc import Callable, Sequence
from select import select
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import certifi
import pycurl

from callbacks.egress import targets
from callbacks.egress.addresses import Policy, policy_from
from callbacks.egress.dns import Addresses, Resolver, system_lookup
from callbacks.egress.outcome import Outcome, Request
from callbacks.egress.proxy import Proxy, proxy_from
from callbacks.egress.response import Limits
from callbacks.egress.transfer import RefusedError, Transfer

if TYPE_CHECKING:
    import socket

    from _typeshed import HasFileno

LOOKUP_POLL_S = 0.01  # while something is on the wire, results of lookups are collected this often


def transport_from(settings: Any, *, max_in_flight: int) -> "Transport":
    """A transport as the operator configured it: policy, trusted certificates and proxy."""
    return Transport(
        policy_from(settings),
        ca_bundle=settings.CALLBACKS_CA_BUNDLE,
        proxy=proxy_from(settings.CALLBACKS_PROXY_URL),
        max_in_flight=max_in_flight,
    )


class Transport:
    """Sends requests and gives back their outcomes. Connections are kept between uses.

    For one thread of one process: do not carry it over a fork. At most `max_in_flight` requests are on the wire. The
    others wait inside; their time limit begins when they are sent.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        limits: Limits | None = None,
        ca_bundle: str | None = None,
        proxy: Proxy | None = None,
        look_up: Callable[[str], Addresses] = system_lookup,
        max_in_flight: int = 256,
    ) -> None:
        self._policy = policy
        self._limits = limits or Limits()
        self._ca_bundle = ca_bundle or certifi.where()
        self._proxy = proxy
        self._max_in_flight = max_in_flight
        self._waiting: deque[Request] = deque()
        self._resolver = Resolver(look_up)
        self._unresolved: dict[str, list[tuple[float, int, Transfer]]] = {}  # by name: since when, port, transfer
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
        """The number of submitted requests whose outcome was not given back yet."""
        return self._started + len(self._waiting) + len(self._finished)

    @property
    def _started(self) -> int:
        return len(self._busy) + sum(map(len, self._unresolved.values()))

    def submit(self, request: Request) -> None:
        """Take a request. Never raises: a request that cannot be sent has an outcome too."""
        self._waiting.append(request)

    def poll(self, timeout_s: float, beside: "Sequence[HasFileno]" = ()) -> list[Outcome]:
        """Drive the transfers until one has finished, a file of `beside` can be read, or `timeout_s` is over.

        Returns at once if there are none.
        """
        deadline = monotonic() + timeout_s
        while True:
            self._start_waiting()
            if self._resolver.is_busy:
                self._collect_lookups()
            if self._busy:
                self._multi.perform()
                self._settle()
            if self._finished or not (self._busy or self._unresolved):
                finished, self._finished = self._finished, []
                return finished
            left = deadline - monotonic()
            if left <= 0:
                return []
            if self._wait(left, beside):
                deadline = 0.0  # after one more round

    def close(self) -> None:
        """End everything. Requests that have not finished are broken off and have no outcome."""
        for transfer in self._busy.values():
            self._multi.remove_handle(transfer.curl)
        unresolved = [transfer for waiting in self._unresolved.values() for _, _, transfer in waiting]
        for transfer in [*self._busy.values(), *self._idle, *unresolved]:
            transfer.curl.close()
        self._unresolved.clear()
        self._busy.clear()
        self._idle.clear()
        self._waiting.clear()
        self._close_sockets()
        self._multi.close()

    def _start_waiting(self) -> None:
        while self._waiting and self._started < self._max_in_flight:
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
        name, port = ("", 0) if self._proxy else targets.name_to_look_up(transfer.request.url)
        if not name:
            self._launch(transfer)
            return
        since = monotonic()
        if found := self._resolver.cached(name):
            transfer.resolve(name, port, found, 0.0)
            self._launch(transfer)
        else:
            self._unresolved.setdefault(name, []).append((since, port, transfer))

    def _launch(self, transfer: Transfer) -> None:
        self._busy[transfer.curl] = transfer
        self._multi.add_handle(transfer.curl)

    def _collect_lookups(self) -> None:
        now = monotonic()
        for name, found in self._resolver.results():
            for since, port, transfer in self._unresolved.pop(name, ()):
                if found:
                    transfer.resolve(name, port, found, now - since)
                    self._launch(transfer)
                else:
                    self._fail_lookup(transfer, now - since, is_late=False)
        for name, waiting in list(self._unresolved.items()):
            while waiting and now - waiting[0][0] >= self._limits.connect_s:
                since, _, transfer = waiting.pop(0)
                self._fail_lookup(transfer, now - since, is_late=True)
            if not waiting:
                del self._unresolved[name]

    def _fail_lookup(self, transfer: Transfer, spent_s: float, *, is_late: bool) -> None:
        self._finished.append(transfer.unresolved(spent_s, is_late=is_late))
        transfer.clear()
        self._idle.append(transfer)

    def _new_transfer(self) -> Transfer:
        return Transfer(self._policy, self._limits, self._ca_bundle, self._proxy, self._refused, self._sockets)

    def _wait(self, seconds: float, beside: "Sequence[HasFileno]") -> bool:
        """Wait until there is something to do; whether a file of `beside` can be read."""
        if self._unresolved:
            seconds = min(seconds, LOOKUP_POLL_S)
            if not self._busy:
                self._resolver.wait(seconds)
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
