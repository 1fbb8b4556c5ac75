"""Jobs: work that takes longer than a request, such as resending all deliveries of a filter or sending past orders.

Only the table is here, and what follows from a row alone. `callbacks.jobs.runner` does the work, a step at a time.
"""

import uuid
from datetime import timedelta
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

RATES = (5, 20, 50, 100, 200, 500)  # postbacks a second to choose from
USUAL_RATE = 50
NAMED = 20  # how many refused deliveries are kept by id; the others are only counted
FORGOTTEN = timedelta(seconds=15)  # after so long without a step no worker seems to be working on it


class Errand(models.Model):
    """What is to be done, between which primary keys (`first` to `last`), how fast, and how far that is.

    Imported as `Job`. The keys are those of deliveries for a resend, and of orders for a backfill. `position` is
    the last one that is done.
    """

    class Kind(models.TextChoices):
        RESEND = "resend", _("Resend")
        BACKFILL = "backfill", _("Backfill")

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        RUNNING = "running", _("Running")
        STOPPED = "stopped", _("Stopped")
        FINISHED = "finished", _("Finished")
        FAILED = "failed", _("Failed")

    # Made by the page that starts it, so that a button pressed twice starts one job.
    token = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(max_length=8, choices=Kind)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    user_name = models.CharField(max_length=320, blank=True)
    # Only of a backfill.
    setting = models.ForeignKey("callbacks.CallbackSetting", on_delete=models.SET_NULL, null=True, related_name="+")
    affiliate = models.ForeignKey("affiliates.Affiliate", on_delete=models.CASCADE, null=True, related_name="+")
    chosen = models.JSONField(default=dict, help_text="The filter, or the days, as in an address.")
    words = models.TextField(help_text="The same as a person reads it, as it was when this was started.")
    first = models.BigIntegerField()
    last = models.BigIntegerField()
    position = models.BigIntegerField()
    total = models.PositiveBigIntegerField(default=0, help_text="What was counted when it was confirmed.")
    is_counted = models.BooleanField(default=True, help_text="False if there was more than there was time to count.")
    left_out = models.JSONField(default=dict, help_text="What was not to be sent, counted: a sentence and a number.")
    done = models.PositiveBigIntegerField(default=0)
    refused = models.JSONField(default=dict, help_text="What could not be sent, counted: a sentence and a number.")
    refused_first = models.JSONField(default=list, help_text="The first of them: a delivery's key and a sentence.")
    rate = models.PositiveSmallIntegerField(default=USUAL_RATE, help_text="Postbacks a second, at most.")
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    note = models.TextField(blank=True, default="", help_text="Why it stopped by itself.")
    paid_until = models.DateTimeField(null=True, help_text="Up to when the rate allowed what is done.")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField(auto_now=True)

    ACTIVE = (State.WAITING, State.RUNNING)
    HALTED = (State.STOPPED, State.FAILED)

    class Meta:
        verbose_name = _("resend or backfill")
        verbose_name_plural = _("resends and backfills")
        default_permissions = ()
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(rate__gte=1), name="errand_rate_positive"),
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "running", "stopped", "finished", "failed"]),
                name="errand_state_known",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["id"], condition=Q(state__in=["waiting", "running"]), name="errand_active"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("admin:callbacks_errand_change", args=[self.pk])

    @property
    def is_active(self) -> bool:
        return self.state in self.ACTIVE

    @property
    def is_halted(self) -> bool:
        return self.state in self.HALTED

    @property
    def refused_count(self) -> int:
        return sum(self.refused.values())

    @property
    def share(self) -> float:
        """How much of it is done, from 0 to 1: by number if the total is known, else by primary key."""
        if self.state == self.State.FINISHED:
            return 1.0
        if self.is_counted and self.total:
            return min(1.0, (self.done + self.refused_count) / self.total)
        return min(1.0, (self.position - self.first + 1) / max(1, self.last - self.first + 1))

    @property
    def percent(self) -> float:
        """The same for people: 100 only when it is finished."""
        return 100.0 if self.state == self.State.FINISHED else min(99.9, 100 * self.share)

    @property
    def remaining(self) -> timedelta | None:
        """The time that the rest takes at its rate; None if that is not known, or it is not active."""
        if not self.is_active:
            return None
        if self.is_counted:
            return timedelta(seconds=max(0, self.total - self.done - self.refused_count) / self.rate)
        if self.started_at is None or not 0 < (share := self.share) < 1:
            return None
        return (timezone.now() - self.started_at) * ((1 - share) / share)

    @property
    def is_forgotten(self) -> bool:
        """Whether it should be running and no worker has done a step of it for a while."""
        return self.is_active and timezone.now() - self.updated_at > FORGOTTEN

    def stop(self, note: str = "", state: str = State.STOPPED) -> bool:
        """Stop it after its last step. False if it was not active any more."""
        moment = timezone.now()
        active = Errand.objects.filter(pk=self.pk, state__in=self.ACTIVE)
        return bool(active.update(state=state, note=note, ended_at=moment, updated_at=moment))

    def resume(self) -> bool:
        """Go on where it stopped. False if it was not stopped."""
        halted = Errand.objects.filter(pk=self.pk, state__in=self.HALTED)
        values = {"state": self.State.WAITING, "note": "", "ended_at": None, "paid_until": None}
        return bool(halted.update(**values, updated_at=timezone.now()))
