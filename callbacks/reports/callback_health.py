"""How callbacks do, in one word each: read from the last request that was sent for a setting."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Case, Count, Exists, F, OuterRef, Q, QuerySet, Subquery, TextChoices, Value, When
from django.db.models.functions import Coalesce

from affiliates.models import Affiliate
from callbacks.models import Attempt, CallbackSetting, Delivery, EventType, names


class Health(TextChoices):
    NOT_SET = "not_set", "Not set"
    PAUSED = "paused", "Paused"
    SILENT = "silent", "Nothing sent yet"
    CHANGED = "changed", "Changed, nothing sent since"
    WORKING = "working", "Working"
    FAILING = "failing", "Failing"


@dataclass(frozen=True, slots=True)
class Callback:
    """One of an affiliate's callbacks and the last request sent for it; or an event that none is set for.

    `place` is its place among the `count` callbacks of its event, from 1.
    """

    event: EventType
    setting: CallbackSetting | None
    last: Delivery | None
    attempt: Attempt | None
    place: int = 1
    count: int = 0

    @property
    def health(self) -> Health:
        if self.setting is None:
            return Health.NOT_SET
        if not self.setting.is_active:
            return Health.PAUSED
        if self.last is None:
            return Health.SILENT
        if not is_told_of(self.setting.request_changed_at, self.last.last_attempt_at):
            return Health.CHANGED
        return Health.FAILING if self.last.last_error_kind else Health.WORKING

    @property
    def anchor(self) -> str:
        if self.setting is None or self.place == 1:
            return self.event.value.replace(".", "-")
        return f"callback-{self.setting.pk}"

    @property
    def name(self) -> str:
        """What tells it from the others; "" where there is nothing to tell apart."""
        return self.setting.name if self.setting and (self.count > 1 or self.setting.has_own_name) else ""

    @property
    def is_last(self) -> bool:
        return self.place >= self.count

    @property
    def has_room(self) -> bool:
        """Whether one more may be set for this event."""
        return 0 < self.count < names.AT_MOST


def callbacks_of(affiliate: Affiliate) -> list[Callback]:
    """The callbacks of one affiliate, *created* first; for an event without one, that there is none.

    Takes three queries, however many there are.
    """
    last = _sent_last()
    found = CallbackSetting.objects.filter(affiliate=affiliate).annotate(last_pk=Subquery(last.values("pk")[:1]))
    settings_of: dict[str, list[CallbackSetting]] = {event: [] for event in EventType}
    last_pks = {}
    for annotated in found.order_by("pk"):
        settings_of[annotated.event].append(annotated)
        last_pks[annotated.pk] = annotated.last_pk
    attempt = Attempt.objects.filter(delivery=OuterRef("pk")).order_by("-pk")
    sent = Delivery.objects.annotate(attempt_pk=Subquery(attempt.values("pk")[:1]))
    deliveries = sent.in_bulk(pk for pk in last_pks.values() if pk)
    attempts = Attempt.objects.in_bulk(d.attempt_pk for d in deliveries.values() if d.attempt_pk)
    callbacks = []
    for event, settings_ in settings_of.items():
        if not settings_:
            callbacks.append(Callback(EventType(event), None, None, None))
        for place, setting in enumerate(settings_, start=1):
            delivery = deliveries.get(last_pks[setting.pk])
            tried = attempts.get(delivery.attempt_pk) if delivery else None
            callbacks.append(Callback(EventType(event), setting, delivery, tried, place, len(settings_)))
    return callbacks


def is_told_of(changed_at: datetime | None, last_attempt_at: datetime | None) -> bool:
    """Whether what was sent last says how a callback does whose request was changed then."""
    return last_attempt_at is not None and (changed_at is None or changed_at < last_attempt_at)


def _sent_last() -> QuerySet[Delivery]:
    """What was sent for the setting of the outer query, the last first. A test says nothing of how it does."""
    sent = Delivery.objects.filter(setting=OuterRef("pk"), last_attempt_at__isnull=False)
    return sent.exclude(origin=Delivery.Origin.TEST).order_by("-last_attempt_at")


def with_health(affiliates: "QuerySet[Affiliate]") -> "QuerySet[Affiliate]":
    """Affiliates with `callback_count` (how many of the two events one is set for) and `health` (failing if one is)."""
    last = _sent_last()
    sent = CallbackSetting.objects.filter(affiliate=OuterRef("pk")).annotate(
        last_kind=Subquery(last.values("last_error_kind")[:1]), last_at=Subquery(last.values("last_attempt_at")[:1])
    )
    now = sent.filter(Q(request_changed_at=None) | Q(request_changed_at__lt=F("last_at")))
    count = CallbackSetting.objects.filter(affiliate=OuterRef("pk")).order_by().values("affiliate")
    return affiliates.annotate(
        callback_count=Coalesce(Subquery(count.annotate(n=Count("event", distinct=True)).values("n")), 0),
        health=Case(
            When(Exists(now.filter(last_kind__gt="")), then=Value(Health.FAILING.value)),
            When(Exists(now.filter(last_kind="")), then=Value(Health.WORKING.value)),
            When(Exists(sent.filter(last_at__isnull=False)), then=Value(Health.CHANGED.value)),
            default=Value(Health.SILENT.value),
        ),
    )
