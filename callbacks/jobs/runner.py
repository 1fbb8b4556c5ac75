"""Does jobs a step at a time. One transaction of a step does some rows and saves how far the job is.

So a step that breaks off anywhere has done nothing, and the next one begins where the last ended: nothing is lost and
nothing is done twice. Two steps of one job at the same time find the same position, and only one of them moves it. A
step looks for its rows before its transaction, because others who write wait for that.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from callbacks.delivery import health, resend
from callbacks.delivery.resend import Resent
from callbacks.jobs.backfill import Backfill
from callbacks.log.selection import WHILE_PAUSED, Selection
from callbacks.models import Job
from callbacks.models.job import NAMED
from config.db_outages import outage
from config.listing.keys import find_rows

log = structlog.get_logger(__name__)

CHUNK = 50  # rows of one transaction
TIME_S = 0.2  # how long all jobs together keep a worker
# A job that fell behind its rate makes up for this long at most: a worker that was away for an hour does not come back
# with an hour's postbacks at once.
BURST = timedelta(seconds=2)
OUR_ERROR = "Stopped because of an error on our side. Details are in the worker's log."


def run_all() -> None:
    """Take steps of every job that is waiting or running, as far as its rate allows and for a bounded time."""
    began = time.monotonic()
    for job in Job.objects.filter(state__in=Job.ACTIVE).order_by("updated_at"):
        try:
            while time.monotonic() - began < TIME_S and step(job.pk):
                pass
        except Exception as error:
            if outage(error):  # the next one finds everything as it was
                log.warning("job_interrupted", job=job.pk, error=type(error).__name__)
                continue
            log.exception("job_failed", job=job.pk)
            job.stop(OUR_ERROR, Job.State.FAILED)


def step(job_id: int) -> bool:
    """Take one step; False if there is nothing more to do for now: the rate is used up, or the job is over."""
    job = Job.objects.select_related("setting__affiliate").get(pk=job_id)
    now = timezone.now()
    begin = _paid_until(job, now)
    amount = min(CHUNK, int((now - begin).total_seconds() * job.rate))
    if amount < 1 or not job.is_active:
        return False
    work = _work_of(job)
    if isinstance(work, str):
        job.stop(work)
        return False
    ids, position = _next(work.rows, job, amount)
    is_over = position >= job.last
    with transaction.atomic():
        active = Job.objects.select_for_update(no_key=True, of=("self",)).filter(pk=job_id, state__in=Job.ACTIVE)
        current = active.filter(position=job.position).first()
        if current is None:  # somebody else took this step, or the job was stopped
            return False
        result = work.do(ids) if ids else Resent()
        current.position = position
        current.done += result.count
        current.refused = dict(Counter(current.refused) + Counter(result.refused.values()))
        first = [list(pair) for pair in sorted(result.refused.items())]
        current.refused_first = (current.refused_first + first)[:NAMED]
        current.paid_until = begin + timedelta(seconds=result.count / job.rate)
        current.started_at = current.started_at or now
        current.state = Job.State.FINISHED if is_over else Job.State.RUNNING
        current.ended_at = timezone.now() if is_over else None
        current.save()
        if is_over and (paused := job.chosen.get(WHILE_PAUSED)):
            health.leave_skipped(int(paused), job.created_at)
    return not is_over


def _paid_until(job: Job, now: datetime) -> datetime:
    """The time up to which the rate is used up. A clock that was set back does not stop the job."""
    until = job.paid_until
    if until is None or until > now + BURST:
        return now - timedelta(seconds=1)
    return max(until, now - BURST)


def _next(rows: QuerySet[Any], job: Job, amount: int) -> tuple[Sequence[int], int]:
    """The keys of the next rows, and the key up to which nothing is left once they are done."""
    found, stopped_at = find_rows(
        rows.order_by("pk").values_list("pk", flat=True), amount, job.position + 1, job.last, 1
    )
    if len(found) == amount:
        return found, found[-1]
    return found, job.last if stopped_at is None else stopped_at


@dataclass(frozen=True, slots=True)
class _Work:
    """The rows that a job goes through, and what its steps do with some of them, by their keys."""

    rows: QuerySet[Any]
    do: Callable[[Sequence[int]], Resent]


def _work_of(job: Job) -> _Work | str:
    """What there is to do, or the sentence that says why nothing can be sent any more."""
    if job.kind == Job.Kind.RESEND:
        return _Work(Selection.from_data(job.chosen).deliveries(), resend.resend)
    if job.setting is None:
        return "Its callback was deleted."
    backfill = Backfill.of(job.setting, job.chosen)
    return backfill.why_not() or _Work(backfill.orders(), lambda ids: Resent(backfill.record(ids)))
