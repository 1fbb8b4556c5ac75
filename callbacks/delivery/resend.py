"""Makes deliveries due again because a person wants it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import Case, CharField, Q, Value, When
from django.db.models.expressions import RawSQL
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from affiliates.models import Affiliate
from callbacks.delivery import superseded, wakeup
from callbacks.models import Delivery

Status = Delivery.Status

# Why a delivery is not resent: the first condition that holds. A test has no order that a tracker should learn of.
# They are stored with a job in English, and translated where they are shown.
SENDING = _("It is being sent right now.")
TEST = _("It was a test. Send a new test from the callback's form.")
DELETED = _("Its callback was deleted.")
PAUSED = _("Its callback is paused. Resume it first.")
BLOCKED = _("Its affiliate is blocked.")
NOT_APPROVED = _("Its affiliate is not approved yet.")
MADE_AGAIN = _("Its order was deleted and created again. Resend a delivery of the new order instead.")
REPLACED = _("A newer event of its order replaced it. You can still resend it from its own page.")
REPLACED_SOON = _("A newer event of its order is waiting to be sent and replaces it.")
Reason = tuple[Q | RawSQL, str]
ALWAYS: tuple[Reason, ...] = (
    (Q(status=Status.SENDING), SENDING),
    (Q(origin=Delivery.Origin.TEST), TEST),
    (Q(setting=None), DELETED),
    (Q(setting__is_active=False), PAUSED),
    (Q(setting__affiliate__status=Affiliate.Status.BLOCKED), BLOCKED),
    (Q(setting__affiliate__status=Affiliate.Status.PENDING), NOT_APPROVED),
    (superseded.is_made_again(), MADE_AGAIN),
)
# Of many, one that a newer one replaces is left out. Somebody who saw what that does may resend it by itself.
REASONS = (*ALWAYS, (superseded.is_superseded(), REPLACED))
REASONS_ALONE = (*ALWAYS, (superseded.is_superseded(is_open=True), REPLACED_SOON))
SENTENCES = tuple(sentence for _, sentence in REASONS)


@dataclass(frozen=True, slots=True)
class Resent:
    """How many deliveries are due again, and the reason for each of the others, by id."""

    count: int = 0
    delivered: int = 0  # of those, how many a tracker had accepted before
    refused: dict[int, str] = field(default_factory=dict)


def refusal(reasons: Sequence[Reason] = REASONS) -> Case:
    """An expression for the reason why a delivery is not resent; "" if it is."""
    whens = [When(condition, then=Value(sentence)) for condition, sentence in reasons]
    return Case(*whens, default=Value(""), output_field=CharField())


def resend(delivery_ids: Collection[int], reasons: Sequence[Reason] = REASONS) -> Resent:
    """Make these deliveries due now; the schedule of retries starts anew, the event's id stays.

    One that waited and is older than one of these is replaced by it.
    """
    with transaction.atomic():
        rows = Delivery.objects.filter(pk__among=delivery_ids).order_by("pk")
        # Deliveries that are being sent are left out: the worker that settles them holds their locks, and must not wait
        # for ours.
        idle = rows.exclude(status=Status.SENDING).select_for_update(no_key=True, of=("self",))
        locked = [pk for pk, _ in idle.values_list("pk", "status")]
        refused = dict(rows.annotate(refusal=refusal(reasons)).values_list("pk", "refusal"))
        accepted = [pk for pk in locked if not refused.get(pk)]
        delivered = Delivery.objects.filter(pk__among=accepted, status=Status.SUCCEEDED).count()
        count = Delivery.objects.filter(pk__among=accepted).update(
            status=Status.PENDING,
            skip_reason=Delivery.SkipReason.NONE,
            next_attempt_at=timezone.now(),
            next_trigger=Delivery.Trigger.MANUAL,
            retry_step=0,
        )
        if count:
            orders = Delivery.objects.filter(pk__among=accepted, order__isnull=False).values_list("order", flat=True)
            superseded.end(orders=set(orders), but=accepted)
            transaction.on_commit(wakeup.send, robust=True)
    # One that was being sent when the rows were locked is refused even if it is settled by now.
    not_resent = {pk: reason or SENDING for pk, reason in refused.items() if reason or pk not in set(locked)}
    return Resent(count, delivered, not_resent)
