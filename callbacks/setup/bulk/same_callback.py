"""The same callback for many affiliates: what would become of each of them, and doing it.

Both come from one reading, `cases_of`, a chunk of affiliates at a time. A callback is known by its name and event, so
doing it twice changes nothing the second time, and doing the rest after it broke off goes on where it stopped.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone

from affiliates.models import Affiliate
from callbacks.egress import targets
from callbacks.models import CallbackSetting, history, names
from callbacks.setup import fingerprint

CHUNK = 200  # affiliates in one transaction
TIME_S = 15.0  # after so long no further one is begun, for a browser waits for the answer
FIELDS = ("name", "method", "url", "body_format", "send_as_typed", "only_statuses")
REQUEST = ("method", "url", "body_format")  # of the values before, what makes up a setting's `request`


class Existing(models.TextChoices):
    """What happens to affiliates who have a callback for this event already."""

    CHANGE = "change", "Change the one with this name"
    KEEP = "keep", "Leave the one with this name as it is"
    ABSENT = "absent", "Leave these affiliates alone"


class Effect(models.TextChoices):
    """What becomes of one affiliate."""

    NEW = "new", "get it"
    CHANGED = "changed", "have theirs changed"
    SAME = "same", "have it already, exactly so"
    KEPT = "kept", "keep what they have"
    FULL = "full", "have no place left for one more"
    MEANWHILE = "meanwhile", "had theirs changed by somebody meanwhile"
    REFUSED = "refused", "are refused"


DONE = (Effect.NEW, Effect.CHANGED)
LEFT_OUT = (Effect.FULL, Effect.MEANWHILE, Effect.REFUSED)


@dataclass(frozen=True, slots=True)
class Change:
    label: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Case:
    """One affiliate and what becomes of them. `setting` is as it will be; `before` what it was, if it is changed."""

    affiliate: Affiliate
    fate: Effect
    setting: CallbackSetting | None = None
    before: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""

    @property
    def changes(self) -> tuple[Change, ...]:
        """What is changed, field by field, as a person reads it."""
        after = history.values_of(self.setting) if self.setting and self.before else {}
        return tuple(
            Change(label, old or history.WITHOUT.get(name, ""), new or history.WITHOUT.get(name, ""))
            for name, label in history.LABELS.items()
            if (old := self.before.get(name, "")) != (new := after.get(name, ""))
        )


def cases_of(
    ids: Sequence[int], pattern: CallbackSetting, existing: str, *, is_locked: bool = False
) -> Iterator[list[Case]]:
    """What becomes of these affiliates with a callback like `pattern`, chunk by chunk, two queries each."""
    ordered = sorted(ids)
    for start in range(0, len(ordered), CHUNK):
        yield _chunk(ordered[start : start + CHUNK], pattern, existing, is_locked=is_locked)


def _chunk(ids: list[int], pattern: CallbackSetting, existing: str, *, is_locked: bool) -> list[Case]:
    affiliates = Affiliate.objects.filter(pk__among=ids).order_by("pk")
    found = CallbackSetting.objects.filter(affiliate__pk__among=ids, event=pattern.event).order_by("pk")
    if is_locked:
        affiliates = affiliates.select_for_update(no_key=True)
        found = found.select_for_update(no_key=True)
    listed, own_of = list(affiliates), defaultdict(list)  # those who are locked before their callbacks are read
    for setting in found:
        own_of[setting.affiliate_id].append(setting)
    return [_case(affiliate, own_of[affiliate.pk], pattern, existing) for affiliate in listed]


def _case(affiliate: Affiliate, own: list[CallbackSetting], pattern: CallbackSetting, existing: str) -> Case:
    mine = next((setting for setting in own if names.is_taken(setting.name, [pattern.name])), None)
    if existing == Existing.ABSENT and own and not (mine and _is_same(mine, pattern)):
        return Case(affiliate, Effect.KEPT, mine or own[0])
    if mine is None:
        if len(own) >= names.AT_MOST:
            return Case(affiliate, Effect.FULL, problem=names.NO_PLACE_LEFT.message)
        setting = CallbackSetting(affiliate=affiliate, event=pattern.event)
        setting.known_names = [other.name for other in own]
        _take_over(setting, pattern)
        return Case(affiliate, Effect.NEW, setting)
    mine.affiliate = affiliate
    if _is_same(mine, pattern):
        return Case(affiliate, Effect.SAME, mine)
    if existing == Existing.KEEP:
        return Case(affiliate, Effect.KEPT, mine)
    before, url_before = history.values_of(mine), mine.url
    mine.known_names = [other.name for other in own if other is not mine]
    _take_over(mine, pattern)
    mine.resume_if_moved(url_before)
    return Case(affiliate, Effect.CHANGED, mine, before)


def _take_over(setting: CallbackSetting, pattern: CallbackSetting) -> None:
    for name in FIELDS:
        setattr(setting, name, getattr(pattern, name))
    setting.host = targets.host_of(setting.url)


def _is_same(setting: CallbackSetting, pattern: CallbackSetting) -> bool:
    """Whether there is nothing to change: what a GET's body would look like is nothing."""
    mine, wanted = history.values_of(setting), history.values_of(pattern)
    return all(mine[name] == wanted[name] for name in FIELDS)


