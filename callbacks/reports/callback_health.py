"""The health of callbacks, from the last request that was sent for each. Tests do not count."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Case, Count, Exists, F, OuterRef, Q, QuerySet, Subquery, TextChoices, Value, When
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from affiliates.models import Affiliate
from callbacks.models import Attempt, CallbackSetting, Delivery, EventType, Pruned, names
from callbacks.models.retention import DELIVERIES, deliveries_kept_since, is_no_longer_kept


class Health(TextChoices):
    NOT_SET = "not_set", _("Not set")
    PAUSED = "paused", _("Paused")
    SILENT = "silent", _("Nothing sent yet")
    PRUNED = "pruned", _("Nothing sent lately")
    CHANGED = "changed", _("Changed, nothing sent since")
    WORKING = "working", _("Working")
    FAILING = "failing", _("Failing")


@dataclass(frozen=True, slots=True)
class CallbackStatus:
    """A callback of an affiliate with the last delivery and attempt for it; or an event without a callback.

    `position` is its position among the `count` callbacks of its event, from 1. `kept_since` is set if nothing was sent
    since then, and deliveries from before are deleted.
    """

    event: EventType
    setting: CallbackSetting | None
    last: Delivery | None
    attempt: Attempt | None
    position: int = 1
    count: int = 0
    kept_since: datetime | None = None

    @property
    def health(self) -> Health:
        if self.setting is None:
            return Health.NOT_SET
        if not self.setting.is_active:
            return Health.PAUSED
        if self.last is None:
            return Health.PRUNED if self.kept_since else Health.SILENT
        if not is_sent_since(self.setting.request_changed_at, self.last.last_attempt_at):
            return Health.CHANGED
        return Health.FAILING if self.last.last_error_kind else Health.WORKING

    @property
    def anchor(self) -> str:
        if self.setting is None or self.position == 1:
            return self.event.value.replace(".", "-")
        return f"callback-{self.setting.pk}"

    @property
    def name(self) -> str:
        """The name to show; "" for the only callback of an event with the default name."""
        return self.setting.name if self.setting and (self.count > 1 or self.setting.has_own_name) else ""

    @property
    def is_last(self) -> bool:
        return self.position >= self.count

    @property
    def has_room(self) -> bool:
        """Whether one more callback may be set up for this event."""
        return 0 < self.count < names.AT_MOST


def callbacks_of(affiliate: Affiliate) -> list[CallbackStatus]:
    """The callbacks of an affiliate, *created* first, and one without a setting for an event without callbacks.

    Takes three queries, however many callbacks there are; four if nothing is known to be sent for one of them.
    """
    last = sent_last()
    settings = CallbackSetting.objects.select_related("endpoint_health")
    found = settings.filter(affiliate=affiliate).annotate(last_pk=Subquery(last.values("pk")[:1]))
    settings_of: dict[str, list[CallbackSetting]] = {event: [] for event in EventType}
    last_pks = {}
    for annotated in found.order_by("pk"):
        settings_of[annotated.event].append(annotated)
        last_pks[annotated.pk] = annotated.last_pk
    attempt = Attempt.objects.filter(delivery=OuterRef("pk")).order_by("-pk")
    sent = Delivery.objects.annotate(attempt_pk=Subquery(attempt.values("pk")[:1]))
    deliveries = sent.in_bulk(pk for pk in last_pks.values() if pk)
    attempts = Attempt.objects.in_bulk(d.attempt_pk for d in deliveries.values() if d.attempt_pk)
    pruned_before = None if all(last_pks.values()) else deliveries_kept_since()
    callbacks = []
    for event, settings_ in settings_of.items():
        if not settings_:
            callbacks.append(CallbackStatus(EventType(event), None, None, None))
        for position, setting in enumerate(settings_, start=1):
            delivery = deliveries.get(last_pks[setting.pk])
            tried = attempts.get(delivery.attempt_pk) if delivery else None
            is_known = delivery is not None or not is_no_longer_kept(setting.created_at, pruned_before)
            place = position, len(settings_), None if is_known else pruned_before
            callbacks.append(CallbackStatus(EventType(event), setting, delivery, tried, *place))
    return callbacks


def is_sent_since(changed_at: datetime | None, last_attempt_at: datetime | None) -> bool:
    """Whether something was sent since the callback's request was changed; only then does it say how it does now."""
    return last_attempt_at is not None and (changed_at is None or changed_at < last_attempt_at)


def sent_last() -> QuerySet[Delivery]:
    """The deliveries that were sent for the setting of the outer query, the last first, without tests."""
    sent = Delivery.objects.filter(setting=OuterRef("pk"), last_attempt_at__isnull=False)
    return sent.exclude(origin=Delivery.Origin.TEST).order_by("-last_attempt_at")


def with_health(affiliates: QuerySet[Affiliate]) -> QuerySet[Affiliate]:
    """Affiliates with `callback_count` (events that have a callback) and `health` (failing if one callback is)."""
    last = sent_last()
    sent = CallbackSetting.objects.filter(affiliate=OuterRef("pk")).annotate(
        last_kind=Subquery(last.values("last_error_kind")[:1]), last_at=Subquery(last.values("last_attempt_at")[:1])
    )
    pruned = Pruned.objects.filter(kind=DELIVERIES).values("before")
    now = sent.filter(Q(request_changed_at=None) | Q(request_changed_at__lt=F("last_at")))
    count = CallbackSetting.objects.filter(affiliate=OuterRef("pk")).order_by().values("affiliate")
    return affiliates.annotate(
        callback_count=Coalesce(Subquery(count.annotate(n=Count("event", distinct=True)).values("n")), 0),
        health=Case(
            When(Exists(now.filter(last_kind__gt="")), then=Value(Health.FAILING.value)),
            When(Exists(now.filter(last_kind="")), then=Value(Health.WORKING.value)),
            When(Exists(sent.filter(last_at__isnull=False)), then=Value(Health.CHANGED.value)),
            When(Exists(sent.filter(created_at__lt=Subquery(pruned))), then=Value(Health.PRUNED.value)),
            default=Value(Health.SILENT.value),
        ),
    )
