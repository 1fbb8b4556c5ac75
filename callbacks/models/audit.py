"""Who requested a resend or a test, kept in the admin's own log (`LogEntry`) of the delivery.

A resend of many writes no entries: its job says who began it.
"""

from collections.abc import Iterable

from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType

from callbacks.models import Attempt, Delivery
from callbacks.models.history import name_of

RESENT, TESTED = "Resent.", "Test sent."


def note_resent(deliveries: Iterable[Delivery], user: User) -> None:
    """Call it in the transaction that makes them due, so that no attempt is older than its entry."""
    if found := list(deliveries):
        LogEntry.objects.log_actions(user.pk, found, CHANGE, RESENT)


def note_tested(delivery: Delivery, user: User) -> None:
    LogEntry.objects.log_actions(user.pk, [delivery], ADDITION, TESTED)


def name_actors(delivery: Delivery, attempts: Iterable[Attempt]) -> None:
    """Set `requested_by` of each of all attempts of a delivery: the name of a person, "" if none is known.

    On the delivery itself it is set for the attempt that is still to come.
    """
    entries = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(Delivery), object_id=str(delivery.pk)
    ).select_related("user")
    notes = list(entries.order_by("action_time", "pk"))
    for attempt in sorted(attempts, key=lambda each: each.pk):
        if attempt.trigger == Delivery.Trigger.TEST:
            attempt.requested_by = _name(notes[0]) if notes else ""
        elif attempt.trigger == Delivery.Trigger.MANUAL:
            # Resent twice before it was sent, it was sent once. A resend of many has no entry.
            before = [note for note in notes if note.action_time <= attempt.created_at]
            attempt.requested_by = _name(before[-1]) if before else ""
            notes = notes[len(before) :]

    delivery.requested_by = _name(notes[-1]) if notes else ""


def _name(note: LogEntry) -> str:
    user = note.user
    assert isinstance(user, User)
    return name_of(user)
