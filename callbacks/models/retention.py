"""What is remembered of rows that are gone: how far they were pruned, and the sums of an affiliate's month."""

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext

from affiliates.models import Affiliate

DELIVERIES = "deliveries"


class Pruned(models.Model):
    """How far one kind of rows is pruned: those from before `before` may be gone. The next run begins at `position`."""

    kind = models.CharField(max_length=64, primary_key=True)
    before = models.DateTimeField(null=True)
    position = models.BigIntegerField(default=0, db_default=0)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.kind} before {self.before}"


class KeptResult(models.Model):
    """How many orders of an affiliate's month had this result with a callback, of those whose deliveries are gone.

    The last delivery of an order for a callback counts, when it goes. `setting_key` is 0 for a deleted callback.
    """

    affiliate = models.ForeignKey(Affiliate, on_delete=models.CASCADE, related_name="+")
    month = models.CharField(max_length=7, help_text="Of the order, such as 2026-03, in the installation's zone.")
    event = models.CharField(max_length=16)
    setting_key = models.BigIntegerField()
    status = models.CharField(max_length=16)
    orders = models.BigIntegerField(default=0)

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["affiliate", "month", "event", "setting_key", "status"], name="kept_result_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.orders} {self.status} in {self.month}"


class KeptOrders(models.Model):
    """The sums of the forgotten orders of an affiliate's month."""

    affiliate = models.ForeignKey(Affiliate, on_delete=models.CASCADE, related_name="+")
    month = models.CharField(max_length=7, help_text="As in `KeptResult`.")
    currency = models.CharField(max_length=3)
    orders = models.BigIntegerField(default=0)
    amount = models.DecimalField(max_digits=25, decimal_places=4, default=0)
    commission = models.DecimalField(max_digits=25, decimal_places=4, default=0)

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["affiliate", "month", "currency"], name="kept_orders_once")
        ]

    def __str__(self) -> str:
        return f"{self.orders} orders in {self.month}"


def month_of(moment: datetime) -> str:
    """The month of an order as it stands in these tables."""
    return f"{timezone.localtime(moment, timezone.get_default_timezone()):%Y-%m}"


def deliveries_kept_since() -> datetime | None:
    """The time from which on all deliveries are there; None if none was ever pruned.

    For an order from before, that there is no delivery does not mean that nothing was sent.
    """
    return Pruned.objects.filter(kind=DELIVERIES).values_list("before", flat=True).first()


def is_no_longer_kept(moment: datetime, kept_since: datetime | None) -> bool:
    """Whether what was recorded at that moment may be gone."""
    return kept_since is not None and moment < kept_since


def in_words(kept_since: datetime) -> str:
    """The sentence for pages and commands."""
    day = timezone.localtime(kept_since, timezone.get_default_timezone())
    return gettext("Deliveries before %(day)s have been deleted.") % {"day": f"{day:%-d %b %Y}"}
