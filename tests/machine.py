"""What the tests need from the machine besides Python: Chromium, PostgreSQL, Node, PHP, Java, promtool, iproute2.

Finds them; as a program it also installs what is missing where it may (apt, as root or with a sudo that asks nothing),
and says what it needs where not.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER_PLACES = (
    Path("/Applications/Chromium.app/Contents/MacOS/Chromium"),
    Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
)
# The package of Prometheus would start a server, so it is unpacked here and not installed.
UNPACKED = Path(sys.prefix) / "lib" / "prometheus"
POSTGRESQL_PLACES = (
    *("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin"),
    *("/usr/local/opt/postgresql*/bin", "/usr/local/pgsql/bin"),
)


def chromium() -> Path | None:
    """The system's Chromium or Chrome. CHROMIUM in the environment names another."""
    if given := os.environ.get("CHROMIUM"):
        return Path(given)
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    return Path(found) if found else next((place for place in BROWSER_PLACES if place.exists()), None)


def promtool() -> Path | None:
    """Prometheus' checker of metrics and rules. PROMTOOL names another."""
    if given := os.environ.get("PROMTOOL"):
        return Path(given)
    found = shutil.which("promtool")
    return Path(found) if found else next((place for place in [UNPACKED / "usr/bin/promtool"] if place.exists()), None)


def postgresql() -> Path | None:
    """The folder of PostgreSQL's server programs, of the newest version. POSTGRESQL_BIN names another."""
    if given := os.environ.get("POSTGRESQL_BIN"):
        return Path(given)
    found = [place for pattern in POSTGRESQL_PLACES for place in Path("/").glob(pattern[1:])]
    if initdb := shutil.which("initdb"):
        found.append(Path(initdb).resolve().parent)
    complete = [place for place in found if (place / "initdb").exists() and (place / "postgres").exists()]
    return max(complete, key=_version, default=None)


def _version(directory: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in directory.parent.name.split("@")[-1].split("-")[-1].split(".") if part.isdigit())


def missing() -> dict[str, str]:
    """The Debian packages that are missing, and what for."""
    wanted = {
        "chromium": (chromium, "the browser tests"),
        "postgresql": (postgresql, "the run of the whole suite on PostgreSQL"),
        "nodejs": (lambda: shutil.which("node"), "the code that verifies our signature in Node"),
        "php-cli": (lambda: shutil.which("php"), "the same in PHP"),
        "default-jre-headless": (lambda: shutil.which("java"), "the checker of HTML"),
        "prometheus": (promtool, "promtool, which checks metrics and alert rules"),
        "iproute2": (lambda: shutil.which("ip") or shutil.which("ip", path="/usr/sbin"), "the run on two hosts"),
    }
    return {package: purpose for package, (find, purpose) in wanted.items() if find() is None}


def install(packages: list[str]) -> bool:
    """Install Debian packages if this machine lets us. False if it does not."""
    if shutil.which("apt-get") is None:
        return False
    become_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if become_root and (shutil.which("sudo") is None or subprocess.run(["sudo", "-n", "true"], check=False).returncode):
        return False
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    print(f"Installing {' and '.join(packages)} for the tests (once) ...", flush=True)
    subprocess.run([*become_root, "apt-get", "update", "-qq"], check=False, env=environment)
    if "prometheus" in packages:
        _unpack("prometheus")
        packages = [package for package in packages if package != "prometheus"]
    command = ["apt-get", "install", "-qq", "--yes", *packages]
    return subprocess.run([*become_root, *command], check=False, env=environment, stdout=sys.stderr).returncode == 0


def _unpack(package: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(["apt-get", "download", "-qq", package], check=False, cwd=directory, stdout=sys.stderr)
        for file in Path(directory).glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", file, UNPACKED], check=False)


def main() -> int:
    lacking = missing()
    if lacking and install(list(lacking)):
        lacking = missing()
    if not lacking:
        return 0
    needs = " and ".join(f"{package} (for {purpose})" for package, purpose in lacking.items())
    print(
        f"The tests need {needs}, and it may not be installed from here: please install it with your system's package "
        f"manager, for example 'sudo apt-get install {' '.join(lacking)}', and run 'make test' again. Programs in "
        "unusual places are named with CHROMIUM=/path/to/chromium, PROMTOOL=/path/to/promtool and "
        "POSTGRESQL_BIN=/path/to/its/bin. "
        "'make test ARGS=\"tests --ignore=tests/e2e\"' runs on SQLite, without a browser.",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
