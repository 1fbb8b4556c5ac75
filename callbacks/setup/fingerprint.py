"""What a preview or a form showed of a callback, in short: what was changed since is not overwritten unseen. Pure.

A seal goes to the browser and comes back. It guards people from each other, not the callbacks from who may change them.
"""

import hashlib
import json
import re
from collections.abc import Mapping

SEAL = re.compile(r"([0-9]{1,18}):([0-9a-f]{12})")


def of(values: Mapping[str, str]) -> str:
    """The seal of a setting with these values, as `callbacks.models.history` writes them: twelve signs."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def written(seals: Mapping[int, str]) -> str:
    """Seals by the ids of their settings, as text."""
    return " ".join(f"{pk}:{seal}" for pk, seal in seals.items())


def read(text: str) -> dict[int, str]:
    """What `written` wrote; anything else in it is left out."""
    return {int(pk): seal for pk, seal in SEAL.findall(text)}
