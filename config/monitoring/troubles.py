"""What can be wrong with the installation: one table of sentences and limits, and what of it holds at a moment.

`/status` tells what holds now. What has held for a while becomes an alarm (`alarms`), if the database can be written
and somebody can do something about it: that is what has a `hold`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from config.monitoring.status import Status

LATE = timedelta(minutes=5)
LEAST_DISK_FREE = 0.05


@dataclass(frozen=True, slots=True)
class Kind:
    """What is said of one kind of trouble, and for how long it must be found before it is an alarm."""

    title: str
    advice: str
    over: str
    hold: timedelta


# A process is missed after 20 seconds, so the hold of both is what makes it a minute.
ALARMS = {
    "worker": Kind(
        "No worker is running",
        "Nothing is sent until one runs, and nothing is lost. Start the worker, and see in its log why it ended.",
        "A worker is running again",
        timedelta(seconds=40),
    ),
    "waiting": Kind(
        "Postbacks are late",
        "What was due more than five minutes ago is still not sent. See whether enough workers run, and whether their "
        "logs or the list of deliveries name a reason.",
        "Postbacks are sent in time again",
        timedelta(seconds=30),
    ),
    "beat": Kind(
        "Beat is not running",
        "Resends and past orders, the figures of the overview and all that is done at fixed times wait for it. "
        "Start it again.",
        "Beat is running again",
        timedelta(seconds=40),
    ),
    "broker": Kind(
        "The broker does not work",
        "Workers look for what is due by themselves, so postbacks still go out, some seconds later. Resends of many "
        "and past orders wait. See whether the Valkey or Redis server runs, whether it may write, and whether its "
        "memory or disk is full.",
        "The broker works again",
        timedelta(seconds=45),
    ),
    "disk": Kind(
        "A disk is nearly full",
        "Less than 5 % of it is free. When it is full, orders are refused. Make room on the machine, or prune what is "
        "old.",
        "The disk has room again",
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
        yield alarming("broker", None, "it does not answer, or refuses what is written")
    if seen.oldest_due_at and seen.at - seen.oldest_due_at > LATE:
        waited = duration(seen.at - seen.oldest_due_at)
        yield alarming("waiting", seen.oldest_due_at, f"the oldest has waited for {waited}")
    if seen.disk_free is not None and seen.disk_free < LEAST_DISK_FREE:
        yield alarming("disk", None, f"{seen.disk_free * 100:.1f} % of it is free")
    if seen.unreadable_secrets:
        count = seen.unreadable_secrets
        said = f"{count} secrets are stored under another SECRET_KEY: nothing can be signed with them."
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
