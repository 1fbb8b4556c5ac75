"""What concerns security, noted when it happens: a line of the logger `security`, and the history of what it is about.

A line is `event=… user=… address=… path=…` and more of that kind. It names nobody: a user is a number there, that of
their page in the panel, whose history says the name too. How lines are written is `config.monitoring.logs`.
"""

import logging

import structlog
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.db.models import Model
from django.http import HttpRequest

from config.request import client_address

log = structlog.get_logger("security")


def note(
    request: HttpRequest,
    event: str,
    *,
    about: Model | None = None,
    says: str = "",
    by: User | None = None,
    level: int = logging.INFO,
    **facts: object,
) -> None:
    """Write the line; with `about` also `says` into that object's history in the admin.

    Who did it is `by`, else who is signed in.
    """
    signed_in = getattr(request, "user", None)
    who = by or (signed_in if signed_in is not None and signed_in.is_authenticated else None)
    if about is not None:
        facts = {"about": f"{about._meta.label_lower}:{about.pk}"} | facts  # noqa: SLF001 - Django's documented name
    values = {"user": who.pk if who else "", "address": client_address(request), "path": request.path} | facts
    log.log(level, event, **values)
    if about is not None and says and who is not None:
        LogEntry.objects.log_actions(who.pk, [about], CHANGE, says, single_object=True)


def warn(request: HttpRequest, event: str, **facts: object) -> None:
    """Note something that was refused."""
    note(request, event, level=logging.WARNING, **facts)  # type: ignore[arg-type]  # the facts are of every kind
