"""Carries requests over the wire: many at once, bounded in time and size, to allowed addresses only.

It knows nothing of deliveries, retries or the database. Whatever the other side does, and whatever libcurl refuses,
becomes an `Outcome`; an exception out of here is our own bug. Redirects, cookies and compressed bodies are not
followed, kept or unpacked; proxies are not used, unless the operator named one.

The guard is libcurl's open-socket callback (`callbacks.transfers`): it sees the address after resolution, so that no
name can bypass it. Once it has refused an address, the whole transfer is over, also where another address of that
name is being tried at the same time.
"""

from collections import deque
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Self

import certifi
import pycurl

from callbacks.addresses import Policy
from callbacks.outcomes import Outcome, Request
from callbacks.proxies import Proxy
from callbacks.sendable import RefusedError
from callbacks.transfers import Limits, Transfer

if TYPE_CHECKING:
    import socket

__all__ = ["Limits", "Outcome", "Policy", "Proxy", "Request", "Transport"]


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
        max_in_flight: int = 256,
    ) -> None:
        self._policy = policy
        self._limits = limits or Limits()
        self._ca_bundle = ca_bundle or certifi.where()
        self._proxy = proxy
        self._max_in_flight = max_in_flight
        self._waiting: deque[Request] = deque()
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
        return len(self._busy) + len(self._waiting) + len(self._finished)

    def submit(self, request: Request) -> None:
        """Take a request. Raises for nothing that stands in it: what cannot be sent has an outcome too."""
        self._waiting.append(request)

    def poll(self, timeout_s: float) -> list[Outcome]:
        """Drive the transfers until at least one is finished or `timeout_s` is over; at once if there are none."""
        deadline = monotonic() + timeout_s
        while True:
            self._start_waiting()
            if self._busy:
                self._multi.perform()
                self._settle()
            if self._finished or not self._busy:
                finished, self._finished = self._finished, []
                return finished
            left = deadline - monotonic()
            if left <= 0:
                return []
            self._wait(left)

    def close(self) -> None:
        """End everything. Requests still under way are broken off and have no outcome."""
        for transfer in self._busy.values():
            self._multi.remove_handle(transfer.curl)
        for transfer in [*self._busy.values(), *self._idle]:
            transfer.curl.close()
        self._busy.clear()
        self._idle.clear()
        self._waiting.clear()
        self._close_sockets()
        self._multi.close()

    def _start_waiting(self) -> None:
        while self._waiting and len(self._busy) < self._max_in_flight:
            request = self._waiting.popleft()
            transfer = self._idle.pop() if self._idle else self._new_transfer()
            try:
                transfer.prepare(request)
            except RefusedError as refusal:
                kind, detail = refusal.args
                self._finished.append(Outcome(request.key, None, kind, detail))
                self._idle.append(transfer)
            else:
                self._busy[transfer.curl] = transfer
                self._multi.add_handle(transfer.curl)

    def _new_transfer(self) -> Transfer:
        return Transfer(self._policy, self._limits, self._ca_bundle, self._proxy, self._refused, self._sockets)

    def _wait(self, seconds: float) -> None:
        due_ms = self._multi.timeout()
        if due_ms >= 0:
            seconds = min(seconds, due_ms / 1000)
        self._multi.select(seconds)

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
