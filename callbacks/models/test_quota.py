"""How many test requests may be sent: the table of the last ones, by person and affiliate.

A test calls a URL that somebody typed, at once, from our network; without a limit that would be a way to scan or to
flood others. It is kept in the database, because the processes that serve pages share nothing else.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models, transaction
from django.utils import timezone

from affiliates.models import Affiliate

AT_MOST, WITHIN = 10, timedelta(minutes=1)


class Turn(models.Model):
    """Imported as `TestQuota`. One test that was sent or is being sent. It is deleted when it no longer counts."""

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
    """Count one more test, unless the person or the affiliate had `AT_MOST` of them `WITHIN` the last minute.

    Returns how long to wait before another try; zero if it was counted. Both rows are locked meanwhile, so that two
    requests at the same time do not both get the last one.
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
    """How long until one more may be taken."""
    taken = list(turns.order_by("-taken_at").values_list("taken_at", flat=True)[:AT_MOST])
    return taken[-1] + WITHIN - now if len(taken) == AT_MOST else timedelta()
