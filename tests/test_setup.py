"""`make` installs what a lock names, out of an index that has newer versions by now."""

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# As pytest-cov asks for coverage: by an extra that the lock does not name.
PACKAGES = {
    "measured 1.0": ["Provides-Extra: toml"],
    "measured 2.0": ["Provides-Extra: toml"],
    "measuring 1.0": ["Requires-Dist: measured[toml]>=1.0"],
}


def make_index(directory: Path) -> dict[str, str]:
    """Wheels with nothing in them but what they ask for; returns the line of a lock for each."""
    lines = {}
    for package, metadata in PACKAGES.items():
        name, version = package.split()
        info, wheel = f"{name}-{version}.dist-info", directory / f"{name}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            about = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *metadata]
            archive.writestr(f"{info}/METADATA", "\n".join(about) + "\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", "")
        lines[package] = f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"
    return lines


def install(directory: Path, *packages: str) -> subprocess.CompletedProcess[str]:
    """`make` what is installed before `make run` starts anything, from a lock with these packages."""
    lines = make_index(directory)
    (directory / "lock.txt").write_text("".join(lines[package] for package in packages))
    index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(directory), "PIP_CONFIG_FILE": os.devnull}
    command = ["make", f"PYTHON={sys.executable}", f"VENV={directory}/venv", f"LOCKED={directory}/lock.txt"]
    return subprocess.run(
        [*command, f"{directory}/venv/installed"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(directory)} | index,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,
    )


def test_lock_that_is_older_than_the_index_is_installed_as_it_stands(tmp_path):
    done = install(tmp_path, "measured 1.0", "measuring 1.0")
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "venv/installed").exists()
    found = {path.name for path in tmp_path.glob("venv/lib/python3*/site-packages/meas*.dist-info")}
    assert found == {"measured-1.0.dist-info", "measuring-1.0.dist-info"}
    assert "Installing 2 packages into" in done.stdout
    assert "\r" not in done.stdout


def test_lock_that_lacks_a_package_is_refused_and_the_package_is_named(tmp_path):
    done = install(tmp_path, "measuring 1.0")
    assert done.returncode != 0
    assert "measuring 1.0 requires measured, which is not installed" in done.stdout
    assert not (tmp_path / "venv/installed").exists()
