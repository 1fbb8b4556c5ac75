"""What is to be told to whom, and what became of it: callback settings, deliveries and their attempts.

The rows are plain. Who may change the state of a delivery, and how, is `callbacks.outbox`.
"""

from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from affiliates.models import Affiliate, validate_text
from callbacks import addresses, bulk, identity, naming, targets, templating
from callbacks.allowance import Turn  # noqa: F401 - Django finds tables here
from callbacks.errands import Errand  # noqa: F401 - as above
from callbacks.hours import Counted, Hour  # noqa: F401 - as above
from callbacks.signing import new_secret
from orders.models import Order, validate_statuses

models.BigAutoField.register_lookup(bulk.Among)


class EventType(models.TextChoices):
    CREATED = "order.created", "Order created"
    UPDATED = "order.updated", "Order updated"


class CallbackSetting(models.Model):
    """One URL, and how and when one affiliate wants to hear there of one kind of event."""

    class Method(models.TextChoices):
        GET = "GET", "GET"
        POST = "POST", "POST"

    class BodyFormat(models.TextChoices):
        FORM = "form", "Form: the URL's parameters again"
        JSON = "json", "JSON: the whole event"

    class PauseReason(models.TextChoices):
        NONE = "", "not paused"
        PERSON = "person", "paused by hand"
        GONE = "gone", "the other side answered 410 Gone, and again an hour later"

    affiliate = models.ForeignKey(Affiliate, on_delete=models.CASCADE, related_name="callback_settings")
    event = models.CharField(max_length=16, choices=EventType)
    name = models.CharField(max_length=naming.LONGEST, blank=True, default=naming.DEFAULT, validators=[validate_text])
    method = models.CharField("HTTP method", max_length=4, choices=Method, default=Method.GET)
    url = models.TextField("URL", blank=True)  # blank is refused in clean(), with a code and a sentence of its own
    body_format = models.CharField("POST body", max_length=4, choices=BodyFormat, default=BodyFormat.FORM)
    send_as_typed = models.BooleanField(
        "send as typed",
        default=False,
        help_text="Other networks' placeholders in this URL are plain text and are sent as they stand.",
    )
    host = models.CharField(
        max_length=260, default="", editable=False, help_text="Host and port of the URL; filled when saved."
    )
    only_statuses = models.JSONField("only for statuses", default=list, blank=True, validators=[validate_statuses])
    secret = models.CharField(max_length=64, default=new_secret, editable=False)
    previous_secret = models.CharField(max_length=64, default="", blank=True, editable=False)
    previous_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    is_active = models.BooleanField("active", default=True)
    pause_reason = models.CharField(
        max_length=8, choices=PauseReason, default=PauseReason.NONE, blank=True, editable=False
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    request_changed_at = models.DateTimeField(
        null=True, editable=False, help_text="When `request` was last another; empty if it never was."
    )

    repairs: tuple[templating.Repair, ...] = ()  # what the last clean() mended in the URL
    known_names: list[str] | None = None  # those of the affiliate's others for this event, where somebody has read them

    class Meta:
        ordering: ClassVar = ["affiliate", "event", "pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["affiliate", "event", "name"], name="callback_name_once_per_event"),
            models.CheckConstraint(condition=Q(event__in=["order.created", "order.updated"]), name="callback_event"),
            models.CheckConstraint(condition=Q(method__in=["GET", "POST"]), name="callback_method"),
            models.CheckConstraint(condition=Q(body_format__in=["form", "json"]), name="callback_body_format"),
            models.CheckConstraint(condition=~Q(url=""), name="callback_url_not_empty"),
        ]

    def __str__(self) -> str:
        return f"{self.title} of {self.affiliate}"

    @property
    def title(self) -> str:
        """`Order created callback`, and the name that a person gave it."""
        return f"{self.get_event_display()} callback" + (f" “{self.name}”" if self.has_own_name else "")

    @property
    def has_own_name(self) -> bool:
        return self.name != naming.DEFAULT

    @property
    def request(self) -> tuple[str, str, str]:
        """What is sent, and where. How the last one did says nothing of another one."""
        return self.method, self.url, self.body_format if self.method == self.Method.POST else ""

    @property
    def statuses(self) -> list[str]:
        """The labels of the statuses that this is for; none if it is for all."""
        return [label for value, label in Order.Status.choices if value in self.only_statuses]

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self._state.adding:
            self.name = naming.free(self.name, self.other_names())
        self.host = targets.host_of(self.url)
        fields = kwargs.get("update_fields")
        if not self._state.adding and (fields is None or {"method", "url", "body_format"} & set(fields)):
            before = CallbackSetting.objects.only("method", "url", "body_format").filter(pk=self.pk).first()
            if before is not None and before.request != self.request:
                self.request_changed_at = timezone.now()
            if fields is not None:
                kwargs["update_fields"] = {*fields, "host", "request_changed_at"}
        super().save(*args, **kwargs)

    def clean(self) -> None:
        """Repair the URL and refuse what could not be sent or kept, with the code of each problem, beside its field."""
        finding = templating.check(self.url or "", addresses.policy_from(settings), send_as_typed=self.send_as_typed)
        self.url, self.repairs = finding.template, finding.repairs
        self.name = naming.free(self.name, others := self.other_names())
        problems = {"url": finding.problems, "name": naming.problems(self.name, others)}
        if self._state.adding and len(others) >= naming.AT_MOST:
            problems["url"] = (*finding.problems, naming.NO_PLACE_LEFT)
        errors = {field: [ValidationError(p.message, code=p.code) for p in found] for field, found in problems.items()}
        if any(errors.values()):
            raise ValidationError({field: found for field, found in errors.items() if found})

    def other_names(self) -> list[str]:
        if self.known_names is not None:
            return self.known_names
        others = CallbackSetting.objects.filter(affiliate=self.affiliate_id, event=self.event).exclude(pk=self.pk)
        return list(others.values_list("name", flat=True)) if self.affiliate_id else []


class SettingChange(models.Model):
    """What one person, or the engine, did to a callback setting. Written by `callbacks.history` alone."""

    class Action(models.TextChoices):
        CREATED = "created", "set up"
        CHANGED = "changed", "changed"
        PAUSED = "paused", "paused"
        RESUMED = "resumed", "resumed"
        ROTATED = "rotated", "gave a new signing secret to"
        REMOVED = "removed", "removed"
        GONE = "gone", "paused by itself"

    affiliate = models.ForeignKey(Affiliate, on_delete=models.CASCADE, related_name="setting_changes")
    setting = models.ForeignKey(CallbackSetting, on_delete=models.SET_NULL, null=True, related_name="history")
    event = models.CharField(max_length=16, choices=EventType)
    name = models.CharField(max_length=naming.LONGEST)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    user_name = models.CharField(max_length=320, blank=True, help_text="Empty if nobody did it: the engine.")
    action = models.CharField(max_length=8, choices=Action)
    changes = models.JSONField(default=list, help_text="Each a `field`, its `old` and its `new` value.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        default_permissions = ()
        ordering: ClassVar = ["-pk"]
        indexes: ClassVar = [models.Index(fields=["affiliate", "-id"], name="setting_change_of_affiliate")]


class Delivery(models.Model):
    """One event for one callback setting: what was to be told, frozen, and how far that got."""

    class Status(models.TextChoices):
        PENDING = "pending", "Pending"
        SENDING = "sending", "Sending"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"
        SKIPPED = "skipped", "Skipped"

    class SkipReason(models.TextChoices):
        NONE = "", ""
        PAUSED = "paused", "The callback was paused when this happened."
        FILTERED = (
            "filtered",
            "The callback is for certain statuses only, and the order did not come to one of them.",
        )
        AFFILIATE_BLOCKED = "affiliate_blocked", "The affiliate was blocked when this happened."
        SETTING_DELETED = "setting_deleted", "The callback was deleted before this could be sent."

    class Trigger(models.TextChoices):
        INITIAL = "initial", "Initial"
        RETRY = "retry", "Retry"
        MANUAL = "manual", "Manual"
        TEST = "test", "Test"

    class Origin(models.TextChoices):
        EVENT = "event", "An order was saved"
        BACKFILL = "backfill", "Backfill"
        TEST = "test", "Test"

    event_id = models.UUIDField(default=identity.new, unique=True, editable=False)
    origin = models.CharField(max_length=8, choices=Origin, default=Origin.EVENT, db_default=Origin.EVENT)
    # Both are the first column of an index below, and a third one each would be paid for by every delivery.
    setting = models.ForeignKey(
        CallbackSetting, on_delete=models.SET_NULL, null=True, related_name="deliveries", db_index=False
    )
    affiliate = models.ForeignKey(
        Affiliate, on_delete=models.CASCADE, null=True, related_name="deliveries", db_index=False
    )
    order = models.ForeignKey(Order, on_delete=models.SET_NULL, null=True, related_name="deliveries")
    event = models.CharField(max_length=16, choices=EventType)
    status = models.CharField(max_length=16, choices=Status, default=Status.PENDING)
    skip_reason = models.CharField(max_length=32, choices=SkipReason, default=SkipReason.NONE, blank=True)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    next_trigger = models.CharField(max_length=8, choices=Trigger, default=Trigger.INITIAL)
    retry_step = models.PositiveSmallIntegerField(default=0, help_text="How many waits of the schedule are used up.")
    attempt_count = models.PositiveIntegerField(default=0)
    last_attempt_at = models.DateTimeField(null=True, blank=True)
    last_status_code = models.PositiveSmallIntegerField(null=True, blank=True)
    last_error_kind = models.CharField(max_length=32, default="", blank=True)
    claim_token = models.UUIDField(null=True, editable=False)
    leased_until = models.DateTimeField(null=True, editable=False)
    variables = models.JSONField(default=dict, help_text="All variables by name, as they were when it happened.")
    created_at = models.DateTimeField(auto_now_add=True)

    is_doubted = False  # told by `callbacks.live`, for pages

    class Meta:
        verbose_name_plural = "deliveries"
        default_permissions = ("view",)  # nobody adds, changes or deletes one by hand
        permissions: ClassVar = [("resend_delivery", "Can resend delivery")]
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(status="pending", next_attempt_at__isnull=False)
                | (~Q(status="pending") & Q(next_attempt_at__isnull=True)),
                name="delivery_due_exactly_when_pending",
            ),
            models.CheckConstraint(
                condition=Q(status="sending", claim_token__isnull=False, leased_until__isnull=False)
                | (~Q(status="sending") & Q(claim_token__isnull=True, leased_until__isnull=True)),
                name="delivery_leased_exactly_when_sending",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["pending", "sending", "succeeded", "failed", "skipped"]),
                name="delivery_status_known",
            ),
            models.CheckConstraint(
                condition=Q(status="skipped") & ~Q(skip_reason="") | ~Q(status="skipped") & Q(skip_reason=""),
                name="delivery_reason_exactly_when_skipped",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["next_attempt_at", "id"],
                condition=Q(status="pending", attempt_count=0),
                name="delivery_due_first",
            ),
            models.Index(
                fields=["next_attempt_at", "id"],
                condition=Q(status="pending", attempt_count__gt=0),
                name="delivery_due_again",
            ),
            models.Index(fields=["leased_until"], condition=Q(status="sending"), name="delivery_leased"),
            models.Index(fields=["affiliate", "-id"], name="delivery_of_affiliate"),
            models.Index(fields=["setting", "-last_attempt_at"], name="delivery_last_of_setting"),
            models.Index(  # what people look for among millions; what goes well never enters it
                fields=["status", "-id"],
                condition=Q(status="failed") | Q(status="skipped"),
                name="delivery_unsuccessful",
            ),
            models.Index(
                fields=["origin", "-id"],
                condition=Q(origin="backfill") | Q(origin="test"),
                name="delivery_not_of_an_event",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.order_number} · {self.get_event_display()}"

    @property
    def order_number(self) -> str:
        return str(self.variables.get("order.number", ""))

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.affiliate_id is None and self.setting is not None:
            self.affiliate_id = self.setting.affiliate_id
        super().save(*args, **kwargs)

    def get_absolute_url(self) -> str:
        return reverse("admin:callbacks_delivery_change", args=[self.pk])


