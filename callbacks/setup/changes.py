"""Compares the values of a callback, as `callbacks.models.history` writes them. Pure.

A fingerprint of what a form or a preview showed goes to the browser and comes back, so that nobody overwrites unseen
what somebody else saved meanwhile. It protects people from each other; it is no access control.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from callbacks.egress.wording import Sentence as _
from callbacks.models import history

CHANGED_MEANWHILE = _("The callback changed after the preview.")
FINGERPRINT = re.compile(r"([0-9]{1,18}):([0-9a-f]{12})")


@dataclass(frozen=True, slots=True)
class Change:
    """One field whose value changed, as a person reads it."""

    label: str
    old: str
    new: str


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Change, ...]:
    """The fields that differ. An empty value is shown as what it means, such as "all" for no status filter."""
    return tuple(
        Change(label, old or history.WITHOUT.get(name, ""), new or history.WITHOUT.get(name, ""))
        for name, label in history.LABELS.items()
        if (old := before.get(name, "")) != (new := after.get(name, ""))
    )


def fingerprint(values: Mapping[str, str]) -> str:
    """Twelve hexadecimal digits that differ where the values differ."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def to_text(fingerprints: Mapping[int, str]) -> str:
    """Fingerprints by the ids of their callbacks, for a hidden field."""
    return " ".join(f"{pk}:{value}" for pk, value in fingerprints.items())


def from_text(text: str) -> dict[int, str]:
    """What `to_text` wrote; anything else in it is left out."""
    return {int(pk): value for pk, value in FINGERPRINT.findall(text)}
