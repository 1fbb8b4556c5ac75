"""A scripted HTTP and TLS server on loopback: the other side of every test that sends.

It keeps every request as it came, byte for byte, and answers by script: any status, headers and body, late, slowly,
raw, or breaking off at a chosen place. `python -m tests.receiver --port 9000` runs it by hand and shows requests.
"""

import argparse
import contextlib
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from itertools import repeat
from types import TracebackType
from typing import Literal, Self
from urllib.parse import parse_qsl, urlsplit

LONGEST_HEAD = 1 << 20
RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: close() sends RST


@dataclass(frozen=True)
class Answer:
    """What one request is answered with.

    `raw` is sent as it stands in place of status, headers and body; if it is made of pieces, they are sent one after
    the other, `pace_s` apart, until they end or the other side has gone. `pace_s` with a `body` sends that byte by
    byte. `cut_at` sends only so many bytes of it all. `end` is what becomes of the connection: "stall" leaves it
    open and silent.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b"ok"
    delay_s: float = 0.0
    raw: bytes | Iterable[bytes] | None = None
    pace_s: float = 0.0
    cut_at: int | None = None
    end: Literal["keep", "close", "reset", "stall"] = "keep"

    def pieces(self) -> Iterable[bytes]:
        if isinstance(self.raw, bytes):
            return [self.raw[: self.cut_at]]
        if self.raw is not None:
            return self.raw
        if self.pace_s:
            return [self._head(), *(bytes([byte]) for byte in self.body)]
        return [(self._head() + self.body)[: self.cut_at]]

    def _head(self) -> bytes:
        try:
            phrase = HTTPStatus(self.status).phrase
        except ValueError:
            phrase = "Whatever"
        lines = [f"HTTP/1.1 {self.status} {phrase}", *(f"{name}: {value}" for name, value in self.headers)]
        names = {name.lower() for name, _ in self.headers}
        if not names & {"content-length", "transfer-encoding"}:
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


@dataclass(frozen=True)
class Received:
    """One request as it came. `at` is in seconds since 1970, `connection` counts from 0."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    raw: bytes
    at: float
    connection: int

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True)

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class Receiver:
    """The server; a context manager. A path without a script is answered 200.

    `on_connect` is what it does with a new connection, before TLS: "serve" it, "reset" or "close" it, or "stall".
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        name: str = "",
        on_connect: Literal["serve", "reset", "close", "stall"] = "serve",
    ) -> None:
        self.on_connect = on_connect
        self.requests: list[Received] = []
        self.connections = 0
        self._tls = tls
        self._answers: dict[str, list[Answer | Callable[[Received], Answer]]] = {}
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=1024)
        self.port: int = self._listener.getsockname()[1]
        self.host = name or (f"[{host}]" if ":" in host else host)

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._listener.close()
        with self._changed:
            still_open = list(self._open)
        for connection in still_open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(timeout=5)

    def url(self, path: str = "/", *, host: str = "") -> str:
        return f"{'https' if self._tls else 'http'}://{host or self.host}:{self.port}{path}"

    def answer(self, path: str, *answers: "Answer | Callable[[Received], Answer]") -> None:
        """Answer requests for `path` with these, one after the other; the last one stays. "*" is every other path.

        A function is called with the request, one request at a time.
        """
        with self._changed:
            self._answers[path] = list(answers)

    def wait_for(self, count: int, timeout: float = 20.0) -> list[Received]:
        """The requests so far, as soon as there are `count`. AssertionError if that takes longer than `timeout`."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.requests) >= count, timeout)
            assert came, f"{len(self.requests)} of {count} requests came within {timeout} s"
            return list(self.requests)

    def requests_at(self, path: str) -> list[Received]:
        """The requests so far for that path, whatever their query."""
        with self._changed:
            return [request for request in self.requests if request.path == path]

    def wait_for_connections(self, count: int, timeout: float = 20.0) -> None:
        """Wait until exactly `count` connections are open. AssertionError if that takes longer than `timeout`."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self._open) == count, timeout)
            assert came, f"{len(self._open)} connections are open after {timeout} s, not {count}"

    def clear(self) -> None:
        """Forget the requests so far."""
        with self._changed:
            self.requests.clear()

    # --- serving -------------------------------------------------------------

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]  # one of our methods
        self._threads = [t for t in self._threads if t.is_alive()]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._changed:
                number = self.connections
                self.connections += 1
                self._open.add(connection)
                self._changed.notify_all()
            self._start(self._serve, connection, number)

    def _serve(self, connection: socket.socket, number: int) -> None:
        plain = connection
        try:
            if self.on_connect != "serve":
                self._end(connection, self.on_connect)
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
                with self._changed:
                    self._open.discard(plain)
                    self._open.add(connection)
            while (request := self._read(connection, number)) is not None:
                if not self._reply(connection, self._record(request)):
                    return
        except (OSError, ValueError):  # gone, or it spoke something else than HTTP
            pass
        finally:
            with self._changed:
                self._open -= {plain, connection}
                self._changed.notify_all()
            connection.close()
            plain.close()

    def _read(self, connection: socket.socket, number: int) -> Received | None:
        raw = b""
        while b"\r\n\r\n" not in raw:
            piece = connection.recv(65536)
            if not piece or len(raw) > LONGEST_HEAD:
                return None
            raw += piece
            if not raw[:1].isalpha():  # TLS, say
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
                return None
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
        length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
        while len(body) < length:
            piece = connection.recv(65536)
            if not piece:
                return None
            body += piece
            raw += piece
        return Received(method, target, headers, body, raw, time.time(), number)

    def _record(self, request: Received) -> Answer:
        with self._changed:
            self.requests.append(request)
            answers = self._answers.get(request.path) or self._answers.get("*") or [Answer()]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            self._changed.notify_all()
            return answer if isinstance(answer, Answer) else answer(request)

    def _reply(self, connection: socket.socket, answer: Answer) -> bool:
        """Send `answer`; whether the connection goes on."""
        if answer.delay_s and self._stopping.wait(answer.delay_s):
            return False
        for count, piece in enumerate(answer.pieces()):
            if self._stopping.wait(answer.pace_s) if answer.pace_s and count else self._stopping.is_set():
                return False
            connection.sendall(piece)
        if answer.end != "keep":
            self._end(connection, answer.end)
        return answer.end == "keep"

    def _end(self, connection: socket.socket, how: str) -> None:
        if how == "stall":
            self._stopping.wait()
        elif how == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


@dataclass(frozen=True)
class Pieces:
    """For `Answer.raw`: `head`, then `piece` so many times; each answer begins anew."""

    piece: bytes
    count: int
    head: bytes

    def __iter__(self) -> Iterator[bytes]:
        if self.head:
            yield self.head
        yield from repeat(self.piece, self.count)


def endless(piece: bytes, *, head: bytes = b"") -> Pieces:
    """Pieces for `Answer.raw` that never end."""
    return Pieces(piece, sys.maxsize, head)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--status", type=int, default=200, help="what everything is answered with")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--quiet", action="store_true", help="write nothing but the address")
    options = parser.parse_args()
    with Receiver(host=options.host, port=options.port) as receiver, contextlib.suppress(KeyboardInterrupt):
        receiver.answer("*", Answer(status=options.status, delay_s=options.delay))
        sys.stdout.write(receiver.url() + "\n")
        sys.stdout.flush()
        seen = 0
        while True:
            for request in receiver.wait_for(seen + 1, timeout=threading.TIMEOUT_MAX)[seen:]:
                seen += 1
                if not options.quiet:
                    sys.stdout.write(request.raw.decode("utf-8", "replace").rstrip() + "\n\n")
                    sys.stdout.flush()


if __name__ == "__main__":
    main()