class TroubledHost(models.Model):
    """A host that has failed to connect or to answer since it last did. Written by `callbacks.breaker` alone."""

    host = models.CharField(max_length=260, primary_key=True)
    failures = models.PositiveIntegerField(help_text="How many in a row.")
    probe_at = models.DateTimeField(help_text="When the next single request may go there, if it is held.")

    def __str__(self) -> str:
        return self.host


class Attempt(models.Model):
    """One request: exactly what was sent, and exactly what came back. Never changed once written."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="attempts")
    trigger = models.CharField(max_length=8, choices=Delivery.Trigger)
    method = models.CharField(max_length=4)
    url = models.TextField("URL", blank=True, help_text="As it was sent; empty if there was nothing to send.")
    request_headers = models.JSONField(default=list, help_text="Pairs of name and value, in the order sent.")
    request_body = models.TextField(blank=True, default="")
    status_code = models.PositiveSmallIntegerField(null=True, blank=True)
    error_kind = models.CharField(max_length=32, blank=True, default="")
    detail = models.TextField(blank=True, default="", help_text="What happened, in a sentence.")
    response_headers = models.JSONField(default=list, help_text="Pairs of name and value, in the order received.")
    response_excerpt = models.TextField(blank=True, default="")
    remote_address = models.CharField(max_length=64, blank=True, default="")
    dns_ms = models.FloatField(null=True, blank=True)
    connect_ms = models.FloatField(null=True, blank=True)
    tls_ms = models.FloatField(null=True, blank=True)
    first_byte_ms = models.FloatField(null=True, blank=True)
    total_ms = models.FloatField(null=True, blank=True)
    created_at = models.DateTimeField(help_text="When the attempt began.")

    class Meta:
        ordering: ClassVar = ["-pk"]

    def __str__(self) -> str:
        return f"{self.method} {self.status_code or self.error_kind}"

    @property
    def is_success(self) -> bool:
        return self.status_code is not None and 200 <= self.status_code < 300 and not self.error_kind
