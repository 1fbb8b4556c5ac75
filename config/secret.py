"""What an installation keeps in its data directory for its owner's eyes alone: the secret key and the broker's URL."""

import os
import secrets
from pathlib import Path

BROKER_URL_FILE = "broker_url"


def secret_key_in(directory: Path) -> str:
    """Return the key kept in `directory/secret_key`, making it first where there is none.

    Several processes may start at once: the first to link its file in wins and the rest read it.
    """
    path = directory / "secret_key"
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        draft = directory / f".secret_key.{os.getpid()}.{secrets.token_hex(4)}"
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(50), encoding="ascii")
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text(encoding="ascii").strip()


def broker_url_in(directory: Path) -> str:
    """The URL, with its password, that the embedded broker left while it runs; "" if there is none."""
    try:
        return (directory / BROKER_URL_FILE).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def keep(path: Path, text: str) -> None:
    """Put `text` in the place of whatever `path` held, at once and readable by the owner alone."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    draft.write_text(text, encoding="ascii")
    draft.replace(path)
