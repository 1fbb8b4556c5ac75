"""How callbacks do, in one word each: read from the last request that was sent for a setting."""

from dataclasses import dataclass, replace

from django.conf import settings
from django.db.models import Case, Count, Exists, OuterRef, Q, QuerySet, Subquery, TextChoices, Value, When
from django.db.models.functions import Coalesce

from affiliates.models import Affiliate
from callbacks import addresses, templating
from callbacks.models import Attempt, CallbackSetting, Delivery, EventType


class Health(TextChoices):
    NOT_SET = "not_set", "Not set"
    PAUSED = "paused", "Paused"
    SILENT = "silent", "Nothing sent yet"
    WORKING = "working", "Working"
    FAILING = "failing", "Failing"


@dataclass(frozen=True, slots=True)
class Callback:
    """One of an affiliate's two callbacks: its setting, if there is one, and the last request sent for it."""

    event: EventType
    setting: CallbackSetting | None
    last: Delivery | None
    attempt: Attempt | None

    @property
    def health(self) -> Health:
        if self.setting is None:
            return Health.NOT_SET
        if not self.setting.is_active:
            return Health.PAUSED
        if self.last is None:
            return Health.SILENT
        return Health.FAILING if self.last.last_error_kind else Health.WORKING

    @property
    def anchor(self) -> str:
        return self.event.value.replace(".", "-")

    @property
    def finding(self) -> templating.Finding | None:
        """What is to be said of the saved URL by today's rules."""
        return finding_of(self.setting) if self.setting else None


def finding_of(setting: CallbackSetting) -> templating.Finding:
    """What is to be said of a saved URL by today's rules."""
    policy = addresses.policy_from(settings)
    finding = templating.check(setting.url, policy, send_as_typed=setting.send_as_typed)
    if setting.method == "POST" and setting.body_format == "json":  # the body tells of the link
        return replace(finding, warnings=tuple(w for w in finding.warnings if w.code != "no_click_id"))
    return finding


def callbacks_of(affiliate: Affiliate) -> list[Callback]:
    """The callbacks of one affiliate, *created* first, set or not."""
    found = {setting.event: setting for setting in CallbackSetting.objects.filter(affiliate=affiliate)}
    return [_callback(event, found.get(event)) for event in EventType]


def _callback(event: EventType, setting: CallbackSetting | None) -> Callback:
    last = last_delivery_of(setting) if setting else None
    return Callback(event, setting, last, last.attempts.order_by("-pk").first() if last else None)


def last_delivery_of(setting: CallbackSetting) -> Delivery | None:
    """The delivery that the last request for this setting belonged to."""
    sent = setting.deliveries.filter(last_attempt_at__isnull=False).select_related("order")
    return sent.order_by("-last_attempt_at").first()


def with_health(affiliates: "QuerySet[Affiliate]") -> "QuerySet[Affiliate]":
    """Affiliates with `callback_count` (how many of the two are set) and `health` (failing if one of them is)."""
    last = Delivery.objects.filter(setting=OuterRef("pk"), last_attempt_at__isnull=False).order_by("-last_attempt_at")
    sent = CallbackSetting.objects.filter(affiliate=OuterRef("pk")).annotate(
        last_kind=Subquery(last.values("last_error_kind")[:1])
    )
    count = CallbackSetting.objects.filter(affiliate=OuterRef("pk")).order_by().values("affiliate")
    return affiliates.annotate(
        callback_count=Coalesce(Subquery(count.annotate(n=Count("pk")).values("n")), 0),
        health=Case(
            When(Exists(sent.filter(Q(last_kind__gt=""))), then=Value(Health.FAILING.value)),
            When(Exists(sent.filter(last_kind="")), then=Value(Health.WORKING.value)),
            default=Value(Health.SILENT.value),
        ),
    )
