"""The real thing: `manage.py dev` as a subprocess with data, database and port of its own, and whatever it leaves."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from tests.attacks.site import Visitor
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parent.parent.parent
READY_S = 130.0
STOP_S = 60.0
LOGIN = re.compile(r"Log in at \S+ as (\S+) with the password (\S+)")
SUPPORT = re.compile(r"log in as (\S+) with the password (\S+)")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Login:
    username: str
    password: str


class Installation:
    """One installation; it can be started and stopped again and again."""

    def __init__(self, directory: Path, port: int, database_url: str, env: Mapping[str, str] | None = None) -> None:
        self.data_dir = directory / "data"
        self.port = port
        self.base_url = f"http://127.0.0.1:{port}"
        self.mark = f"INSTALLATION_MARK={uuid4().hex}"  # its processes are known by this in their environment
        ours = ("DATA_DIR", "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "DEBUG", "DEMO", "PORT", "ALLOWED_HOSTS")
        self.env = {
            name: value
            for name, value in os.environ.items()
            if name not in ours and not name.startswith(("CALLBACKS_", "DJANGO_", "PYTEST_", "TEST_"))
        }
        self.env |= {"DATA_DIR": str(self.data_dir), "DATABASE_URL": database_url, "PORT": str(port)}
        self.env |= dict([self.mark.split("=")]) | dict(env or {})
        self._staff = Visitor(port)
        self.lines: list[str] = []
        self.errors: list[str] = []
        self.login: Login | None = None
        self.support: Login | None = None
        self.process: subprocess.Popen[str] | None = None

    # --- start and stop ------------------------------------------------------
    def start(self, *arguments: str) -> float:
        """Start it and wait for its last line; returns how many seconds that took."""
        began = time.monotonic()
        self.launch(*arguments)
        wait_until(lambda: self.is_ready or self._has_ended, READY_S, self._output)
        assert self.is_ready, self._output()
        took = time.monotonic() - began
        if found := LOGIN.search("\n".join(self.lines)):
            self.login = Login(*found.groups())
        if found := SUPPORT.search("\n".join(self.lines)):
            self.support = Login(*found.groups())
        return took

    def launch(self, *arguments: str) -> None:
        """Start it and wait for nothing."""
        self.lines.clear()
        self.errors.clear()
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "dev", *arguments],
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        for stream, lines in ((self.process.stdout, self.lines), (self.process.stderr, self.errors)):
            threading.Thread(target=_read, args=(stream, lines), daemon=True).start()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end with that signal; returns its exit status, and asserts that nothing of it is left."""
        assert self.process
        self.process.send_signal(number)
        status = self.wait()
        wait_until(lambda: not self.processes(), STOP_S, lambda: f"still there: {self.processes()}")
        return status

    def wait(self) -> int:
        """Wait for its end; returns its exit status."""
        assert self.process
        return self.process.wait(timeout=STOP_S)

    def clean_up(self) -> None:
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.process:
            self.process.wait()

    # --- look ----------------------------------------------------------------
    @property
    def is_ready(self) -> bool:
        return f"ready {self.base_url}/" in self.lines

    @property
    def _has_ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def processes(self) -> dict[int, str]:
        """Every living process of this installation: its id and command line."""
        found = {}
        for place in Path("/proc").glob("[0-9]*"):
            try:
                # Valkey writes its title over its environment, but lives in its directory.
                is_valkey = (place / "cwd").readlink() == self.data_dir / "valkey"
                if is_valkey or self.mark.encode() in (place / "environ").read_bytes().split(b"\0"):
                    found[int(place.name)] = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:  # it has ended meanwhile, or is not ours
                continue
        return found

    def received(self) -> list[dict[str, object]]:
        """What the echo receiver shows to staff, newest first."""
        if not self._staff.cookies:
            assert self.login
            assert self._staff.sign_in(self.login.username, self.login.password) == 302
        return json.loads(self._staff.get("/echo/", headers={"Accept": "application/json"}).body)["requests"]

    def has_received(self, text: str) -> bool:
        return any(text in str(request["target"]) for request in self.received())

    def process_of(self, text: str) -> int:
        """The id of the first process whose command line holds `text`: of a worker and its pool, the worker."""
        return min(pid for pid, command in self.processes().items() if text in command and " dev" not in command)

    def manage(self, *arguments: str, code: str = "", **env: str) -> str:
        """Run a management command as an operator of this installation would; returns what it printed."""
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        done = subprocess.run(
            command, env=self.env | env, input=code, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _output(self) -> str:
        return "\n".join([*self.lines, *self.errors])


def _read(stream, lines: list[str]) -> None:
    with stream:
        lines.extend(line.rstrip("\n") for line in stream)
