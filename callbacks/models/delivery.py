"""Deliveries and their attempts.

The state of a delivery is changed by `callbacks.delivery` alone: `outbox`, `queue`, `settle` and `resend`.
"""

import os
import time
import uuid
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.fields.related_descriptors import ForwardManyToOneDescriptor
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from affiliates.models import Affiliate
from callbacks.egress import soft_failures
from callbacks.models.setting import EVENTS, SYSTEM
from orders.models import Order


def new_event_id() -> uuid.UUID:
    """A UUID of version 7 (RFC 9562, 5.7): milliseconds since 1970 in 48 bits, then 74 random ones.

    Each change of a delivery's row writes its id into an index again. Random ids would be spread over the whole index
    of a million deliveries; ids that begin with the time are together at its end.
    """
    version, variant = 7, 0b10
    random = int.from_bytes(os.urandom(10))
    high = (time.time_ns() // 1_000_000) << 16 | version << 12 | random & 0xFFF
    return uuid.UUID(int=high << 64 | variant << 62 | random >> 12 & (1 << 62) - 1)


class _OrderOrNone(ForwardManyToOneDescriptor):  # type: ignore[type-arg]  # not subscriptable at run time
    def get_object(self, instance: models.Model) -> Any:
        try:
            return super().get_object(instance)
        except Order.DoesNotExist:
            return None


class OrderKeyField(models.ForeignKey):  # type: ignore[type-arg]  # not subscriptable at run time
    """The key of an order, which stays when the order is deleted; the order itself is None then.

    So what is still to be told of a deleted order keeps its turn, and the last of it is that the order is rejected.
    """

    forward_related_accessor_class = _OrderOrNone


RETRYING = "retrying"  # a state beside the statuses: pending, after a failed attempt


class Delivery(models.Model):
    """One event for one callback setting: the values at that moment, and the state of sending them."""

    class Status(models.TextChoices):
        PENDING = "pending", _("Pending")
        SENDING = "sending", _("Sending")
        SUCCEEDED = "succeeded", _("Succeeded")
        FAILED = "failed", _("Failed")
        SKIPPED = "skipped", _("Skipped")

    class SkipReason(models.TextChoices):
        NONE = "", ""
        PAUSED = "paused", _("The callback was paused at the time of the event.")
        FILTERED = (
            "filtered",
            _("The callback is limited to certain statuses, and the order does not have one of them."),
        )
        AFFILIATE_BLOCKED = "affiliate_blocked", _("The affiliate is blocked, so nothing is sent to their tracker.")
        AFFILIATE_PENDING = (
            "affiliate_pending",
            _("The affiliate is not approved yet, so nothing is sent to their tracker."),
        )
        SUPERSEDED = "superseded", _("A newer event of the same order replaced it before it was delivered.")
        SETTING_DELETED = "setting_deleted", _("The callback was deleted before this could be sent.")

    class Trigger(models.TextChoices):
        INITIAL = "initial", _("Initial")
        RETRY = "retry", _("Retry")
        MANUAL = "manual", _("Manual")
        TEST = "test", _("Test")

    class Origin(models.TextChoices):
        EVENT = "event", _("An order was saved")
        BACKFILL = "backfill", _("Backfill")
        TEST = "test", _("Test")

    event_id = models.UUIDField(default=new_event_id, unique=True, editable=False)
    origin = models.CharField(max_length=8, choices=Origin, default=Origin.EVENT, db_default=Origin.EVENT)
    # Both are the first column of an index below; one more index for each would slow down every delivery.
    setting = models.ForeignKey(
        "callbacks.CallbackSetting", on_delete=models.SET_NULL, null=True, related_name="deliveries", db_index=False
    )
    affiliate = models.ForeignKey(
        Affiliate, on_delete=models.CASCADE, null=True, related_name="deliveries", db_index=False
    )
    order = OrderKeyField(  # type: ignore[misc]  # the stubs cannot know that it may be None
        Order, on_delete=models.DO_NOTHING, db_constraint=False, null=True, related_name="deliveries"
    )
    event = models.CharField(max_length=16, choices=EVENTS)
    status = models.CharField(max_length=16, choices=Status, default=Status.PENDING)
    skip_reason = models.CharField(max_length=32, choices=SkipReason, default=SkipReason.NONE, blank=True)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    next_trigger = models.CharField(max_length=8, choices=Trigger, default=Trigger.INITIAL)
    retry_step = models.PositiveSmallIntegerField(default=0, help_text="How many waits of the schedule are used up.")
    attempt_count = models.PositiveIntegerField(default=0)
    last_attempt_at = models.DateTimeField(null=True, blank=True)
    last_status_code = models.PositiveSmallIntegerField(null=True, blank=True)
    last_error_kind = models.CharField(max_length=32, default="", blank=True)
    is_soft_failure = models.BooleanField(
        null=True, editable=False, help_text="The last answer is 2xx and reads like a refusal; empty if never checked."
    )
    claim_token = models.UUIDField(null=True, editable=False)
    leased_until = models.DateTimeField(null=True, editable=False)
    variables = models.JSONField(default=dict, help_text="All variables by name, as they were when it happened.")
    # Of the request that saved the order, as the log has it; "" if it was no request.
    request_id = models.CharField(max_length=64, default="", db_default="", blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    IS_RETRYING = Q(status="pending") & ~Q(last_error_kind="")

    requested_by = ""  # set by `callbacks.models.audit`, for pages

    class Meta:
        verbose_name_plural = _("deliveries")
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
            models.Index(  # what people look for among millions; successful deliveries never enter it
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

    @property
    def state(self) -> str:
        """Its status as pages show it: `retrying` if it waits for another attempt."""
        is_retrying = self.status == self.Status.PENDING and self.last_error_kind
        return RETRYING if is_retrying else self.status

    def __str__(self) -> str:
        return f"{self.order_number} · {self.get_event_display()}"

    @property
    def is_of_webhook(self) -> bool:
        """Whether it goes to a system of the merchant, and tells of no order."""
        return self.event == SYSTEM

    @property
    def order_number(self) -> str:
        return str(self.variables.get("order.number") or self.variables.get("event", ""))

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.affiliate_id is None and self.setting is not None:
            self.affiliate_id = self.setting.affiliate_id
            if fields := kwargs.get("update_fields"):
                kwargs["update_fields"] = {*fields, "affiliate"}
        super().save(*args, **kwargs)

    def get_absolute_url(self) -> str:
        return reverse("admin:callbacks_delivery_change", args=[self.pk])


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

    requested_by = ""  # set by `callbacks.models.audit`, for pages

    class Meta:
        ordering: ClassVar = ["-pk"]

    def __str__(self) -> str:
        return f"{self.method} {self.status_code or self.error_kind}"

    @property
    def is_success(self) -> bool:
        return self.status_code is not None and 200 <= self.status_code < 300 and not self.error_kind

    @property
    def soft_failure(self) -> str:
        """The sentence that says why the answer looks like a refusal although it was 2xx; "" if it does not."""
        return soft_failures.find(self.response_excerpt) if self.is_success else ""
