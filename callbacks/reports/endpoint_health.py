"""Which endpoints fail, the worst first: hosts that something waits for another try at, or was given up at, lately.

Looked for from what failed, not from the settings, so that a thousand endpoints that work cost nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery

from affiliates.models import Affiliate
from callbacks.delivery import circuit_breaker
from callbacks.editor import soft_failures
from callbacks.models import Attempt, CallbackSetting, Delivery
from callbacks.reports import callback_health

Status = Delivery.Status
LOOKED_AT = 5000  # deliveries of each kind that the endpoints are found by
READ = 500  # answers, the latest, that are read for whether they look like a yes
MOST = 200  # settings that are looked at more closely, those with the most trouble
# By nobody's hand: so it must be seen until somebody turns it on again, or removes it.
SWITCHED_OFF: dict[str, Any] = {"is_active": False, "pause_reason": CallbackSetting.PauseReason.GONE}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host in trouble. The last answer is the latest of its callbacks', of what they send now.

    `state` is the first that holds of `gone` (a callback there was switched off), `held`, `failing`, `doubted` (it says
    200 and seems to mean no), `recovered`, and `changed` if nothing was sent since.

    `waiting` deliveries are tried again, `failed` ones were given up in the time looked at.
    """

    host: str
    state: str
    affiliates: tuple[Affiliate, ...]
    waiting: int
    failed: int
    last_status_code: int | None
    last_error_kind: str
    last_attempt_at: datetime | None

    @property
    def has_recovered(self) -> bool:
        return self.state == "recovered"


def in_trouble(recent: QuerySet[Delivery]) -> list[Endpoint]:
    """The endpoints where one of these deliveries failed, or any waits for another try; those that still fail first."""
    retrying = Delivery.objects.filter(Delivery.IS_RETRYING, attempt_count__gt=0)
    waiting = Counter(retrying.order_by("next_attempt_at").values_list("setting", flat=True)[:LOOKED_AT])
    given_up = recent.filter(status=Status.FAILED).order_by("-pk")
    failed = Counter(given_up.values_list("setting", flat=True)[:LOOKED_AT])
    worst = [pk for pk, _ in (waiting + failed).most_common(MOST) if pk is not None]
    doubted = _doubted()
    worst += doubted
    worst += CallbackSetting.objects.filter(**SWITCHED_OFF).order_by("-pk").values_list("pk", flat=True)[:MOST]
    held = {host for host, is_held in circuit_breaker.troubled().items() if is_held}
    by_host = defaultdict(list)
    for setting in _with_last_answer(worst):
        by_host[setting.host].append(setting)
    found = [_endpoint(host, settings, waiting, failed, doubted, host in held) for host, settings in by_host.items()]
    return sorted(found, key=lambda each: (each.has_recovered, each.state != "gone", -each.waiting - each.failed))


def _doubted() -> set[int]:
    """The callbacks whose last answer, among the latest of all, is a success that does not look like a yes."""
    newest = Attempt.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    answers = Attempt.objects.filter(pk__gt=newest - READ).exclude(trigger=Delivery.Trigger.TEST).order_by("pk")
    last = {}
    for setting, code, excerpt in answers.values_list("delivery__setting", "status_code", "response_excerpt"):
        last[setting] = excerpt if code is not None and 200 <= code < 300 else ""
    return {setting for setting, excerpt in last.items() if setting is not None and soft_failures.find(excerpt)}


def _with_last_answer(pks: Iterable[int]) -> Iterable[CallbackSetting]:
    sent = Delivery.objects.filter(setting=OuterRef("pk"), last_attempt_at__isnull=False)
    sent = sent.exclude(origin=Delivery.Origin.TEST).order_by("-last_attempt_at")
    names = ("last_attempt_at", "last_status_code", "last_error_kind")
    last = {f"its_{name}": Subquery(sent.values(name)[:1]) for name in names}
    return CallbackSetting.objects.filter(pk__in=list(pks)).select_related("affiliate").annotate(**last).order_by("pk")


def _endpoint(
    host: str,
    settings: list[CallbackSetting],
    waiting: Counter[int],
    failed: Counter[int],
    doubted: set[int],
    is_held: bool,
) -> Endpoint:
    # What is annotated is no attribute that types know of; a callback that nothing was sent for has none of it.
    answers = [
        vars(setting)
        for setting in settings
        if callback_health.is_told_of(setting.request_changed_at, vars(setting)["its_last_attempt_at"])
    ]
    failing = [answer for answer in answers if answer["its_last_error_kind"]]
    last = max(failing or answers, key=lambda answer: answer["its_last_attempt_at"], default={})
    states = {
        "gone": any(s.pause_reason == SWITCHED_OFF["pause_reason"] and not s.is_active for s in settings),
        "held": is_held,
        "failing": bool(failing),
        "doubted": any(setting.pk in doubted for setting in settings),
        "recovered": bool(answers),
        "changed": True,
    }
    return Endpoint(
        host=host,
        state=next(state for state, holds in states.items() if holds),
        affiliates=tuple({setting.affiliate_id: setting.affiliate for setting in settings}.values()),
        waiting=sum(waiting[setting.pk] for setting in settings),
        failed=sum(failed[setting.pk] for setting in settings),
        last_status_code=last.get("its_last_status_code"),
        last_error_kind=last.get("its_last_error_kind", ""),
        last_attempt_at=last.get("its_last_attempt_at"),
    )
