"""The secret key of an installation that was given none: made once, kept readable by its owner alone."""

import os
import secrets
from pathlib import Path


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
