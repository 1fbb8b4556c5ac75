"""Makes deliveries due again because a person wants it, beside `callbacks.delivery.outbox` the only writer of their state."""

from collections.abc import Collection
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import Case, CharField, Q, Value, When
from django.utils import timezone

from callbacks.delivery import wakeup
from callbacks.models import Delivery

Status = Delivery.Status

# Why a delivery is not resent, the first that holds. Of a test there was no order that a tracker should hear of.
SENDING = "It is being sent right now."
TEST = "It was a test; send another one from the form of its callback."
DELETED = "Its callback was deleted, so there is no address to send it to."
PAUSED = "Its callback is paused; resume it first."
REASONS = (
    (Q(status=Status.SENDING), SENDING),
    (Q(origin=Delivery.Origin.TEST), TEST),
    (Q(setting=None), DELETED),
    (Q(setting__is_active=False), PAUSED),
)


SENTENCES = tuple(sentence for _, sentence in REASONS)


@dataclass(frozen=True, slots=True)
class Resent:
    """How many deliveries are on their way again, and for each of the others why not, by id."""

    count: int = 0
    refused: dict[int, str] = field(default_factory=dict)


def why_not() -> Case:
    """The sentence that a delivery is refused with, "" if it is not, as an expression."""
    reasons = [When(condition, then=Value(sentence)) for condition, sentence in REASONS]
    return Case(*reasons, default=Value(""), output_field=CharField())


def resend(delivery_ids: Collection[int]) -> Resent:
    """Make these deliveries due now; the schedule of retries starts anew, the event's id stays."""
    with transaction.atomic():
        rows = Delivery.objects.filter(pk__among=delivery_ids).order_by("pk")
        # Not those that are being sent: who settles them holds their locks, and waits for none of ours.
        idle = rows.exclude(status=Status.SENDING).select_for_update(no_key=True, of=("self",))
        locked = [pk for pk, _ in idle.values_list("pk", "status")]
        reasons = dict(rows.annotate(why_not=why_not()).values_list("pk", "why_not"))
        accepted = [pk for pk in locked if not reasons.get(pk)]
        count = Delivery.objects.filter(pk__among=accepted).update(
            status=Status.PENDING,
            skip_reason=Delivery.SkipReason.NONE,
            next_attempt_at=timezone.now(),
            next_trigger=Delivery.Trigger.MANUAL,
            retry_step=0,
        )
        if count:
            transaction.on_commit(wakeup.send, robust=True)
    # Whoever was being sent when we looked for a lock, and is not any more, is not ours either.
    return Resent(count, {pk: reason or SENDING for pk, reason in reasons.items() if reason or pk not in set(locked)})
