"""What the dispatcher hands over to be settled."""

from datetime import datetime
from typing import Any

from django.utils import timezone

from callbacks.delivery import queue, settle
from callbacks.egress.outcome import Outcome, Request


def settlement(
    claimed: queue.Claimed,
    status: str,
    again: datetime | None = None,
    *,
    code: int = 200,
    retry_step: int = 0,
    **kw: Any,
) -> settle.Settlement:
    """A finished attempt that was answered with `code`."""
    request = Request(claimed.pk, "GET", "https://tracker.example/", (), None)
    outcome = Outcome(claimed.pk, code, "", "The tracker answered.")
    return settle.Settlement(claimed, timezone.now(), request, outcome, status, again, retry_step, **kw)
