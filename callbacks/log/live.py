"""Updates for a page that shows deliveries: the parts of it that may have changed, and when to ask again."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from django.db.models import OuterRef, Subquery
from django.template.loader import render_to_string
from django.utils import timezone

from callbacks.egress import soft_failures
from callbacks.models import Attempt, Delivery
from config.listing.keys import key_in

MAX_DELIVERIES = 200  # in one request
MIN_WAIT, MAX_WAIT = timedelta(seconds=2), timedelta(seconds=30)
TEMPLATES = {"state": "state", "last_code": "code", "next_attempt": "next_attempt"}  # of the columns that change
OPEN = (Delivery.Status.PENDING, Delivery.Status.SENDING)


def updates(ids: str) -> dict[str, Any]:
    """For each delivery in `ids`, with commas between them: its columns as HTML, and its version.

    `again_ms` is when to ask again; None once none of them will change by itself.
    """
    pks = [pk for text in ids.split(",")[:MAX_DELIVERIES] if (pk := key_in(text)) is not None]
    rows = list(Delivery.objects.filter(pk__in=pks))
    mark_soft_failures(rows)
    return {"again_ms": _again_ms(rows), "deliveries": {delivery.pk: _update(delivery) for delivery in rows}}


def mark_soft_failures(deliveries: Collection[Delivery]) -> None:
    """Set `is_soft_failure` of those whose answer was not checked when it arrived; unsaved."""
    unchecked = [d for d in deliveries if d.is_soft_failure is None and d.status == Delivery.Status.SUCCEEDED]
    if not unchecked:
        return
    last = Attempt.objects.filter(delivery=OuterRef("pk")).order_by("-pk").values("response_excerpt")[:1]
    rows = Delivery.objects.order_by().filter(pk__in=[delivery.pk for delivery in unchecked])
    answers = dict(rows.values_list("pk", Subquery(last)))
    for delivery in unchecked:
        delivery.is_soft_failure = bool(soft_failures.find(answers.get(delivery.pk) or ""))


def version_of(delivery: Delivery) -> str:
    """A text that differs whenever a page of this delivery has something new to show."""
    return f"{delivery.status}-{delivery.attempt_count}-{delivery.next_attempt_at or ''}"


def _update(delivery: Delivery) -> dict[str, Any]:
    parts = {
        name: render_to_string(f"admin/callbacks/log/{template}.html", {"delivery": delivery}).strip()
        for name, template in TEMPLATES.items()
    }
    return {"version": version_of(delivery), "is_open": delivery.status in OPEN, "parts": parts}


def _again_ms(deliveries: list[Delivery]) -> int | None:
    now = timezone.now()
    waits = [(delivery.next_attempt_at or now) - now for delivery in deliveries if delivery.status in OPEN]
    return round(min(max(min(waits), MIN_WAIT), MAX_WAIT).total_seconds() * 1000) if waits else None
