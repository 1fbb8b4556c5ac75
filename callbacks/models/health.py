"""What is known of a callback that fails: since when, how often, and what people were told of it.

A callback that works has no row. `callbacks.delivery.health` alone writes it.
"""

from typing import Any, ClassVar

from django.db import models

from callbacks.models.delivery import Delivery
from callbacks.models.setting import CallbackSetting

MAX_COUNTED = 1000


class EndpointHealth(models.Model):
    """One callback. `first_failure_at` to `failures` are about what was sent since its last success."""

    class State(models.TextChoices):
        NONE = "", "nothing was told"
        FAILING = "failing", "failing"
        PAUSED = "paused", "paused by itself"

    setting = models.OneToOneField(
        CallbackSetting, on_delete=models.CASCADE, primary_key=True, related_name="endpoint_health"
    )
    state = models.CharField(max_length=8, choices=State, default=State.NONE, db_default=State.NONE, blank=True)
    since = models.DateTimeField(null=True, help_text="When what is told began; empty if nothing is.")
    last_success_at = models.DateTimeField(null=True)
    first_failure_at = models.DateTimeField(null=True)
    last_failure_at = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0, db_default=0)
    last_status_code = models.PositiveSmallIntegerField(null=True)
    last_error_kind = models.CharField(max_length=32, default="", db_default="", blank=True)
    paused_at = models.DateTimeField(null=True, help_text="When it was last paused by itself.")
    resumed_at = models.DateTimeField(null=True, help_text="When that ended.")

    class Meta:
        default_permissions: ClassVar[Any] = ()

    def __str__(self) -> str:
        return f"{self.setting}: {self.get_state_display()}"

    def skipped(self) -> models.QuerySet[Delivery]:
        """What was skipped because the callback was paused, in the last pause that is known here."""
        found = Delivery.objects.filter(
            setting=self.pk,
            last_attempt_at=None,  # none was ever sent; with it the index by setting finds them
            status=Delivery.Status.SKIPPED,
            skip_reason=Delivery.SkipReason.PAUSED,
        )
        if self.paused_at is None:
            return found.none()
        found = found.filter(created_at__gte=self.paused_at)
        return found.filter(created_at__lt=self.resumed_at) if self.resumed_at else found

    @property
    def skipped_count(self) -> int:
        """How many those are; `MAX_COUNTED` if there are more."""
        return self.skipped().order_by()[:MAX_COUNTED].count()
