"""A forward proxy on loopback: it tunnels for CONNECT, forwards requests for a whole URL, and looks names up itself."""

import base64
import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

Address = tuple[str, int]
WANTS_PASSWORD = b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x\r\n"
EMPTY = b"Content-Length: 0\r\nConnection: close\r\n\r\n"


class Proxy:
    """A context manager. `routes` has the address of each `host:port`; "*" is every other. It knows no other names.

    With `password` (`USER:PASSWORD`) it serves only clients that send it. If there is an `answer`, it is sent to every
    request, and nothing is forwarded; `hangs`: the connection is then kept open and silent. What it passes on has
    `via` as its header of that name. `heads` are the requests as they came, without their bodies; `destinations` their
    `host:port`.
    """

    def __init__(
        self, routes: dict[str, Address], *, password: str = "", answer: bytes | None = None,
        tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", hangs: bool = False, via: str = "",
    ) -> None:  # fmt: skip
        self.routes, self.answer = routes, answer
        self.heads: list[bytes] = []
        self.destinations: list[str] = []
        self._tls, self._hangs = tls, hangs
        self._via = f"Via: {via}\r\n".encode() if via else b""
        self._key = base64.b64encode(password.encode()) if password else b""
        self._stopping = threading.Event()
        self._listener = socket.create_server((host, 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}"
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._listener.close()
        for thread in self._threads:
            thread.join(timeout=5)

    def _start(self, target: object, *args: object) -> None:
        self._threads.append(threading.Thread(target=target, args=args, daemon=True))  # type: ignore[arg-type]  # ours
        self._threads[-1].start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), contextlib.ExitStack() as stack:
            stack.enter_context(client)
            client.settimeout(5)
            if self._tls:
                client = stack.enter_context(self._tls.wrap_socket(client, server_side=True))
            head = b""
            while b"\r\n\r\n" not in head:
                if not (piece := client.recv(65536)):
                    return
                head += piece
            self.heads.append(head)
            if self.answer is not None:
                client.sendall(self.answer)
                if self._hangs:
                    self._stopping.wait(10)
            elif self._key and b"\r\nProxy-Authorization: Basic " + self._key + b"\r\n" not in head:
                client.sendall(WANTS_PASSWORD + EMPTY)
            else:
                self._forward(client, head, stack)

    def _forward(self, client: socket.socket, head: bytes, stack: contextlib.ExitStack) -> None:
        line, _, rest = head.partition(b"\r\n")
        method, destination, version = line.decode("ascii").split(" ")
        parts = urlsplit(destination if method != "CONNECT" else f"//{destination}")
        self.destinations.append(destination if method == "CONNECT" else f"{parts.netloc}{'' if parts.port else ':80'}")
        address = self.routes.get(self.destinations[-1], self.routes.get("*"))
        if address is None:
            client.sendall(b"HTTP/1.1 502 Bad Gateway\r\n" + EMPTY)
            return
        server = stack.enter_context(socket.create_connection(address, timeout=5))
        if method == "CONNECT":
            client.sendall(b"HTTP/1.1 200 Connection established\r\nX-Proxy: ours\r\n\r\n")
        else:
            target = parts._replace(scheme="", netloc="").geturl()
            server.sendall(f"{method} {target} {version}\r\n".encode() + rest)
            if self._via:
                head, _, begun = server.recv(65536).partition(b"\r\n")
                client.sendall(head + b"\r\n" + self._via + begun)
        self._tunnel([client, server])

    def _tunnel(self, ends: Iterable[socket.socket]) -> None:
        first, second = ends
        other = {first: second, second: first}
        while not self._stopping.is_set():
            has_more = [end for end in other if isinstance(end, ssl.SSLSocket) and end.pending()]
            for end in has_more or select.select(list(other), [], [], 0.1)[0]:
                if not (piece := end.recv(65536)):
                    return
                other[end].sendall(piece)
