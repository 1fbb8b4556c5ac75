"""Does errands a step at a time: a stretch of rows and how far the errand is, in one transaction.

So a step that is broken off anywhere has done nothing, and the next one begins where the last ended: nothing is lost
and nothing is done twice. Two steps of one errand at the same time find the same beginning, and only one of them moves
it. What a step reads it reads before its transaction, for which others who write have to wait.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from callbacks.delivery import resend
from callbacks.delivery.resend import Resent
from callbacks.jobs.backfill import Backfill
from callbacks.log.selection import Selection
from callbacks.models import Job
from callbacks.models.job import NAMED
from config.listing.keys import find_rows

log = logging.getLogger(__name__)

CHUNK = 50  # rows of one transaction
TIME_S = 0.2  # how long a worker is kept, for all errands together
# What the rate allowed and nobody used is made up for, but no more than that: a worker that was away for an hour does
# not come back with an hour's postbacks at once.
BURST = timedelta(seconds=2)
OUR_ERROR = "It broke off because of an error on our side, which is in the log of the worker."


def run_all() -> None:
    """Take every errand that is waiting or running on, as far as its rate allows and for a bounded time."""
    began = time.monotonic()
    for errand in Job.objects.filter(state__in=Job.ACTIVE).order_by("updated_at"):
        try:
            while time.monotonic() - began < TIME_S and step(errand.pk):
                pass
        except (InterfaceError, OperationalError) as error:  # the next one finds everything as it was
            log.warning("errand_interrupted errand=%d error=%s", errand.pk, type(error).__name__)
        except Exception:
            log.exception("errand_failed errand=%d", errand.pk)
            errand.stop(OUR_ERROR, Job.State.FAILED)


def step(errand_id: int) -> bool:
    """One step; False if there is nothing more to do for now: the rate is used up, or the errand is over."""
    errand = Job.objects.select_related("setting__affiliate").get(pk=errand_id)
    now = timezone.now()
    begin = _paid_until(errand, now)
    amount = min(CHUNK, int((now - begin).total_seconds() * errand.rate))
    if amount < 1 or not errand.is_active:
        return False
    work = _Resending(errand) if errand.kind == Job.Kind.RESEND else _Backfilling(errand)
    if note := work.why_not():
        errand.stop(note)
        return False
    ids, position = _next(work.rows(), errand, amount)
    is_over = position >= errand.last
    with transaction.atomic():
        locked = Job.objects.select_for_update(no_key=True, of=("self",))
        ours = locked.filter(pk=errand_id, state__in=Job.ACTIVE, position=errand.position).first()
        if ours is None:  # somebody else took this step, or it was stopped
            return False
        result = work.do(ids) if ids else Resent()
        ours.position = position
        ours.done += result.count
        ours.refused = dict(Counter(ours.refused) + Counter(result.refused.values()))
        ours.refused_first = (ours.refused_first + [list(pair) for pair in sorted(result.refused.items())])[:NAMED]
        ours.paid_until = begin + timedelta(seconds=result.count / errand.rate)
        ours.started_at = ours.started_at or now
        ours.state = Job.State.FINISHED if is_over else Job.State.RUNNING
        ours.ended_at = timezone.now() if is_over else None
        ours.save()
    return not is_over


def _paid_until(errand: Job, now: datetime) -> datetime:
    """Up to when the rate is used up. A clock that was set back must not stop an errand until it is right again."""
    until = errand.paid_until
    if until is None or until > now + BURST:
        return now - timedelta(seconds=1)
    return max(until, now - BURST)


def _next(rows: QuerySet[Any], errand: Job, amount: int) -> tuple[Sequence[int], int]:
    """The next rows, and the key up to which nothing is left after them."""
    found, stopped_at = find_rows(
        rows.order_by("pk").values_list("pk", flat=True), amount, errand.position + 1, errand.last, 1
    )
    if len(found) == amount:
        return found, found[-1]
    return found, errand.last if stopped_at is None else stopped_at


class _Resending:
    def __init__(self, errand: Job) -> None:
        self.selection = Selection.kept(errand.chosen)
        self.do: Callable[[Sequence[int]], Resent] = resend.resend

    def why_not(self) -> str:
        return ""

    def rows(self) -> QuerySet[Any]:
        return self.selection.deliveries()


class _Backfilling:
    def __init__(self, errand: Job) -> None:
        self.backfill = Backfill.of(errand.setting, errand.chosen) if errand.setting else None

    def why_not(self) -> str:
        return self.backfill.why_not() if self.backfill else "Its callback was deleted."

    def rows(self) -> QuerySet[Any]:
        assert self.backfill
        return self.backfill.orders()

    def do(self, ids: Sequence[int]) -> Resent:
        assert self.backfill
        return Resent(self.backfill.record(ids))
