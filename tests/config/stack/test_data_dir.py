"""What an installation keeps in its data directory."""

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config.stack.data_dir import broker_url_in, secret_key_in, write_private

ROOT = Path(__file__).resolve().parent.parent.parent.parent


def modes(directory: Path) -> dict[str, str]:
    found = {".": directory, **{str(path.relative_to(directory)): path for path in directory.iterdir()}}
    return {name: oct(stat.S_IMODE(path.stat().st_mode)) for name, path in found.items()}


def run(data_dir: Path, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A process of an operator's own, who lets others read what he makes."""
    left_out = ("SECRET_KEY", "DATABASE_URL", "DJANGO_SETTINGS_MODULE", "REDIS_URL")
    own = {name: value for name, value in os.environ.items() if name not in left_out}
    own |= {"DATA_DIR": str(data_dir)} | env
    return subprocess.run(
        [sys.executable, *command],
        check=False,
        cwd=ROOT,
        env=own,
        umask=0o022,
        capture_output=True,
        text=True,
        timeout=60,
    )


MAKE_FILES = "import pathlib, config.{module}, django; from django.conf import settings; settings.DEBUG; "
MAKE_FILES += "(settings.DATA_DIR / 'made').mkdir(); (settings.DATA_DIR / 'note').write_text('')"


@pytest.mark.parametrize("module", ["wsgi", "celery"])  # the web process; worker and beat
def test_every_process_makes_files_for_its_owner_alone(tmp_path, module):
    done = run(tmp_path / "data", "-c", MAKE_FILES.format(module=module))
    assert done.returncode == 0, done.stderr
    assert modes(tmp_path / "data") == {".": "0o700", "secret_key": "0o600", "made": "0o700", "note": "0o600"}


def test_manage_makes_a_database_that_nobody_else_can_read(tmp_path):
    assert run(tmp_path / "data", "manage.py", "migrate", "orders", "zero", "-v0").returncode == 0
    found = modes(tmp_path / "data")
    assert "postbacks.sqlite3" in found
    assert found.pop(".") == "0o700"
    assert set(found.values()) == {"0o600"}


def test_what_was_open_to_others_is_closed_at_the_start(tmp_path):
    data, elsewhere = tmp_path / "data", tmp_path / "shop.sqlite3"
    (data / "valkey/appendonlydir").mkdir(parents=True)
    opened = [
        data / "beat-schedule",
        data / "valkey/appendonlydir/1.aof",
        data / "postbacks.sqlite3-wal",
        elsewhere,
        tmp_path / "shop.sqlite3-wal",
    ]
    for path in opened:
        path.touch()
        path.chmod(0o664)
    directories = (data, data / "valkey", data / "valkey/appendonlydir")
    for path in directories:
        path.chmod(0o777)
    assert run(data, "manage.py", "check", DATABASE_URL=f"sqlite:///{elsewhere}").returncode == 0
    assert {oct(stat.S_IMODE(path.stat().st_mode)) for path in opened} == {"0o600"}
    assert {oct(stat.S_IMODE(path.stat().st_mode)) for path in directories} == {"0o700"}


def test_directory_of_everybody_is_refused_and_left_alone(tmp_path):
    tmp_path.chmod(0o1777)
    done = run(tmp_path, "manage.py", "check")
    assert "DATA_DIR cannot be used: other users use it too; choose a separate directory" in done.stderr
    assert "Traceback" not in done.stderr
    assert modes(tmp_path) == {".": "0o1777"}


def test_secret_key_is_made_once_and_readable_by_its_owner_alone(tmp_path):
    directory = tmp_path / "new" / "data"
    key = secret_key_in(directory)
    assert len(key) >= 50
    assert secret_key_in(directory) == key
    assert stat.S_IMODE((directory / "secret_key").stat().st_mode) == 0o600
    assert [entry.name for entry in directory.iterdir()] == ["secret_key"]


def test_secret_key_made_by_many_at_once_is_one(tmp_path):
    for number in range(20):
        with ThreadPoolExecutor(8) as pool:
            keys = set(pool.map(secret_key_in, [tmp_path / str(number)] * 8))
        assert len(keys) == 1


def test_private_file_replaces_what_was_there(tmp_path):
    assert broker_url_in(tmp_path) == ""
    for text in ("first", "second"):
        write_private(tmp_path / "broker_url", text)
        assert broker_url_in(tmp_path) == text
    assert stat.S_IMODE((tmp_path / "broker_url").stat().st_mode) == 0o600