# --- what became of all of them --------------------------------------------------
@dataclass(slots=True)
class Group:
    """Affiliates who come to the same: the first of them, how many they are, and what is changed of theirs."""

    changes: tuple[Change, ...]
    first: list[Case] = field(default_factory=list)
    count: int = 0

    @property
    def others(self) -> int:
        """How many are counted only."""
        return self.count - len(self.first)


@dataclass(slots=True)
class Result:
    """What becomes, or became, of how many. Of those who come to the same, the first `named` are kept."""

    named: int
    alike: dict[Effect, dict[tuple[Change, ...], Group]] = field(default_factory=dict)
    settings: dict[int, CallbackSetting] = field(default_factory=dict)  # by affiliate: those that are made or changed
    seals: dict[int, str] = field(default_factory=dict)  # of those that are changed
    blocked: int = 0  # affiliates among them who are not told anything at present
    rest: int = 0  # affiliates whom the time did not suffice for

    def add(self, case: Case) -> None:
        changes = case.changes
        alike = self.alike.setdefault(case.fate, {}).setdefault(changes, Group(changes))
        alike.count += 1
        if len(alike.first) < self.named:
            alike.first.append(case)
        if case.setting is None or case.fate not in DONE:
            return
        self.settings[case.affiliate.pk] = case.setting
        self.blocked += case.affiliate.status == Affiliate.Status.BLOCKED
        if case.fate == Effect.CHANGED:
            self.seals[case.setting.pk] = fingerprint.of(case.before)

    @property
    def new(self) -> list[CallbackSetting]:
        return [setting for setting in self.settings.values() if setting.pk not in self.seals]

    def of(self, fate: Effect) -> list[Group]:
        """Those of this fate, the largest number of equals first."""
        return sorted(self.alike.get(fate, {}).values(), key=lambda alike: -alike.count)

    def count(self, *fates: Effect) -> int:
        return sum(alike.count for fate in fates for alike in self.of(fate))

    def first(self, *fates: Effect) -> list[Case]:
        return [case for fate in fates for alike in self.of(fate) for case in alike.first][: self.named]


def outlook(ids: Sequence[int], pattern: CallbackSetting, existing: str, *, named: int) -> Result:
    """What would become of these affiliates; nothing is saved."""
    result = Result(named)
    for cases in cases_of(ids, pattern, existing):
        for case in cases:
            result.add(case)
    return result


# --- doing it --------------------------------------------------------------------


def apply(
    ids: Sequence[int], pattern: CallbackSetting, existing: str, user: User, *, seen: Mapping[int, str], named: int
) -> Result:
    """Do it, a chunk in one transaction each, until the time is up: doing it once more goes on from there.

    `seen` are the seals of the callbacks that a preview showed as changed: one that is not as it was then, or was not
    there, is left as it is. Of each fate the first `named` cases are kept.
    """
    result, ordered, began = Result(named), sorted(ids), time.monotonic()
    problem = _problem_of(pattern)
    for start in range(0, len(ordered), CHUNK):
        if result.count(*DONE) and time.monotonic() - began > TIME_S:
            result.rest = len(ordered) - start
            break
        with transaction.atomic():
            cases = _chunk(ordered[start : start + CHUNK], pattern, existing, is_locked=True)
            judged = [_judged(case, seen, problem) for case in cases]
            _write(judged, user)
        for case in judged:
            result.add(case)
    return result


def _problem_of(pattern: CallbackSetting) -> str:
    """Why the model refuses it, once for all: everybody is given the same values, whatever theirs were."""
    try:
        pattern.full_clean(exclude=["affiliate"], validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        return " ".join(error.messages)
    return ""


def _judged(case: Case, seen: Mapping[int, str], problem: str) -> Case:
    """The same case, unless what was seen is no more, or there is a `problem` with what they are given."""
    setting = case.setting
    if case.fate not in DONE or setting is None:
        return case
    if case.fate == Effect.CHANGED and seen.get(setting.pk) != fingerprint.of(case.before):
        return Case(case.affiliate, Effect.MEANWHILE)
    if not problem and names.is_taken(setting.name, others := setting.other_names()):  # but for capitals
        problem = names.problems(setting.name, others)[0].message
    return Case(case.affiliate, Effect.REFUSED, problem=problem) if problem else case


def _write(cases: Iterable[Case], user: User) -> None:
    new, changed = [], []
    for case in cases:
        if case.setting is not None and case.fate == Effect.NEW:
            new.append(case.setting)
        elif case.setting is not None and case.fate == Effect.CHANGED:
            changed.append((case.setting, case.before))
    settings = [setting for setting, _ in changed]
    CallbackSetting.objects.bulk_create(new)
    if settings:  # all are given the same values, so that one statement does for all
        values = {name: getattr(settings[0], name) for name in (*FIELDS, "host")}
        _all(settings).update(**values, updated_at=(now := timezone.now()))
        others = [s for s, before in changed if s.request != tuple(before[name] for name in REQUEST)]
        _all(others).update(request_changed_at=now)
    if resumed := [setting for setting, before in changed if before["is_active"] and setting.is_active]:
        _all(resumed).update(is_active=True, pause_reason="")
    history.note_many(new, changed, user)
    for of_flag, flag in ((new, ADDITION), (settings, CHANGE)):
        if of_flag:
            LogEntry.objects.log_actions(user.pk, of_flag, flag)


def _all(settings: Iterable[CallbackSetting]) -> models.QuerySet[CallbackSetting]:
    return CallbackSetting.objects.filter(pk__among=[setting.pk for setting in settings])
