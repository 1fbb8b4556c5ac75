"""`manage.py serve`, everything for production on one machine, and `manage.py web`, the web process alone."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.installation import ROOT, Installation
from tests.waiting import wait_until


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


@contextmanager
def running(
    installation: Installation, *arguments: str, host: str = "127.0.0.1", **env: str
) -> Iterator[subprocess.Popen[str]]:
    """A `manage.py` command once it serves at `host`, or has ended. What it says goes to `said` beside the data."""
    url = f"http://{host}:{installation.port}/healthz"
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    environment = installation.env | {"LOG_LEVEL": "WARNING"} | env
    with (installation.data_dir.parent / "said").open("w") as said:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            wait_until(lambda: status_of(url) == 200 or process.poll() is not None, 60)
            yield process
        finally:
            process.terminate()
            process.wait(timeout=30)


def said(installation: Installation) -> str:
    return (installation.data_dir.parent / "said").read_text()


def environment_of(pid: int) -> list[bytes]:
    return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")


def test_serve_starts_all_of_it_and_ends_it_in_time(installation):
    with running(installation, "serve", "--migrate", DEMO="1", WORKER_CONCURRENCY="3", WEB_CONCURRENCY="2") as process:
        wait_until(lambda: f"ready {installation.base_url}/" in said(installation), 60, lambda: said(installation))
        found = list(installation.processes().values())
        assert len([one for one in found if "--pool=prefork" in one]) == 4, found  # the worker and its pool
        assert len([one for one in found if re.search(r"config\.stack\.web \d+ $", one)]) == 2, found
        assert [one for one in found if " beat " in one], found
        assert [one for one in found if "valkey-server" in one], found
        assert b"DEMO=" in environment_of(installation.process_of("config.stack.web"))
        assert status_of(f"{installation.base_url}/echo/x") == 404
        assert "To add the first administrator, run: manage.py create_admin NAME" in said(installation)
        began = time.monotonic()
        process.terminate()
        assert process.wait(timeout=30) == 0
        assert time.monotonic() - began < 20
    assert "Running migrations" in said(installation)
    wait_until(lambda: not installation.processes(), 10)
    assert not (installation.data_dir / "broker_url").exists()


def test_web_migrates_checks_and_serves_without_an_echo_receiver(installation):
    with running(installation, "web", "--migrate", "--host=0.0.0.0") as process:
        assert status_of(f"{installation.base_url}/admin/login/") == 200
        assert status_of(f"{installation.base_url}/static/admin/css/base.css") == 200
        assert status_of(f"{installation.base_url}/echo/x") == 404
        assert status_of(f"{installation.base_url}/readyz") == 200
        assert len(installation.processes()) == 1
    assert process.returncode == 0
    assert "Running migrations" in said(installation)
    assert "security.W" in said(installation)
    assert "can be reached from other machines" in said(installation)
    wait_until(lambda: not installation.processes(), 10)


def webs(installation: Installation) -> set[int]:
    return {pid for pid, one in installation.processes().items() if re.search(r"config\.stack\.web \d+ $", one)}


def test_web_of_several_processes_answers_and_starts_one_again_that_was_killed(installation):
    installation.manage("migrate", "-v0")
    with running(installation, "web", host="127.0.0.2", WEB_CONCURRENCY="3", WEB_HOST="127.0.0.2") as process:
        base_url = f"http://127.0.0.2:{installation.port}"
        assert status_of(f"{installation.base_url}/healthz") == 0  # WEB_HOST is another address
        before = webs(installation)
        assert len(before) == 3
        os.kill(min(before), signal.SIGKILL)
        wait_until(lambda: len(webs(installation)) == 3 and webs(installation) != before, 20)
        assert {status_of(f"{base_url}/healthz") for _ in range(20)} == {200}
    assert process.returncode == 0
    wait_until(lambda: not installation.processes(), 10)


# --- what it does not start with -------------------------------------------------
def refused(installation: Installation, *command: str, **env: str) -> str:
    """What it says, and that it ends with exit status 1."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=installation.env | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert not installation.processes()
    return done.stderr


def test_port_that_is_taken_is_one_sentence(installation):
    installation.manage("migrate", "-v0")
    with socket.create_server(("127.0.0.1", installation.port)):
        sentence = f"Port {installation.port} of 127.0.0.1 cannot be used (Address already in use)"
        assert sentence in refused(installation, "manage.py", "serve")
    assert "192.0.2.1 is not an address of this machine" in refused(
        installation, "manage.py", "web", "--host=192.0.2.1"
    )


WORKER = ("-m", "celery", "-A", "config", "worker")


def test_missing_migrations_are_refused_by_all_that_would_use_the_tables(installation):
    installation.manage("migrate", "-v0", "config", "0001")
    sentence = "The database is not up to date: "
    for command in (("manage.py", "serve"), ("manage.py", "web"), ("manage.py", "check", "--deploy"), WORKER):
        told = refused(installation, *command)
        assert sentence in told, command
        assert "Run manage.py migrate" in told, command


def test_documented_settings_for_production_pass_the_checks(installation):
    """Those of `.env`, but for the database, which stands elsewhere here."""
    lines = (ROOT / "docs/operations.md").read_text().partition("<< END\n")[2].partition("\nEND\n")[0].splitlines()
    env = dict(line.split("=", 1) for line in lines)
    assert {"SECRET_KEY", "DATABASE_URL", "BEHIND_PROXY", "ALLOWED_HOSTS"} <= env.keys()
    env |= {"SECRET_KEY": "a1b2c3d4e5-" * 6, "DATA_DIR": str(installation.data_dir)}
    assert "no issues" in installation.manage("check", "--deploy", "--fail-level=WARNING", **env)
