"""Which person caused a request that neither an order nor the schedule did: a resend or a test.

It is kept in the admin's own log, which a delivery's history page shows. For a resend of many deliveries at once there
is no entry for each: its job has the person's name.
"""

from collections.abc import Iterable

from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType

from callbacks.models import Attempt, Delivery

RESENT, TESTED = "Resent.", "Test sent."


def note_resent(deliveries: Iterable[Delivery], user: User) -> None:
    """To be called in the transaction that makes them due, so that no attempt is older than its entry."""
    if found := list(deliveries):
        LogEntry.objects.log_actions(user.pk, found, CHANGE, RESENT)


def note_tested(delivery: Delivery, user: User) -> None:
    LogEntry.objects.log_actions(user.pk, [delivery], ADDITION, TESTED)


def name_actors(delivery: Delivery, attempts: Iterable[Attempt]) -> None:
    """Set `asked_by` of all attempts of a delivery to the name of the person who caused it; "" if nobody is known.

    That of the delivery itself is for the attempt that is still to come.
    """
    entries = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(Delivery), object_id=str(delivery.pk)
    ).select_related("user")
    notes = list(entries.order_by("action_time", "pk"))
    for attempt in sorted(attempts, key=lambda each: each.pk):
        if attempt.trigger == Delivery.Trigger.TEST:
            attempt.asked_by = _name(notes[0]) if notes else ""
        elif attempt.trigger == Delivery.Trigger.MANUAL:
            # Resent twice before it was sent, it has two entries for one attempt; resent by a job, it has none.
            before = [note for note in notes if note.action_time <= attempt.created_at]
            attempt.asked_by = _name(before[-1]) if before else ""
            notes = notes[len(before) :]

    delivery.asked_by = _name(notes[-1]) if notes else ""


def _name(note: LogEntry) -> str:
    user = note.user
    assert isinstance(user, User)
    return user.get_full_name() or user.get_username()
