"""The web process: waitress serves the site. `manage.py web` is it; `serve` and `dev` start one.

Waitress reads a request to its end before a thread handles it, so that a slow client takes no thread. Here it also gets
an end: for how long a request may arrive, and how much of a body is kept.
"""

import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.buffers import OverflowableBuffer
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import RequestEntityTooLarge

THREADS = 16
CONNECTIONS = 1000  # open at once; one costs a socket and what has arrived of its request
REQUEST_S = 30  # until a request has arrived as a whole
IDLE_S = 30  # between two requests of a connection
STOP_S = 4.0  # for what is being answered when the process is asked to end
SWITCH_S = 0.001  # how soon a thread whose answer has come runs beside one that computes; Python has 5 ms

KIB = 1024
SMALL = 64 * KIB  # a log-in, a callback to the echo receiver
FORM = 2560 * KIB  # the longest form has a line for each of thousands of callbacks
API = 4096 * KIB  # a thousand of the longest orders
MULTIPART = 256 * KIB  # a form in this encoding; there is no page with a file
INTAKE = 10 * 1024 * KIB  # what a shop sends by itself: it cannot be asked to send an order in parts
IN_MEMORY = 512 * KIB  # what is longer waits on disk
DISCARDED = 64 * 1024 * KIB  # what is read of a body that is too large, so that its sender can read the answer


def body_limit(path: str, content_type: str) -> int:
    """The longest body that is kept of a request there, in bytes."""
    if content_type.strip().lower().startswith("multipart/"):
        return MULTIPART
    if path.startswith("/intake/"):
        return INTAKE
    if path.startswith("/api/"):
        return API
    if path.startswith("/admin/") and not path.startswith("/admin/login"):
        return FORM
    return SMALL


class BoundedBuffer(OverflowableBuffer):  # type: ignore[misc]  # waitress brings no types
    """Keeps a body up to `limit` bytes and drops the rest. `received` counts both."""

    def __init__(self, overflow: int, limit: int) -> None:
        super().__init__(overflow)
        self.limit = limit
        self.received = 0

    def append(self, data: bytes) -> None:
        self.received += len(data)
        if self.received <= self.limit:
            super().append(data)


class Request(HTTPRequestParser):  # type: ignore[misc]  # waitress brings no types
    """A request as it arrives. One whose body is too large reaches the site with its length, and without its body."""

    def __init__(self, adj: Adjustments) -> None:
        super().__init__(adj)
        self.error: Any = None
        self.began_at = time.time()
        self.buffer: BoundedBuffer | None = None

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        if self.body_rcv is None:
            return
        limit = body_limit(self.path, self.headers.get("CONTENT_TYPE", ""))
        self.buffer = self.body_rcv.buf = BoundedBuffer(IN_MEMORY, limit)
        if self.content_length > limit and self.expect_continue:  # nothing of it has been sent yet
            self._answer_at_once()

    def received(self, data: bytes) -> int:
        consumed: int = super().received(data)
        if isinstance(self.error, RequestEntityTooLarge):
            self.error = None
            self._answer_at_once()
        if self.completed and self.buffer and self.buffer.received > self.buffer.limit:
            self.headers["CONTENT_LENGTH"] = str(max(self.buffer.received, self.content_length))
        return consumed

    def _answer_at_once(self) -> None:
        """And close the connection, because what comes next is not a request."""
        self.body_rcv, self.expect_continue, self.connection_close = None, False, True
        self.headers["CONNECTION"] = "close"


class Answer(WSGITask):  # type: ignore[misc]  # waitress brings no types
    """What the site answers; to HEAD without the body, which would be taken for the next answer."""

    def write(self, data: bytes) -> None:
        is_head = self.request.command == "HEAD"
        super().write(b"" if is_head else data)
        if is_head:
            self.chunked_response = False


class Refusal(ErrorTask):  # type: ignore[misc]  # waitress brings no types
    """Says what is wrong with a request that cannot be read, as the API does: where it was to go may not be known."""

    def execute(self) -> None:
        from orders.intake.problems import answer  # when Django is set up

        error = self.request.error
        body = answer(error.code).content
        self.status = f"{error.code} {error.reason}"
        self.response_headers += [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
        self.set_close_on_finish()
        self.content_length = len(body)
        is_head = getattr(self.request, "command", "") == "HEAD"  # it has none if its first lines are wrong
        self.write(b"" if is_head else body)


class Channel(HTTPChannel):  # type: ignore[misc]  # waitress brings no types
    parser_class, task_class, error_task_class = Request, Answer, Refusal


class Server(TcpWSGIServer):  # type: ignore[misc]  # waitress brings no types
    channel_class = Channel

    def maintenance(self, now: float) -> None:
        """Close what is idle, and also what has sent bytes all the time and no whole request."""
        super().maintenance(now)
        for channel in self.active_channels.values():
            if channel.request is not None and channel.request.began_at < now - REQUEST_S:
                channel.will_close = True

    def run_until(self, is_asked_to_end: Callable[[], bool]) -> None:
        """Serve; then accept nobody and give what is being answered some seconds."""
        while not is_asked_to_end():
            self._turn()
        self.accepting = False
        self.socket.close()
        self.del_channel()
        deadline = time.monotonic() + STOP_S
        while time.monotonic() < deadline and any(
            channel.requests or channel.total_outbufs_len for channel in self.active_channels.values()
        ):
            self._turn()
        self.task_dispatcher.shutdown(timeout=1)

    def _turn(self) -> None:
        wasyncore.loop(timeout=0.5, map=self._map, use_poll=True, count=1)


def serve(listener: socket.socket) -> None:
    """Serve the site at a socket that is bound already, until SIGTERM or SIGINT."""
    from django.conf import settings  # as `config.stack.web_processes` knows no Django

    from config import db_locks
    from config.postgresql import base
    from config.wsgi import application  # sets Django up

    # Else the first requests wait for it, for longer than they may wait for the database (`config.middleware.in_time`).
    import_module(settings.ROOT_URLCONF)
    sys.setswitchinterval(SWITCH_S)
    db_locks.limit_waiting()
    base.watch()
    most, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < 2 * CONNECTIONS:  # often 1,024, and each connection is a file
        wanted = 2 * CONNECTIONS if allowed == resource.RLIM_INFINITY else min(2 * CONNECTIONS, allowed)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, allowed))
    ended: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: ended.append(number))
    adjustments = Adjustments(
        sockets=[listener],
        threads=THREADS,
        connection_limit=CONNECTIONS,
        channel_timeout=IDLE_S,
        cleanup_interval=5,
        max_request_header_size=32 * KIB,
        max_request_body_size=DISCARDED,
        ident="",
        # Django reads them, and trusts them only if it is told to.
        clear_untrusted_proxy_headers=False,
    )
    address = (listener.family, listener.type, listener.proto, listener.getsockname())
    server: Any = Server(application, _sock=listener, adj=adjustments, sockinfo=address, bind_socket=False)
    from config.monitoring import alarms  # when Django is set up, without which there are no models
    from config.monitoring.background import Background  # as above

    background = Background("web", (alarms.look,))
    background.start()
    server.run_until(lambda: bool(ended))
    background.stop()


def command(listener: socket.socket) -> list[str]:
    """The command of a process that inherits `listener` and serves the site at it."""
    return [sys.executable, "-m", "config.stack.web", str(listener.fileno())]


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    serve(socket.socket(fileno=int(sys.argv[1])))
