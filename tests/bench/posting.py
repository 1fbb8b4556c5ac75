"""Requests to a web process: at a pace, or as many at a time as it is told; how long each took from when it was due."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import pycurl

Request = tuple[str, bytes, list[str]]  # URL, body, headers
HEADERS = ["Host: testserver", "Content-Type: application/json", "Expect:"]


@dataclass(frozen=True)
class Posted:
    """`ms` is that of each request; the clock is that of `time.monotonic()`."""

    began: float
    ended: float
    ms: list[float]

    @property
    def rate(self) -> float:
        return len(self.ms) / (self.ended - self.began)


def post(requests: Sequence[Request], *, rate: float = 0.0, at_once: int = 32) -> Posted:
    """Send them. With a `rate` each is due at its time, whatever became of those before. Raises if one is refused."""
    multi, idle = pycurl.CurlMulti(), [_handle() for _ in range(len(requests) if rate else at_once)]
    due: dict[pycurl.Curl, float] = {}
    ms: list[float] = []
    sent, began = 0, time.monotonic()
    while len(ms) < len(requests):
        now = time.monotonic()
        while idle and sent < len(requests) and (not rate or began + sent / rate <= now):
            handle = idle.pop()
            due[handle] = began + sent / rate if rate else time.monotonic()
            url, body, headers = requests[sent]
            handle.setopt(pycurl.URL, url)
            handle.setopt(pycurl.POSTFIELDS, body)
            handle.setopt(pycurl.HTTPHEADER, HEADERS + headers)
            multi.add_handle(handle)
            sent += 1
        multi.perform()
        _, finished, failed = multi.info_read()
        if failed:
            raise RuntimeError(f"A request failed: {failed[0][2]}")
        for handle in finished:
            if handle.getinfo(pycurl.RESPONSE_CODE) not in {200, 201}:
                raise RuntimeError(f"A request was answered {handle.getinfo(pycurl.RESPONSE_CODE)}.")
            ms.append((time.monotonic() - due.pop(handle)) * 1000)
            multi.remove_handle(handle)
            idle.append(handle)
        if not finished:
            multi.select(0.001 if sent < len(requests) else 0.05)
    return Posted(began, time.monotonic(), ms)


def _handle() -> pycurl.Curl:
    handle = pycurl.Curl()
    handle.setopt(pycurl.NOSIGNAL, 1)
    handle.setopt(pycurl.WRITEFUNCTION, lambda _: None)
    return handle
