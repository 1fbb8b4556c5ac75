"""The same callback for many affiliates: what would become of each of them, and doing it.

Both read one chunk of affiliates at a time, in the same way. A callback is known by its name and event, so doing it
twice changes nothing the second time, and doing it again after it broke off does the rest.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from affiliates.models import Affiliate
from callbacks.delivery import health
from callbacks.egress import targets
from callbacks.models import CallbackSetting, TroubledHost, history, names
from callbacks.setup.changes import CHANGED_MEANWHILE, Change, differences, fingerprint
from config.language import translated

CHUNK = 200  # affiliates in one transaction
TIME_S = 15.0  # after so long no further chunk is begun, because a browser waits for the answer
FIELDS = ("name", "method", "url", "body_format", "send_as_typed", "only_statuses")
REQUEST = ("method", "url", "body_format")  # the values that make up `CallbackSetting.request`


class Existing(models.TextChoices):
    """What happens to affiliates who have a callback for this event already."""

    CHANGE = "change", _("Change the callback with this name")
    KEEP = "keep", _("Keep the callback with this name")
    ABSENT = "absent", _("Skip these affiliates")


class Effect(models.TextChoices):
    """What becomes of one affiliate."""

    NEW = "new", _("new callback")
    CHANGED = "changed", _("changed")
    SAME = "same", _("already the same")
    KEPT = "kept", _("not changed")
    FULL = "full", _("not possible: five callbacks for this event already")
    MEANWHILE = "meanwhile", _("changed by somebody else meanwhile")
    REFUSED = "refused", _("not valid")


DONE = (Effect.NEW, Effect.CHANGED)
LEFT_OUT = (Effect.FULL, Effect.MEANWHILE, Effect.REFUSED)


@dataclass(frozen=True, slots=True)
class AffiliateResult:
    """What becomes of one affiliate. `setting` is as it will be; `before` has its old values, if it is changed."""

    affiliate: Affiliate
    effect: Effect
    setting: CallbackSetting | None = None
    before: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""

    @property
    def changes(self) -> tuple[Change, ...]:
        return differences(self.before, history.values_of(self.setting)) if self.setting and self.before else ()


def _chunk(ids: list[int], pattern: CallbackSetting, existing: str, *, is_locked: bool) -> list[AffiliateResult]:
    """What becomes of these affiliates with a callback like `pattern`: two queries."""
    affiliates = Affiliate.objects.filter(pk__among=ids).order_by("pk")
    found = CallbackSetting.objects.filter(affiliate__pk__among=ids, event=pattern.event).order_by("pk")
    if is_locked:
        affiliates = affiliates.select_for_update(no_key=True)
        found = found.select_for_update(no_key=True)
    listed, own_of = list(affiliates), defaultdict(list)  # affiliates are locked before their callbacks are read
    for setting in found:
        own_of[setting.affiliate_id].append(setting)
    return [_one(affiliate, own_of[affiliate.pk], pattern, existing) for affiliate in listed]


def _one(affiliate: Affiliate, own: list[CallbackSetting], pattern: CallbackSetting, existing: str) -> AffiliateResult:
    mine = next((setting for setting in own if names.is_taken(setting.name, [pattern.name])), None)
    if existing == Existing.ABSENT and own and not (mine and _is_same(mine, pattern)):
        return AffiliateResult(affiliate, Effect.KEPT, mine or own[0])
    if mine is None:
        if len(own) >= names.AT_MOST:
            return AffiliateResult(affiliate, Effect.FULL, problem=translated(names.NO_PLACE_LEFT.message))
        setting = CallbackSetting(affiliate=affiliate, event=pattern.event)
        setting.known_names = [other.name for other in own]
        _take_over(setting, pattern)
        return AffiliateResult(affiliate, Effect.NEW, setting)
    mine.affiliate = affiliate
    if _is_same(mine, pattern):
        return AffiliateResult(affiliate, Effect.SAME, mine)
    if existing == Existing.KEEP:
        return AffiliateResult(affiliate, Effect.KEPT, mine)
    before, url_before = history.values_of(mine), mine.url
    mine.known_names = [other.name for other in own if other is not mine]
    _take_over(mine, pattern)
    mine.resume_if_moved(url_before)
    return AffiliateResult(affiliate, Effect.CHANGED, mine, before)


def _take_over(setting: CallbackSetting, pattern: CallbackSetting) -> None:
    for name in FIELDS:
        setattr(setting, name, getattr(pattern, name))
    setting.host = targets.host_of(setting.url)


def _is_same(setting: CallbackSetting, pattern: CallbackSetting) -> bool:
    """Whether there is nothing to change. The body format of a GET does not count."""
    mine, wanted = history.values_of(setting), history.values_of(pattern)
    return all(mine[name] == wanted[name] for name in FIELDS)


# --- of all of them --------------------------------------------------------------
@dataclass(slots=True)
class Group:
    """Affiliates with the same effect and the same changes: the first of them, and how many there are."""

    changes: tuple[Change, ...]
    first: list[AffiliateResult] = field(default_factory=list)
    count: int = 0

    @property
    def others(self) -> int:
        """How many are counted only."""
        return self.count - len(self.first)


@dataclass(slots=True)
class Result:
    """What becomes, or became, of all affiliates. Of each group the first `named` are kept."""

    named: int
    groups: dict[Effect, dict[tuple[Change, ...], Group]] = field(default_factory=dict)
    settings: dict[int, CallbackSetting] = field(default_factory=dict)  # by affiliate: those that are made or changed
    fingerprints: dict[int, str] = field(default_factory=dict)  # of those that are changed, by id, before the change
    blocked: int = 0  # affiliates among them to whom nothing is sent at present
    rest: int = 0  # affiliates that are not done because the time was up

    def add(self, one: AffiliateResult) -> None:
        changed = one.changes
        group = self.groups.setdefault(one.effect, {}).setdefault(changed, Group(changed))
        group.count += 1
        if len(group.first) < self.named:
            group.first.append(one)
        if one.setting is None or one.effect not in DONE:
            return
        self.settings[one.affiliate.pk] = one.setting
        self.blocked += one.affiliate.status != Affiliate.Status.APPROVED
        if one.effect == Effect.CHANGED:
            self.fingerprints[one.setting.pk] = fingerprint(one.before)

    @property
    def new(self) -> list[CallbackSetting]:
        return [setting for setting in self.settings.values() if setting.pk not in self.fingerprints]

    def groups_of(self, effect: Effect) -> list[Group]:
        """The groups with this effect, the largest first."""
        return sorted(self.groups.get(effect, {}).values(), key=lambda group: -group.count)

    def count(self, *effects: Effect) -> int:
        return sum(group.count for effect in effects for group in self.groups_of(effect))

    def first(self, *effects: Effect) -> list[AffiliateResult]:
        return [one for effect in effects for group in self.groups_of(effect) for one in group.first][: self.named]


def plan(ids: Sequence[int], pattern: CallbackSetting, existing: str, *, named: int) -> Result:
    """What would become of these affiliates with a callback like `pattern`; nothing is saved."""
    result, ordered = Result(named), sorted(ids)
    for start in range(0, len(ordered), CHUNK):
        for one in _chunk(ordered[start : start + CHUNK], pattern, existing, is_locked=False):
            result.add(one)
    return result


def apply(
    ids: Sequence[int],
    pattern: CallbackSetting,
    existing: str,
    user: User,
    *,
    seen: Mapping[int, str],
    named: int,
    chunk: int = CHUNK,
    time_s: float = TIME_S,
) -> Result:
    """Do it, a chunk in one transaction each, until the time is up. Doing it once more does the rest.

    `seen` are the fingerprints of the callbacks that a preview showed as changed. One that is not as it was then, or
    was not there, is left as it is. Of each group the first `named` affiliates are kept.
    """
    result, ordered, began = Result(named), sorted(ids), time.monotonic()
    problem = _problem_of(pattern)
    for start in range(0, len(ordered), chunk):
        if result.count(*DONE) and time.monotonic() - began > time_s:
            result.rest = len(ordered) - start
            break
        with transaction.atomic():
            planned = _chunk(ordered[start : start + chunk], pattern, existing, is_locked=True)
            checked = [_checked(one, seen, problem) for one in planned]
            _write(checked, user)
        for one in checked:
            result.add(one)
    return result


def _problem_of(pattern: CallbackSetting) -> str:
    """Why the model refuses it; asked once, because all are given the same values."""
    try:
        pattern.full_clean(exclude=["affiliate"], validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        return " ".join(error.messages)
    return ""


def _checked(one: AffiliateResult, seen: Mapping[int, str], problem: str) -> AffiliateResult:
    """The same, unless the callback is not as it was seen, or there is a `problem` with the values."""
    setting = one.setting
    if one.effect not in DONE or setting is None:
        return one
    if one.effect == Effect.CHANGED and seen.get(setting.pk) != fingerprint(one.before):
        return AffiliateResult(one.affiliate, Effect.MEANWHILE, problem=CHANGED_MEANWHILE)
    if not problem and names.is_taken(setting.name, others := setting.other_names()):  # but for capitals
        problem = translated(names.problems(setting.name, others)[0].message)
    return AffiliateResult(one.affiliate, Effect.REFUSED, problem=problem) if problem else one


def _write(found: list[AffiliateResult], user: User) -> None:
    new = [one.setting for one in found if one.setting and one.effect == Effect.NEW]
    changed = [(one.setting, one.before) for one in found if one.setting and one.effect == Effect.CHANGED]
    settings = [setting for setting, _ in changed]
    CallbackSetting.objects.bulk_create(new)
    if settings:  # all are given the same values, so one statement is enough
        values = {name: getattr(settings[0], name) for name in (*FIELDS, "host")}
        _all(settings).update(**values, updated_at=(now := timezone.now()))
        others = [s for s, before in changed if s.request != tuple(before[name] for name in REQUEST)]
        _all(others).update(request_changed_at=now, held_until=None)
        TroubledHost.forget({setting.host for setting in others})
    if resumed := [setting for setting, before in changed if before["is_active"] and setting.is_active]:
        _all(resumed).update(is_active=True, pause_reason="")
        health.resumed(setting.pk for setting in resumed)
    history.note_many(new, changed, user)
    for of_flag, flag in ((new, ADDITION), (settings, CHANGE)):
        if of_flag:
            LogEntry.objects.log_actions(user.pk, of_flag, flag)


def _all(settings: Iterable[CallbackSetting]) -> models.QuerySet[CallbackSetting]:
    return CallbackSetting.objects.filter(pk__among=[setting.pk for setting in settings])
