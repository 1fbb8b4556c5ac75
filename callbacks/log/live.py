"""What has become of the deliveries that a page shows: the parts of it that may change, and when to ask again."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from django.template.loader import render_to_string
from django.utils import timezone

from callbacks.editor import soft_failures
from callbacks.models import Attempt, Delivery
from config.listing.keys import key_in

MOST = 200  # deliveries that are told of at once
SOONEST, LATEST = timedelta(seconds=2), timedelta(seconds=30)
PARTS = {"state": "state", "last_code": "code", "next_attempt": "next_attempt"}  # a column, and its template
OPEN = (Delivery.Status.PENDING, Delivery.Status.SENDING)


def news_of(ids: str) -> dict[str, Any]:
    """For each delivery in `ids`, with commas between them: its parts as HTML, and what says that it changed.

    `again_ms` is when to ask again; None once none of them will change by itself.
    """
    wanted = [pk for text in ids.split(",")[:MOST] if (pk := key_in(text)) is not None]
    found = Delivery.objects.filter(pk__in=wanted)
    rows = {delivery.pk: delivery for delivery in found}
    note_soft_failures(list(rows.values()))
    return {"again_ms": _again_ms(list(rows.values())), "deliveries": {pk: _news(row) for pk, row in rows.items()}}


def note_soft_failures(deliveries: Collection[Delivery]) -> None:
    """Note on each delivery in `is_doubted` whether its last answer is a success that does not look like a yes."""
    attempts = Attempt.objects.filter(delivery__in=[d.pk for d in deliveries if d.status == Delivery.Status.SUCCEEDED])
    answers = dict(attempts.exclude(response_excerpt="").order_by("pk").values_list("delivery", "response_excerpt"))
    for delivery in deliveries:
        delivery.is_doubted = bool(soft_failures.find(answers.get(delivery.pk, "")))


def _news(delivery: Delivery) -> dict[str, Any]:
    parts = {name: _part(template, delivery) for name, template in PARTS.items()}
    return {"version": version_of(delivery), "is_open": delivery.status in OPEN, "parts": parts}


def _part(template: str, delivery: Delivery) -> str:
    return render_to_string(f"admin/callbacks/log/{template}.html", {"delivery": delivery}).strip()


def version_of(delivery: Delivery) -> str:
    """Another one whenever a page that shows this delivery has something new to show."""
    return f"{delivery.status}-{delivery.attempt_count}-{delivery.next_attempt_at or ''}"


def _again_ms(deliveries: list[Delivery]) -> int | None:
    waits = [_wait(delivery) for delivery in deliveries if delivery.status in OPEN]
    if not waits:
        return None
    return round(min(max(min(waits), SOONEST), LATEST).total_seconds() * 1000)


def _wait(delivery: Delivery) -> timedelta:
    if delivery.next_attempt_at is None:
        return SOONEST
    return delivery.next_attempt_at - timezone.now()
