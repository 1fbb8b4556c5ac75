"""What concerns security, noted when it happens: a line of the logger `security`, and the history of what it is about.

A line is `event=… user=… address=… path=…` and more of that kind. Whatever comes from outside is cut, and quoted as
JSON in ASCII where it holds anything but the signs of names and addresses, so that no text can make a second line.
"""

import json
import logging
import re

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.db.models import Model
from django.http import HttpRequest

from config.request import client_address

log = logging.getLogger("security")

LONGEST = 200  # characters of one value
PLAIN = re.compile(r"[A-Za-z0-9_.@:/+\-]+", re.ASCII)


def note(
    request: HttpRequest,
    event: str,
    *,
    about: Model | None = None,
    says: str = "",
    user: str | None = None,
    by: User | None = None,
    level: int = logging.INFO,
    **facts: object,
) -> None:
    """Write the line; with `about` also `says` into that object's history in the admin.

    Who did it is `by`, else who is signed in; a `user` stands in the line instead, where a name was only typed.
    """
    signed_in = getattr(request, "user", None)
    who = by or (signed_in if signed_in is not None and signed_in.is_authenticated else None)
    if about is not None:
        facts = {"about": f"{about._meta.label_lower}:{about.pk}"} | facts  # noqa: SLF001 - Django's documented name
    name = user if user is not None else who.get_username() if who else ""
    values = {"event": event, "user": name, "address": client_address(request), "path": request.path} | facts
    log.log(level, " ".join(f"{key}={_quoted(value)}" for key, value in values.items()))
    if about is not None and says and who is not None:
        LogEntry.objects.log_actions(who.pk, [about], CHANGE, says, single_object=True)


def warn(request: HttpRequest, event: str, **facts: object) -> None:
    """Note something that was refused."""
    note(request, event, level=logging.WARNING, **facts)  # type: ignore[arg-type]  # the facts are of every kind


def _quoted(value: object) -> str:
    text = str(value)
    cut = text if len(text) <= LONGEST else text[:LONGEST] + "…"
    return cut if PLAIN.fullmatch(cut) else json.dumps(cut)
