"""How many tests of callbacks may be sent: the table of the last ones, by whom and for which affiliate.

A test calls an address that somebody typed, at once, from our network; without a limit that would be a way to scan or
to flood others. Known in the database, because the processes that serve pages share nothing else.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models, transaction
from django.utils import timezone

from affiliates.models import Affiliate

AT_MOST, WITHIN = 10, timedelta(minutes=1)


class Turn(models.Model):
    """One test that was sent, or is being sent. Kept as long as it counts."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    affiliate = models.ForeignKey(Affiliate, on_delete=models.CASCADE, related_name="+")
    taken_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        verbose_name = "turn to test a callback"
        verbose_name_plural = "turns to test a callback"

    def __str__(self) -> str:
        return f"{self.affiliate}, by {self.user}"


def take(user_id: int, affiliate_id: int) -> timedelta:
    """Take a turn; nothing to wait if there was one left. `AT_MOST` a person and an affiliate have `WITHIN`.

    The two rows are locked for as long as that takes, so that two who come at once do not both get the last one.
    """
    now = timezone.now()
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user_id)
        Affiliate.objects.select_for_update(no_key=True).get(pk=affiliate_id)
        Turn.objects.filter(user=user_id, taken_at__lte=now - WITHIN).delete()
        counted = Turn.objects.filter(taken_at__gt=now - WITHIN)
        wait = max(_wait(counted.filter(user=user_id), now), _wait(counted.filter(affiliate=affiliate_id), now))
        if not wait:
            Turn.objects.create(user_id=user_id, affiliate_id=affiliate_id, taken_at=now)
    return wait


def _wait(turns: "models.QuerySet[Turn]", now: datetime) -> timedelta:
    """Until one more may be taken."""
    taken = list(turns.order_by("-taken_at").values_list("taken_at", flat=True)[:AT_MOST])
    return taken[-1] + WITHIN - now if len(taken) == AT_MOST else timedelta()
