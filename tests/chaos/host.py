"""Another host with one cable to this one, which can be pulled: a network namespace, so it needs Linux and root.

What is sent to a host without its cable is neither answered nor refused, as when a machine or a network dies.
"""

import contextlib
import ctypes
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

_CLONE_NEWNET = 0x40000000  # linux/sched.h
_libc = ctypes.CDLL(None, use_errno=True)


class Host:
    def __init__(self) -> None:
        self.name = f"h{uuid4().hex[:8]}"
        self._network = f"10.213.{int(self.name[1:3], 16)}"
        self.address = f"{self._network}.2"
        self._make()

    def _make(self) -> None:
        _ip("netns", "add", self.name)
        _ip("link", "add", self.name, "type", "veth", "peer", "name", "cable", "netns", self.name)
        _ip("address", "add", f"{self._network}.1/24", "dev", self.name)
        _ip("link", "set", self.name, "up")
        _ip("-n", self.name, "address", "add", f"{self.address}/24", "dev", "cable")
        _ip("-n", self.name, "link", "set", "lo", "up")
        self.plug()

    def plug(self) -> None:
        _ip("-n", self.name, "link", "set", "cable", "up")

    def unplug(self) -> None:
        _ip("-n", self.name, "link", "set", "cable", "down")

    def replace(self) -> None:
        """Another machine in its place, with its address, that knows nothing of its connections."""
        self.remove()
        self._make()

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """What this thread starts meanwhile runs on that host."""
        with (
            Path(f"/proc/{os.getpid()}/task/{threading.get_native_id()}/ns/net").open() as ours,
            Path(f"/run/netns/{self.name}").open() as theirs,
        ):
            _enter(theirs.fileno())
            try:
                yield
            finally:
                _enter(ours.fileno())

    def remove(self) -> None:
        _ip("link", "del", self.name)
        _ip("netns", "del", self.name)


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
