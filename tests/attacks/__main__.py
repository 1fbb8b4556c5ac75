"""`make attack`: tries to get in, to hang and to break what runs, and says what it saw.

    make attack                 starts a demo as `make run` does, and `serve` as it stands behind a proxy; attacks both
    make attack ARGS="--url http://127.0.0.1:8000/ --user NAME --password ... [--token ...]"    what runs already

It speaks to this machine alone and writes into what it attacks: callbacks, orders, a locked log-in. So it is for an
installation of its own, never for one in use. Exits with 1 if anything was seen that was not expected.
"""

import argparse
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.attacks.attempts import ATTEMPTS
from tests.attacks.site import Site, Visitor
from tests.e2e.installation import ROOT, Installation, free_port
from tests.waiting import wait_until

LOOPBACK = {"127.0.0.1", "localhost"}


def attack(site: Site) -> list[str]:
    """Try all on one site; print a line for each. Returns those that were seen otherwise than expected."""
    if not site.signed_in:
        return ["the log-in that was given does not work"]
    failed = []
    for attempt in ATTEMPTS:
        began = time.monotonic()
        try:
            seen = attempt.try_it(site)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the others are tried, too
            seen = f"{type(error).__name__}: {error}"
        result = "not tried" if seen is None else f"FAILED {seen}" if seen else "as expected"
        took = f"{time.monotonic() - began:.1f} s"
        print(f"{attempt.number:<5}{attempt.name:<66}{attempt.expected:<52}{took:>7}  {result}", flush=True)
        if seen:
            failed.append(f"{attempt.number} {attempt.name}: {seen}")
    return failed


@contextmanager
def demo(directory: Path) -> Iterator[Site]:
    """What `make run` starts."""
    installation = Installation(directory, free_port(), "")
    try:
        installation.start()
        yield site_of(installation)
    finally:
        installation.stop()
        installation.clean_up()


def site_of(installation: Installation) -> Site:
    """A running demo that has printed its log-in."""
    assert installation.login
    return Site(
        installation.port,
        installation.login.username,
        installation.login.password,
        is_demo=True,
        data_dir=installation.data_dir,
        manage=_runner(installation.env),
        token=installation.manage("create_token", "attacks").split()[-1],
    )


@contextmanager
def production(directory: Path) -> Iterator[Site]:
    """`manage.py web` as it stands behind a proxy with TLS."""
    port, password = free_port(), secrets.token_urlsafe(12)
    env = Installation(directory, port, "").env | {"BEHIND_PROXY": "1", "DJANGO_SUPERUSER_PASSWORD": password}
    run = _runner(env)
    (directory / "data").mkdir()
    for command in (
        ["migrate", "-v0"],
        ["createsuperuser", "--noinput", "--username=merchant", "--email=m@shop.example"],
    ):
        run(*command)
    run("demo")
    token = run("create_token", "attacks").split()[-1]
    with (directory / "serve.log").open("w") as log:
        process = subprocess.Popen([sys.executable, "manage.py", "web"], cwd=ROOT, env=env, stdout=log, stderr=log)
    try:
        wait_until(lambda: Visitor(port).get("/healthz").status == 200 or process.poll() is not None, 60)
        yield Site(
            port, "merchant", password, is_behind_proxy=True, data_dir=directory / "data", manage=run, token=token
        )
    finally:
        process.terminate()
        process.wait(timeout=20)


def _runner(env: dict[str, str]):
    def run(*arguments: str, **more: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=env | more, capture_output=True, text=True, check=False, timeout=60
        )
        return f"{done.stdout}{done.stderr if 'check' in arguments else ''}"

    return run


def main(arguments: Iterable[str]) -> int:
    parser = argparse.ArgumentParser(prog="make attack", description=__doc__.partition("\n")[0])
    parser.add_argument("--url", help="of what runs already, on this machine")
    parser.add_argument("--user", default="merchant")
    parser.add_argument("--password", default=os.environ.get("ATTACK_PASSWORD", ""))
    parser.add_argument("--token", default="", help="of the API; without it the API is not attacked")
    chosen = parser.parse_args(list(arguments))
    if chosen.url:
        where = urlsplit(chosen.url)
        if where.hostname not in LOOPBACK or where.scheme != "http":
            parser.error("only http:// on this machine is attacked")
        is_demo = Visitor(where.port or 80).get("/echo/").status != 404
        site = Site(where.port or 80, chosen.user, chosen.password, is_demo=is_demo, token=chosen.token)
        failed = attack(site)
    else:
        failed = []
        for name, start in (("make run", demo), ("manage.py web, behind a proxy", production)):
            with tempfile.TemporaryDirectory(prefix="attack-") as directory, start(Path(directory)) as site:
                print(f"\n{name}\n{'':<5}{'attempt':<66}{'expected':<52}{'':>7}  seen")
                failed += attack(site)
    print(f"\n{len(failed)} of it was not expected." if failed else "\nAll as expected.")
    return 1 if failed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is stopped
    sys.exit(main(sys.argv[1:]))
