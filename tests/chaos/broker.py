"""An embedded Valkey that things happen to."""

import contextlib
import os
import signal
import socket
import socketserver
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import redis

from config.stack.valkey import Valkey


class Broker(Valkey):
    """A server that can be ended and started again in its place, with what it had kept."""

    def end(self) -> None:
        self.child.stop(10)

    def start(self) -> None:
        self.start_again()
        assert self._answers(), self._last_log_line()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes connections and says nothing."""
        os.kill(self.child.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.child.process.pid, signal.SIGCONT)

    @contextlib.contextmanager
    def gone(self) -> Iterator[None]:
        """It takes no connections."""
        self.end()
        try:
            yield
        finally:
            self.start()

    @contextlib.contextmanager
    def out_of_memory(self) -> Iterator[None]:
        """It refuses to keep anything more."""
        with self.client() as client:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", 1)
        try:
            yield
        finally:
            with self.client() as client:
                client.config_set("maxmemory", 0)

    @contextlib.contextmanager
    def configured(self, **values: object) -> Iterator[None]:
        """With other settings, such as a number of replicas that it does not have. Whoever is connected has to connect
        again.
        """
        with redis.Redis.from_url(self.url, single_connection_client=True) as client:
            before = {name: client.config_get(name)[name] for name in values}
            for name, value in values.items():
                client.config_set(name, str(value))
            client.client_kill_filter(_type="normal", skipme=True)
            try:
                yield
            finally:
                for name, value in before.items():
                    client.config_set(name, value)

    @contextlib.contextmanager
    def read_only(self) -> Iterator[None]:
        """It is the replica of another server, which is away."""
        with self.client() as client:
            client.replicaof("127.0.0.1", 1)
        try:
            yield
        finally:
            with self.client() as client:
                client.replicaof("NO", "ONE")

    @contextlib.contextmanager
    def refusing(self, answer: str) -> Iterator[None]:
        """It answers everything that it is asked with this error."""
        place = urlsplit(self.url)
        self.end()

        class Refusal(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    for line in self.rfile:
                        if line.startswith(b"*"):  # the beginning of a command
                            self.wfile.write(f"-{answer}\r\n".encode())

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = daemon_threads = True

            def process_request(self, request: Any, client_address: Any) -> None:
                connections.append(request)
                super().process_request(request, client_address)

        connections: list[socket.socket] = []
        with Server(("127.0.0.1", place.port or 0), Refusal) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            try:
                yield
            finally:
                server.shutdown()
                for connection in connections:
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)
        self.start()

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=5, socket_connect_timeout=5)
