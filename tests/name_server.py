"""A name server on loopback, and a lookup that asks it: a test decides which addresses a name has, if any."""

import contextlib
import socket
import struct
import threading
from collections import Counter
from types import TracebackType
from typing import Self

HEADER = struct.Struct(">6H")
NOT_FOUND = 3
A, AAAA = 1, 28


class NameServer:
    """A context manager. `names` has the addresses of each name, in order; another name does not exist.

    A list of lists gives one answer after the other, the last one again and again. None never gives an answer.
    """

    def __init__(self, names: dict[str, list[str] | list[list[str]] | None]) -> None:
        self.names = names
        self.asked: Counter[str] = Counter()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._address = self._socket.getsockname()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stopper:
            stopper.sendto(b"", self._address)
        self._thread.join(timeout=5)
        self._socket.close()

    def look_up(self, name: str, timeout_s: float = 30.0) -> tuple[str, ...]:
        """Like `callbacks.egress.dns.system_lookup`, which asks the name server of the machine."""
        question = b"".join(bytes([len(label)]) + label.encode() for label in name.removesuffix(".").split(".")) + b"\0"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(timeout_s)
            client.connect(self._address)
            client.send(HEADER.pack(1, 0x0100, 1, 0, 0, 0) + question + struct.pack(">HH", A, 1))
            with contextlib.suppress(OSError):
                return self._read(client.recv(4096), HEADER.size + len(question) + 4)
        return ()

    def _read(self, answer: bytes, start: int) -> tuple[str, ...]:
        _, _, _, count, _, _ = HEADER.unpack_from(answer)
        found = []
        for _ in range(count):
            kind, _, _, length = struct.unpack_from(">HHIH", answer, start + 2)  # after a pointer to the name
            address = answer[start + 12 : start + 12 + length]
            found.append(socket.inet_ntop(socket.AF_INET if kind == A else socket.AF_INET6, address))
            start += 12 + length
        return tuple(found)

    def _serve(self) -> None:
        while True:
            query, client = self._socket.recvfrom(4096)
            if not query:
                return
            labels, at = [], HEADER.size
            while length := query[at]:
                labels.append(query[at + 1 : at + 1 + length].decode())
                at += 1 + length
            name = ".".join(labels)
            self.asked[name] += 1
            addresses = self._addresses(name)
            if addresses is not None:
                head = HEADER.pack(1, 0x8180 if addresses else 0x8180 | NOT_FOUND, 1, len(addresses), 0, 0)
                self._socket.sendto(head + query[HEADER.size :] + b"".join(map(_record, addresses)), client)

    def _addresses(self, name: str) -> list[str] | None:
        answers = self.names.get(name, [])
        if answers and isinstance(answers[0], list):
            chosen = answers[min(self.asked[name], len(answers)) - 1]
            assert isinstance(chosen, list)
            return chosen
        return answers  # type: ignore[return-value]  # a plain list, or None


def _record(address: str) -> bytes:
    """The record of an address of either family: our lookup takes both in one answer."""
    is_6 = ":" in address
    packed = socket.inet_pton(socket.AF_INET6 if is_6 else socket.AF_INET, address)
    return b"\xc0\x0c" + struct.pack(">HHIH", AAAA if is_6 else A, 1, 0, len(packed)) + packed
