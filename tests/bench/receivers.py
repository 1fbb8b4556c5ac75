"""The other side: nginx where speed is measured, a receiver of our own where the time of arrival is."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Set as AbstractSet
from pathlib import Path
from types import TracebackType
from typing import Self

import requests

from config.stack.child import Child
from config.stack.valkey import _free_port
from tests.bench.processes import ROOT, STALLED_S

ARRIVE_S = 20.0
NGINX_PLACES = ("/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/local/bin/nginx", "/opt/homebrew/bin/nginx")
CONFIGURATION = """
daemon off; worker_processes 1; pid {directory}/pid; error_log {directory}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 300s;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi; types {{ }} default_type text/plain;
  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 "ok"; }} }}
}}
"""


class ReceiverError(Exception):
    """The receiver did not start; the text says why."""


def _nginx_program(cache: Path) -> Path | None:
    """The program: this machine's, or one unpacked (not installed: nothing is started by it) from Debian's package."""
    found = shutil.which("nginx") or next((place for place in NGINX_PLACES if Path(place).exists()), None)
    if found:
        return Path(found)
    unpacked = cache / "usr/sbin/nginx"
    if not unpacked.exists() and shutil.which("apt-get") and shutil.which("dpkg-deb"):
        cache.mkdir(parents=True, exist_ok=True)
        print("Fetching nginx for the benchmark (once) ...", flush=True)
        for command in (["apt-get", "update", "-qq"], ["apt-get", "download", "-qq", "nginx"]):
            subprocess.run(command, cwd=cache, check=False, capture_output=True, timeout=120)
        for package in cache.glob("nginx_*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, cache], check=False, capture_output=True, timeout=60)
    return unpacked if unpacked.exists() else None


class Receiver:
    """A running server on loopback; a context manager. `name` says which one it is."""

    def __init__(self, name: str, command: list[str], directory: Path, port: int, hosts: tuple[str, ...]) -> None:
        self.name, self.directory, self.port, self.hosts = name, directory, port, hosts
        self.log = directory / "log"
        self.child = Child("receiver", command, os.environ | {"PYTHONPATH": str(ROOT)}, log=self.log)
        if not self._answers():
            self.stop()
            raise ReceiverError(f"{name} did not start: {self.last_words}")

    def url(self, path: str = "/", host: int = 0) -> str:
        return f"http://{self.hosts[host]}:{self.port}{path}"

    def stop(self) -> None:
        self.child.stop(2)
        self.last_words = self.log.read_text("utf-8", "replace")[-500:]
        shutil.rmtree(self.directory, ignore_errors=True)

    def _answers(self) -> bool:
        deadline = time.monotonic() + STALLED_S
        while not self.child.has_ended() and time.monotonic() < deadline:
            try:
                return requests.get(self.url(), timeout=1).ok
            except requests.RequestException:
                time.sleep(0.02)
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()


class Arrivals(Receiver):
    """Notes when each order arrived; see `tests.bench.arrivals`. Listens on `hosts`, all of them loopback."""

    def __init__(self, *hosts: str) -> None:
        hosts, port = hosts or ("127.0.0.1",), _free_port()
        command = [sys.executable, "-m", "tests.bench.arrivals", str(port), *hosts]
        super().__init__("our own receiver", command, _directory(), port, hosts)

    def take(self) -> dict[str, float]:
        """When each order arrived first, by number, on the clock of `time.monotonic()`; forgotten by the receiver."""
        noted: dict[str, float] = requests.get(self.url("/arrivals"), timeout=10).json()["noted"]
        return noted

    def take_all(self, numbers: AbstractSet[str]) -> dict[str, float]:
        """The same, once all of these have arrived, or none has for `ARRIVE_S`."""
        noted: dict[str, float] = {}
        moved_at = time.monotonic()
        while numbers - noted.keys() and time.monotonic() - moved_at < ARRIVE_S:
            if new := self.take():
                noted, moved_at = new | noted, time.monotonic()
            time.sleep(0.1)
        return noted


def sink(cache: Path) -> Receiver:
    """Answers 200 to everything as fast as this machine can."""
    try:
        return _nginx(cache)
    except ReceiverError as error:
        print(f"Our own receiver, which is slower, takes the place of nginx: {error}", flush=True)
        return Arrivals()


def _nginx(cache: Path) -> Receiver:
    program = _nginx_program(cache)
    if program is None:
        raise ReceiverError("it is not installed, and no package of it could be had.")
    directory, port = _directory(), _free_port()
    directory.chmod(0o755)  # its worker runs under another account where we are root
    configuration = directory / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(directory=directory, port=port))
    command = [str(program), "-p", str(directory), "-c", str(configuration)]
    return Receiver("nginx", command, directory, port, ("127.0.0.1",))


def _directory() -> Path:
    return Path(tempfile.mkdtemp(prefix="bench-receiver-"))
