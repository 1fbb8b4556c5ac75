"""What an installation keeps in DATA_DIR for itself: the secret key, the embedded broker's URL, and the lock.

Settings read it, so it knows neither Django nor the settings. The files are readable by their owner alone.
"""

import fcntl
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

BROKER_URL_FILE = "broker_url"


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
