"""Jobs for the tests that take steps: made as their pages make them, and done without waiting."""

from datetime import timedelta
from typing import Any

import time_machine
from django.utils import timezone

from callbacks.jobs import runner
from callbacks.models import CallbackSetting, Delivery, Job
from orders.models import Order


def to_resend(rate: int = 50, *, with_delivered: bool = False, **chosen: str) -> Job:
    last = Delivery.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    count = Delivery.objects.count()
    kept = chosen | {"with_delivered": with_delivered}
    return Job.objects.create(
        kind="resend", chosen=kept, words="some", first=1, last=last, position=0, total=count, rate=rate
    )


def to_backfill(setting: CallbackSetting, rate: int = 50, **chosen: Any) -> Job:
    last = Order.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    return Job.objects.create(
        kind="backfill",
        setting=setting,
        affiliate=setting.affiliate,
        chosen=chosen,
        words="some",
        first=1,
        last=last,
        position=0,
        total=Order.objects.count(),
        rate=rate,
    )


def do_all(job: Job, within_s: int = 1000) -> Job:
    """Take its steps, a second after each other, until it is over."""
    for second in range(within_s):
        with time_machine.travel(timezone.now() + timedelta(seconds=second)):
            while runner.step(job.pk):
                pass
        job.refresh_from_db()
        if not job.is_active:
            return job
    raise AssertionError(f"not over after {within_s} s: {job.done} of {job.total}")
