"""Which endpoints are in trouble, the worst first: hosts where deliveries are retried or failed lately.

It starts from deliveries that failed, not from the settings, so that endpoints that work take no time.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet, Subquery

from affiliates.models import Affiliate
from callbacks.delivery import circuit_breaker
from callbacks.egress import soft_failures
from callbacks.models import Attempt, CallbackSetting, Delivery
from callbacks.reports import callback_health

Status = Delivery.Status
MAX_DELIVERIES = 5000  # of each kind, that endpoints are found by
MAX_ANSWERS = 500  # the latest, that are searched for soft failures
MAX_SETTINGS = 200  # of each kind, those with the most trouble
# No person paused these callbacks, so they are listed until somebody resumes or removes them.
SWITCHED_OFF: dict[str, Any] = {"is_active": False, "pause_reason__in": ("gone", "failing")}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host in trouble. `last_...` is the latest answer to what its callbacks send now.

    `state` is the first that holds of `gone` (a callback paused itself), `held` by the circuit breaker,
    `failing`, `soft_failure` (2xx, but looks like a refusal), `recovered`, and `changed` (nothing was sent since).

    `waiting` deliveries are retried, `failed` ones failed for good in the time looked at. `since` is when it was
    paused if it is `gone`, else the first failure since the last success. `reason` is why it was paused.
    """

    host: str
    state: str
    affiliates: tuple[Affiliate, ...]
    waiting: int
    failed: int
    last_status_code: int | None
    last_error_kind: str
    last_attempt_at: datetime | None
    since: datetime | None
    reason: str

    @property
    def has_recovered(self) -> bool:
        return self.state == "recovered"


def in_trouble(recent: QuerySet[Delivery]) -> list[Endpoint]:
    """The endpoints where one of the `recent` deliveries failed, or any delivery is retried; recovered ones last."""
    retrying = Delivery.objects.filter(Delivery.IS_RETRYING, attempt_count__gt=0)
    waiting = Counter(retrying.order_by("next_attempt_at").values_list("setting", flat=True)[:MAX_DELIVERIES])
    failed_for_good = recent.filter(status=Status.FAILED).order_by("-pk")
    failed = Counter(failed_for_good.values_list("setting", flat=True)[:MAX_DELIVERIES])
    worst = [pk for pk, _ in (waiting + failed).most_common(MAX_SETTINGS) if pk is not None]
    soft_failing = _soft_failing()
    worst += soft_failing
    worst += CallbackSetting.objects.filter(**SWITCHED_OFF).order_by("-pk").values_list("pk", flat=True)[:MAX_SETTINGS]
    held = {host for host, is_held in circuit_breaker.troubled().items() if is_held}
    by_host = defaultdict(list)
    for setting in _with_last_answer(worst):
        by_host[setting.host].append(setting)
    found = [
        _endpoint(host, settings, waiting, failed, soft_failing, host in held) for host, settings in by_host.items()
    ]
    return sorted(found, key=lambda each: (each.has_recovered, each.state != "gone", -each.waiting - each.failed))


def _soft_failing() -> set[int]:
    """The callbacks whose last answer, if it is among the latest of all, is 2xx and looks like a refusal."""
    newest = Attempt.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    answers = Attempt.objects.filter(pk__gt=newest - MAX_ANSWERS).exclude(trigger=Delivery.Trigger.TEST).order_by("pk")
    last = {}
    for setting, code, excerpt in answers.values_list("delivery__setting", "status_code", "response_excerpt"):
        last[setting] = excerpt if code is not None and 200 <= code < 300 else ""
    return {setting for setting, excerpt in last.items() if setting is not None and soft_failures.find(excerpt)}


def _with_last_answer(pks: Iterable[int]) -> Iterable[CallbackSetting]:
    names = ("last_attempt_at", "last_status_code", "last_error_kind")
    last = {f"its_{name}": Subquery(callback_health.sent_last().values(name)[:1]) for name in names}
    found = CallbackSetting.objects.filter(pk__in=list(pks)).select_related("affiliate", "endpoint_health")
    return found.annotate(**last).order_by("pk")


def _endpoint(
    host: str,
    settings: list[CallbackSetting],
    waiting: Counter[int],
    failed: Counter[int],
    soft_failing: set[int],
    is_held: bool,
) -> Endpoint:
    # `vars`, because annotations are no typed attributes. They are None for a callback that nothing was sent for.
    answers = [
        vars(setting)
        for setting in settings
        if callback_health.is_sent_since(setting.request_changed_at, vars(setting)["its_last_attempt_at"])
    ]
    failing = [answer for answer in answers if answer["its_last_error_kind"]]
    last = max(failing or answers, key=lambda answer: answer["its_last_attempt_at"], default={})
    states = {
        "gone": any(s.is_paused_by_itself for s in settings),
        "held": is_held,
        "failing": bool(failing),
        "soft_failure": any(setting.pk in soft_failing for setting in settings),
        "recovered": bool(answers),
        "changed": True,
    }
    state = next(state for state, holds in states.items() if holds)
    stopped = [setting for setting in settings if setting.is_paused_by_itself]
    return Endpoint(
        host=host,
        state=state,
        affiliates=tuple({s.affiliate_id: s.affiliate for s in settings if s.affiliate_id}.values()),
        waiting=sum(waiting[setting.pk] for setting in settings),
        failed=sum(failed[setting.pk] for setting in settings),
        last_status_code=last.get("its_last_status_code"),
        last_error_kind=last.get("its_last_error_kind", ""),
        last_attempt_at=last.get("its_last_attempt_at"),
        since=_earliest("paused_at", stopped) if stopped else _earliest("first_failure_at", settings),
        reason=stopped[0].get_pause_reason_display() if stopped else "",
    )


def _earliest(moment: str, settings: Iterable[CallbackSetting]) -> datetime | None:
    """The earliest of these times that are known of the callbacks' failures."""
    known = (getattr(setting, "endpoint_health", None) for setting in settings)
    return min((at for health in known if health and (at := getattr(health, moment))), default=None)
