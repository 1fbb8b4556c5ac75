"""A private PostgreSQL cluster for one test run: made by initdb, on a unix socket alone, thrown away at the end."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

from config.stack.child import bound_to
from tests import machine

START_S = 30.0


class Cluster:
    """A running cluster. `url` names its maintenance database in the form of DATABASE_URL.

    What was committed outlives a crash of the server if it is `durable`, as PostgreSQL's own settings have it (but not
    a crash of the machine, which nobody tests). With an `address` it listens there too, at PostgreSQL's usual port.
    """

    def __init__(self, *, durable: bool = False, address: str = "", parent: Path = Path("/tmp")) -> None:
        programs = machine.postgresql()
        if programs is None:
            raise RuntimeError("PostgreSQL is not installed here; 'make test' says more.")
        self._programs, self._durable = programs, durable
        # Not in TMPDIR: a socket's path has 103 characters at most, and PostgreSQL's account must get there.
        self.directory = Path(tempfile.mkdtemp(prefix="pg", dir=parent))
        account = _account()
        if account:
            os.chown(self.directory, account.pw_uid, account.pw_gid)
        self._identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
        self._run(
            programs / "initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"
        )
        self._address = address
        if address:
            with (self.directory / "data" / "pg_hba.conf").open("a") as rules:
                rules.write("host all all all trust\n")
        self.url = f"postgres://postgres@/postgres?host={self.directory}"
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        parent = os.getpid()
        commit = "on" if self._durable else "off"
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self._programs / "postgres", "-D", "data", "-k", self.directory]
                + [
                    f"-c{setting}"
                    for setting in (f"listen_addresses={self._address}", "fsync=off", f"synchronous_commit={commit}")
                ]
                + [f"-c{setting}" for setting in ("full_page_writes=off", "max_connections=200")],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=bound_to(parent, signal.SIGQUIT),  # noqa: PLW1509 - as in config.stack.child
                **self._identity,
            )
        self._wait_until_ready()

    def _run(self, *command: str | Path) -> None:
        done = subprocess.run(
            command, cwd=self.directory, capture_output=True, text=True, check=False, **self._identity
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed: {done.stderr or done.stdout}")

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_S
        while subprocess.run([self._programs / "pg_isready", "-q", "-h", self.directory], check=False).returncode:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {(self.directory / 'log').read_text()}")
            time.sleep(0.02)

    def create_database(self, name: str) -> str:
        """A new empty database; returns its URL."""
        return create_database(self.url, name)

    def end(self, how: signal.Signals) -> None:
        """End the server and keep its data: SIGINT is `pg_ctl stop -m fast`, SIGQUIT is `-m immediate`, a crash."""
        self.process.send_signal(how)
        self.process.wait(timeout=30)

    def freeze(self) -> None:
        """Stop the server and all that it started where they are: its connections stay, and nobody answers."""
        self.process.send_signal(signal.SIGSTOP)  # first, so that it starts no more
        self._signal_children(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_children(signal.SIGCONT)
        self.process.send_signal(signal.SIGCONT)

    def _signal_children(self, number: signal.Signals) -> None:
        for children in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            for pid in map(int, children.read_text().split()):
                os.kill(pid, number)

    def stop(self) -> None:
        """End it for good."""
        self.end(signal.SIGQUIT)  # at once, nothing here is kept
        shutil.rmtree(self.directory, ignore_errors=True)


def create_database(url: str, name: str, template: str = "template1") -> str:
    """A new database, empty or a copy, in the cluster that has this maintenance database; returns its URL."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    return url.replace("/postgres?", f"/{name}?")


def _account() -> pwd.struct_passwd | None:
    """PostgreSQL does not run as root: the account to run it under, or None for our own."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]
