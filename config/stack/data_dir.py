"""What an installation keeps in DATA_DIR for itself: the secret key, the embedded broker's URL, and the lock.

Settings read it, so it knows neither Django nor the settings. The files are readable by their owner alone: the database
holds sessions, password hashes and signing secrets.
"""

import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO

BROKER_URL_FILE = "broker_url"
OTHERS = stat.S_IRWXG | stat.S_IRWXO  # what a mode gives to everybody but the owner


def keep_private(directory: Path, files: Iterable[Path] = ()) -> None:
    """From now on this process makes files for its owner alone. What is in `directory` already, and `files`, become so.

    What belongs to somebody else cannot be changed and stays as it is; `open_to_others` finds it. Raises `ValueError`
    for a directory that is there for everybody, such as /tmp.
    """
    os.umask(OTHERS)
    if _mode(directory) & stat.S_ISVTX:
        raise ValueError("other users use it too; choose a separate directory")
    for path in open_to_others(directory, files):
        with suppress(OSError):  # it is somebody else's, or gone meanwhile
            path.chmod(path.stat().st_mode & ~OTHERS)


def open_to_others(directory: Path, files: Iterable[Path] = ()) -> list[Path]:
    """What others on this machine may read or write: the directory, what is in it, and `files`.

    In a directory that others may not enter, only what is directly in it is looked at.
    """
    found = [directory]
    for place, directories, names in os.walk(directory):
        found += [Path(place, name) for name in (*directories, *names)]
        if not _mode(directory) & OTHERS:
            break
    return [path for path in (*found, *files) if not path.is_symlink() and _mode(path) & OTHERS]


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def secret_key_in(directory: Path) -> str:
    """Return the key in `directory/secret_key`, and make it first where there is none.

    Several processes may start at once: the first to link its file in wins and the rest read it.
    """
    path = directory / "secret_key"
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        draft = _private_draft(path, secrets.token_urlsafe(50))
        try:
            with suppress(FileExistsError):
                os.link(draft, path)
        finally:
            draft.unlink()
    return path.read_text(encoding="ascii").strip()


def broker_url_in(directory: Path) -> str:
    """The URL, with its password, that the embedded broker has while it runs; "" if it does not run."""
    try:
        return (directory / BROKER_URL_FILE).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def write_private(path: Path, text: str) -> None:
    """Replace what is at `path` by `text`, in one step."""
    _private_draft(path, text).replace(path)


def _private_draft(path: Path, text: str) -> Path:
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    draft.write_text(text, encoding="ascii")
    return draft


def lock(directory: Path, timeout_s: float) -> IO[str]:
    """Lock the directory for one installation. The file returned holds the lock, and so does whoever inherits it.

    The kernel frees the lock when the last process that holds it ends, however it ends. Raises `BlockingIOError` if
    it is still held after `timeout_s`, and other `OSError`s if the directory cannot be used.
    """
    directory.mkdir(parents=True, exist_ok=True)
    file = (directory / "lock").open("w")
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                file.close()
                raise
            time.sleep(0.05)
        else:
            return file
