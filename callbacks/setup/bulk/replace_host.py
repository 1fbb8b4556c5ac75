"""Replaces a host in all callbacks that have it: which hosts there are, what would change, and doing it.

Deliveries that still wait go to the new host, because each attempt reads the URL.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Count, QuerySet
from django.utils import timezone

from callbacks.delivery import health
from callbacks.egress import targets
from callbacks.egress.wording import Sentence as _
from callbacks.models import CallbackSetting, TroubledHost, history
from callbacks.setup import changes
from callbacks.setup.bulk import hosts

CHUNK = 200  # callbacks in one transaction
TIME_S = 15.0  # after so long no further chunk is begun, because a browser waits for the answer
SCHEMES = ("https", "http")
NOT_CLEAN = _("The URL needs a repair. Open this callback and submit it first.")


@dataclass(frozen=True, slots=True)
class HostInUse:
    """A host as it stands in URLs, and how many callbacks of how many affiliates have it."""

    host: str
    callbacks: int
    affiliates: int


@dataclass(frozen=True, slots=True)
class Move:
    """One callback with the new host in its URL, unsaved; or the `problem` that keeps it as it is."""

    setting: CallbackSetting
    before: Mapping[str, str]
    problem: str = ""
    is_resumed: bool = False

    @property
    def fingerprint(self) -> str:
        return changes.fingerprint(self.before)

    @property
    def parts(self) -> tuple[str, str, str, str]:
        """The URL in parts: up to the host, the old host, the new one, and what follows."""
        old = self.before["url"]
        start, end = hosts.span(old)
        return old[:start], old[start:end], hosts.host_in(self.setting.url), old[end:]


def in_use() -> list[HostInUse]:
    """The hosts that callbacks have, those of most callbacks first."""
    counted = CallbackSetting.objects.exclude(affiliate=None).order_by().values("host")
    rows = counted.annotate(n=Count("pk"), of=Count("affiliate", distinct=True)).order_by("-n", "host")
    return [HostInUse(row["host"], row["n"], row["of"]) for row in rows if row["host"]]


def with_other_ports(old: str, found: Iterable[HostInUse]) -> list[HostInUse]:
    """Those of the hosts in use that have the same name as `old`, but not its port."""
    places = _places_of(old)
    names = {name for name, _ in places}
    own = [(each, _places_of(each.host)) for each in found]
    return [each for each, of_it in own if not of_it & places and {name for name, _ in of_it} & names]


def callbacks_at(old: str) -> QuerySet[CallbackSetting]:
    """All callbacks whose URL may lead to that host, however it is written there; a few others may be among them."""
    places = _places_of(old)
    written = CallbackSetting.objects.exclude(affiliate=None).order_by().values_list("host", flat=True).distinct()
    same = [host for host in written if _places_of(host) & places]
    return (
        CallbackSetting.objects.filter(host__in=same).exclude(affiliate=None).select_related("affiliate").order_by("pk")
    )


def _places_of(host: str) -> set[hosts.Place]:
    """Where a request to this host goes by each of the schemes; a user name before it is left out."""
    return {place for scheme in SCHEMES if (place := hosts.place_of(scheme, host.rpartition("@")[2]))}


def moves(old: str, new: str) -> Iterator[Move]:
    """What would become of each callback at `old`, two queries in all."""
    for setting in callbacks_at(old):
        if hosts.is_at(setting.url, old):
            yield move(setting, new)


def move(setting: CallbackSetting, new: str) -> Move:
    """The setting with the new host in its URL, checked by the model as its own form does."""
    before = history.values_of(setting)
    setting.url = wanted = hosts.with_host(setting.url, new)
    setting.known_names = []  # its name stays
    problem = ""
    try:
        setting.full_clean(exclude=["affiliate", "name"], validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        problem = " ".join(error.messages)
    if not problem and setting.url != wanted:
        problem = NOT_CLEAN
    setting.url, setting.name = wanted, before["name"] or setting.name
    setting.host = targets.host_of(wanted)
    is_resumed = not problem and setting.resume_if_moved(before["url"])
    return Move(setting, before, problem, is_resumed)


@dataclass(frozen=True, slots=True)
class Result:
    """How many were changed, how many of them were resumed, and those that were left out, each with its problem.

    `rest` is the number of callbacks that are not done because the time was up.
    """

    count: int
    resumed: int
    left_out: tuple[Move, ...]
    rest: int = 0


def apply(
    old: str, new: str, user: User, seen: Mapping[int, str], *, chunk: int = CHUNK, time_s: float = TIME_S
) -> Result:
    """Put `new` in the place of `old` in all callbacks that a preview showed, and that are still as it showed them.

    `seen` are the fingerprints of what it showed. Callbacks that have the new host already are passed over: the button
    was pressed twice.
    """
    count = resumed = rest = 0
    began = time.monotonic()
    left_out: list[Move] = []
    ids = sorted({*callbacks_at(old).values_list("pk", flat=True), *seen})
    for start in range(0, len(ids), chunk):
        if count and time.monotonic() - began > time_s:
            rest = len(ids) - start
            break
        chosen = CallbackSetting.objects.filter(pk__among=ids[start : start + chunk]).select_related("affiliate")
        for setting in chosen.order_by("pk"):  # checked now, and remembered: the lock is not held meanwhile
            move(setting, new)
        with transaction.atomic():
            checked = [
                _checked(setting, new, seen)
                for setting in chosen.select_for_update(no_key=True, of=("self",)).order_by("pk")
                if hosts.is_at(setting.url, old) or not hosts.is_at(setting.url, new)
            ]
            done = [each for each in checked if not each.problem]
            _write(done, user)
        count += len(done)
        resumed += sum(each.is_resumed for each in done)
        left_out += [each for each in checked if each.problem]
    return Result(count, resumed, tuple(left_out), rest)


def _checked(setting: CallbackSetting, new: str, seen: Mapping[int, str]) -> Move:
    before = history.values_of(setting)
    if seen.get(setting.pk) != changes.fingerprint(before):
        return Move(setting, before, changes.CHANGED_MEANWHILE)
    return move(setting, new)


def _write(done: list[Move], user: User) -> None:
    if not done:
        return
    settings = [each.setting for each in done]
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    with connection.cursor() as cursor:  # `bulk_update` takes longer to word it than the database to do it
        cursor.executemany(
            "UPDATE callbacks_callbacksetting SET url = %s, host = %s, updated_at = %s, request_changed_at = %s,"
            " held_until = NULL WHERE id = %s",
            [(setting.url, setting.host, now, now, setting.pk) for setting in settings],
        )
    TroubledHost.forget({setting.host for setting in settings})
    if resumed := [each.setting.pk for each in done if each.is_resumed]:
        CallbackSetting.objects.filter(pk__among=resumed).update(is_active=True, pause_reason="")
        health.resumed(resumed)
    history.note_many([], [(each.setting, each.before) for each in done], user)
    LogEntry.objects.log_actions(user.pk, settings, CHANGE)
