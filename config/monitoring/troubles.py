"""What can be wrong with the installation: one table of sentences and limits, and what of it holds at a moment.

`/status` tells what holds now. What has held for a while becomes an alarm (`alarms`), if the database can be written
and somebody can do something about it: that is what has a `hold`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from config.monitoring.status import Status

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

LATE = timedelta(minutes=5)
LEAST_DISK_FREE = 0.05


@dataclass(frozen=True, slots=True)
class Kind:
    """What is said of one kind of trouble, and for how long it must be found before it is an alarm."""

    title: "StrOrPromise"
    advice: "StrOrPromise"
    over: "StrOrPromise"
    hold: timedelta


# A process is missed after 20 seconds, so the hold of both is what makes it a minute.
ALARMS = {
    "worker": Kind(
        _("No worker is running"),
        _(
            "No postbacks are sent until a worker runs. Nothing is lost. Start the worker, and check its log to see "
            "why it stopped."
        ),
        _("A worker is running again"),
        timedelta(seconds=40),
    ),
    "waiting": Kind(
        _("Postbacks are late"),
        _(
            "Some deliveries have been due for more than five minutes and are not sent yet. Check that enough "
            "workers are running, and look for a reason in their logs and in the list of deliveries."
        ),
        _("Postbacks are on time again"),
        timedelta(seconds=30),
    ),
    "beat": Kind(
        _("Beat is not running"),
        _(
            "Without it, resends of many deliveries, backfills, overview figures and scheduled tasks do not run. "
            "Start it again."
        ),
        _("Beat is running again"),
        timedelta(seconds=40),
    ),
    "broker": Kind(
        _("The broker does not work"),
        _(
            "Postbacks are still sent, a few seconds later, because workers look for due deliveries themselves. "
            "Resends of many deliveries and backfills do not run. Check that the Valkey or Redis server is running, "
            "that it can be written to, and that its memory or disk is not full."
        ),
        _("The broker works again"),
        timedelta(seconds=45),
    ),
    "disk": Kind(
        _("A disk is nearly full"),
        _(
            "Less than 5 % of it is free. When it is full, orders are refused. Free some space on the machine, or "
            "prune old data."
        ),
        _("The disk has enough space again"),
        timedelta(seconds=30),
    ),
}


@dataclass(frozen=True, slots=True)
class Trouble:
    kind: str
    since: datetime  # as far as it is known
    sentence: str


def troubles(seen: Status) -> Iterator[Trouble]:
    """What is wrong with the installation at this moment."""

    def alarming(kind: str, since: datetime | None, detail: str) -> Trouble:
        sentence = f"{ALARMS[kind].title}: {detail}." if detail else f"{ALARMS[kind].title}."
        return Trouble(kind, since or seen.at, sentence)

    for kind, sentence in (("database", seen.database), ("migrations", seen.migrations), ("proxy", seen.proxy)):
        if sentence:
            yield Trouble(kind, seen.at, sentence)
    if not seen.workers:
        yield alarming("worker", seen.worker_seen_at, _last_seen(seen.worker_seen_at, seen.at))
    if not seen.beats:
        yield alarming("beat", seen.beat_seen_at, _last_seen(seen.beat_seen_at, seen.at))
    if not seen.is_broker_there:
        yield alarming("broker", None, "it does not answer or refuses writes")
    if seen.oldest_due_at and seen.at - seen.oldest_due_at > LATE:
        waited = duration(seen.at - seen.oldest_due_at)
        yield alarming("waiting", seen.oldest_due_at, f"the oldest has been due for {waited}")
    if seen.disk_free is not None and seen.disk_free < LEAST_DISK_FREE:
        yield alarming("disk", None, f"{seen.disk_free * 100:.1f} % of it is free")
    if seen.unreadable_secrets:
        count = seen.unreadable_secrets
        said = f"{count} secrets were encrypted with another SECRET_KEY and cannot be used for signing."
        yield Trouble("secrets", seen.at, said)


def _last_seen(seen_at: datetime | None, now: datetime) -> str:
    return f"last seen {duration(now - seen_at)} ago" if seen_at else ""


def duration(span: timedelta) -> str:
    """In one unit: 40 seconds, 2 minutes, 3 hours, 4 days."""
    seconds = max(int(span.total_seconds()), 0)
    size, name = next(
        (size, name)
        for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
        if seconds >= 2 * size or size == 1
    )
    count = seconds // size
    return f"{count} {name}" if count == 1 else f"{count} {name}s"
