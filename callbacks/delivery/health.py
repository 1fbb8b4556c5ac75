"""Which callbacks fail for long: counted beside the hourly counts, judged here, told when a state changes.

Nothing is done while postbacks are sent: `read` and `write` belong to the pass that counts attempts, `judge` follows
it. Tests count as nothing, but for one that passes (of a form: `passed`); what failed because of us counts for nobody.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Max, Q, QuerySet
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from affiliates.models import Affiliate
from callbacks.delivery import webhooks
from callbacks.egress.outcome import sentence_of, status_phrase
from callbacks.models import Attempt, CallbackSetting, Delivery, EndpointHealth, SettingChange, history
from callbacks.models.health import MAX_COUNTED
from config.language import translated
from config.monitoring import mail
from config.monitoring.mail import Notice

log = structlog.get_logger(__name__)

FAILING_AFTER = timedelta(hours=24)
LEAST_FAILURES = 10
LATELY = timedelta(hours=24)  # a callback that nothing was sent for since says nothing any more
STILL_SAVING = timedelta(seconds=2)  # an order that was being saved may have found its callback paused
OURS = ("internal", "secret", "proxy")  # kinds of failure that are no fault of the endpoint
State, Reason = EndpointHealth.State, CallbackSetting.PauseReason
BY_ITSELF = (Reason.GONE, Reason.FAILING)


# --- counted -----------------------------------------------------------------------
class Failure(NamedTuple):
    at: datetime
    status_code: int | None
    kind: str


@dataclass(slots=True)
class Tally:
    """What a batch of attempts says of one callback."""

    success_at: datetime | None = None
    failures: list[Failure] = field(default_factory=list)


def read(attempts: QuerySet[Attempt]) -> dict[int, Tally]:
    """By callback: those with failures, and successes of those that failed before. Nothing is locked."""
    tallies: dict[int, Tally] = defaultdict(Tally)
    sent = attempts.order_by().exclude(delivery__origin=Delivery.Origin.TEST).filter(delivery__setting__isnull=False)
    failed = sent.exclude(trigger=Delivery.Trigger.TEST).exclude(error_kind__in=["", *OURS])
    for pk, at, code, kind in failed.values_list("delivery__setting", "created_at", "status_code", "error_kind"):
        tallies[pk].failures.append(Failure(at, code, kind))
    if known := {*tallies, *EndpointHealth.objects.values_list("pk", flat=True)}:
        succeeded = sent.filter(error_kind="", delivery__setting__in=known)
        for pk, at in succeeded.values_list("delivery__setting").annotate(at=Max("created_at")):
            tallies[pk].success_at = at
    return tallies


def write(tallies: Mapping[int, Tally]) -> None:
    """Add them to what is known, in the transaction that notes that these attempts are counted."""
    if not tallies:
        return
    changed_at = dict(CallbackSetting.objects.filter(pk__in=tallies).values_list("pk", "request_changed_at"))
    rows = {row.pk: row for row in EndpointHealth.objects.select_for_update().filter(pk__in=changed_at).order_by("pk")}
    for pk in sorted(changed_at):
        row = rows.get(pk) or EndpointHealth(pk=pk)
        _add(row, tallies[pk], changed_at[pk])
        if row.failures or row.state or row.paused_at:
            row.save(force_insert=pk not in rows)
        elif pk in rows:
            row.delete()


def _add(row: EndpointHealth, tally: Tally, changed_at: datetime | None) -> None:
    if changed_at and row.first_failure_at and row.first_failure_at < changed_at:
        _begin_anew(row)
    if tally.success_at and (row.last_success_at is None or row.last_success_at < tally.success_at):
        row.last_success_at = tally.success_at
        if row.last_failure_at is None or row.last_failure_at <= tally.success_at:
            _begin_anew(row)
    after = max(filter(None, (row.last_success_at, changed_at)), default=None)
    new = sorted((f for f in tally.failures if after is None or f.at > after), key=lambda each: each.at)
    if new:
        row.first_failure_at = min(row.first_failure_at or new[0].at, new[0].at)
        row.failures += len(new)
        row.last_failure_at, row.last_status_code, row.last_error_kind = new[-1]


def _begin_anew(row: EndpointHealth) -> None:
    row.first_failure_at, row.failures = None, 0


# --- judged ------------------------------------------------------------------------
def judge(now: datetime | None = None) -> None:
    """Change the state of each callback whose time has come, and tell of it. Of several processes one does."""
    now = now or timezone.now()
    lately = Q(setting__is_active=True, failures__gte=LEAST_FAILURES, last_failure_at__gt=now - LATELY)
    for_long = Q(state=State.NONE, first_failure_at__lte=now - FAILING_AFTER)
    if settings.CALLBACKS_PAUSE_AFTER_HOURS:
        for_long |= Q(first_failure_at__lte=now - timedelta(hours=settings.CALLBACKS_PAUSE_AFTER_HOURS))
    is_over = Q(state=State.FAILING, last_success_at__gt=F("since"))
    is_over |= Q(state=State.PAUSED, last_success_at__gt=F("paused_at"))
    is_resumed = Q(state=State.PAUSED, setting__is_active=True)
    candidates = EndpointHealth.objects.filter(lately & for_long | is_over | is_resumed)
    found = set(candidates.values_list("pk", flat=True))
    stopped = CallbackSetting.objects.filter(is_active=False, pause_reason__in=BY_ITSELF)
    found |= set(stopped.exclude(endpoint_health__state=State.PAUSED).values_list("pk", flat=True))
    for pk in sorted(found):
        _judge_one(pk, now)


def passed(setting: CallbackSetting, now: datetime | None = None) -> None:
    """A test of this callback was answered 2xx: what had failed is over. In the transaction that writes the test."""
    now = now or timezone.now()
    if EndpointHealth.objects.filter(pk=setting.pk).update(last_success_at=now, first_failure_at=None, failures=0):
        _judge_one(setting.pk, now)
    elif not setting.is_active and setting.pause_reason in BY_ITSELF:  # it was paused a moment ago
        _judge_one(setting.pk, now)
        passed(setting, timezone.now())


def resumed(setting_ids: Iterable[int], now: datetime | None = None) -> None:
    """Note since when these callbacks were paused, so that what was skipped meanwhile can be sent.

    To be called in the transaction that resumes them, for a person or another URL. What had been skipped in a pause
    before, and was neither sent nor left since, stays among it.
    """
    until = (now or timezone.now()) + STILL_SAVING
    for pk in sorted(setting_ids):
        pause = SettingChange.objects.filter(setting=pk, action__in=history.PAUSES).order_by("-pk").first()
        if pause is None:  # a webhook: nothing is recorded for it while it is paused
            continue
        row = EndpointHealth.objects.select_for_update().filter(pk=pk).first() or EndpointHealth(pk=pk)
        if not (row.paused_at and row.skipped().exists()):
            row.paused_at = pause.created_at
        row.resumed_at = until
        row.save()


def leave_skipped(setting_id: int, now: datetime | None = None) -> None:
    """What was skipped while this callback was paused is not to be offered any more. Not for a later pause."""
    over = EndpointHealth.objects.filter(Q(resumed_at=None) | Q(resumed_at__lte=(now or timezone.now()) + STILL_SAVING))
    over.filter(pk=setting_id, setting__is_active=True).update(paused_at=None, resumed_at=None)


def _judge_one(pk: int, now: datetime) -> None:
    with transaction.atomic():
        found = CallbackSetting.objects.select_related("affiliate__user").select_for_update(no_key=True, of=("self",))
        setting = found.filter(pk=pk).first()
        if setting is None:
            return
        row = EndpointHealth.objects.select_for_update().filter(pk=pk).first() or EndpointHealth(setting=setting)
        row.setting = setting
        changed_at = setting.request_changed_at
        if changed_at and row.first_failure_at and row.first_failure_at < changed_at:
            _begin_anew(row)
        if row.state == State.PAUSED and setting.is_active:  # a person resumed it, or its URL is another one
            row.state, row.resumed_at = State.FAILING, now
            _begin_anew(row)
        told = _next_state(row, setting, now)
        if row.state or row.failures or row.paused_at:
            row.save()
        elif not row._state.adding:  # noqa: SLF001 - Django's documented name
            row.delete()
        if told:
            _tell(told, row, setting)


def _next_state(row: EndpointHealth, setting: CallbackSetting, now: datetime) -> str:
    """Change the row, and pause or resume the callback. Returns what is to be told; "" if nothing is."""
    is_stopped = not setting.is_active and setting.pause_reason in BY_ITSELF
    if row.state != State.NONE:
        told_at = row.paused_at if row.state == State.PAUSED else row.since
        if row.last_success_at and (told_at is None or row.last_success_at > told_at):
            if is_stopped:
                _switch(setting, Reason.NONE)
                row.resumed_at = now
            row.state = State.NONE
            return "recovered"
    if is_stopped:
        if row.state == State.PAUSED:
            return ""
        gone = setting.history.filter(action=history.Action.GONE).order_by("-pk").first()
        row.since = row.since if row.state else row.first_failure_at
        return _note_paused(row, gone.created_at if gone else now)
    is_sent_lately = row.last_failure_at is not None and row.last_failure_at > now - LATELY
    if row.first_failure_at is None or row.failures < LEAST_FAILURES or not (setting.is_active and is_sent_lately):
        return ""
    failed_for, pause_after = now - row.first_failure_at, timedelta(hours=settings.CALLBACKS_PAUSE_AFTER_HOURS)
    if pause_after and failed_for >= pause_after:
        row.since = row.first_failure_at
        _switch(setting, Reason.FAILING)
        return _note_paused(row, now)
    if row.state == State.NONE and failed_for >= FAILING_AFTER:
        row.state, row.since = State.FAILING, row.first_failure_at
        return "failing"
    return ""


def _note_paused(row: EndpointHealth, at: datetime) -> str:
    row.state, row.paused_at, row.resumed_at = State.PAUSED, at, None
    row.since = row.since or at
    return "paused"


def _switch(setting: CallbackSetting, reason: str) -> None:
    setting.is_active, setting.pause_reason = reason == Reason.NONE, reason
    CallbackSetting.objects.filter(pk=setting.pk).update(is_active=setting.is_active, pause_reason=reason)
    history.note_switched_by_itself(setting)


# --- told --------------------------------------------------------------------------
def _tell(change: str, row: EndpointHealth, setting: CallbackSetting) -> None:
    log.warning(_EVENTS[change], setting=setting.pk, host=setting.host, failures=row.failures)
    affiliate = setting.affiliate
    if affiliate is None:  # a webhook that fails is told by e-mail alone, else it would tell of itself
        path = reverse("admin:callbacks_callbacksetting_changelist")
        mail.tell(mail.staff_to_tell(), _notice(change, row, setting, path))
        return
    path = f"{affiliate.settings_url}#{setting.event.replace('.', '-')}"
    mail.tell(mail.staff_to_tell(), _notice(change, row, setting, path))
    webhooks.record(f"callback.{change}", _data(row, setting))
    if affiliate.user and affiliate.status == Affiliate.Status.APPROVED:
        with translation.override(mail.language_of(affiliate.user)):
            mail.tell([affiliate.user], _notice(change, row, setting, reverse("portal:home")))


def _data(row: EndpointHealth, setting: CallbackSetting) -> dict[str, Any]:
    """What a webhook says of the callback, in snake_case like the API."""
    return {
        "callback": {"id": setting.pk, "event": setting.event, "name": setting.name, "host": setting.host},
        "affiliate": {"code": setting.affiliate.code, "name": setting.affiliate.name},
        "since": row.since.isoformat() if row.since else None,
        "last_answer": {"status_code": row.last_status_code, "error_kind": row.last_error_kind},
        "failed_attempts": row.failures,
        "orders_waiting": _count_waiting(setting),
    }


_EVENTS = {change: f"callback_{change}" for change in ("failing", "paused", "recovered")}
_SUBJECTS = {
    "failing": gettext_lazy("Postbacks fail: %(callback)s"),
    "paused": gettext_lazy("Callback paused: %(callback)s"),
    "recovered": gettext_lazy("Postbacks succeed again: %(callback)s"),
}


def _notice(change: str, row: EndpointHealth, setting: CallbackSetting, path: str) -> Notice:
    return Notice(str(_SUBJECTS[change]) % {"callback": setting}, _lines(change, row, setting, path), path)


def _lines(change: str, row: EndpointHealth, setting: CallbackSetting, path: str) -> tuple[str, ...]:
    """What somebody is told. Of the URL only the host: a query may hold keys."""
    names = {"callback": setting, "host": setting.host, "since": _when(row.since)}
    if change == "recovered":
        ended = _("Before that, no postback had succeeded since %(since)s.") % names
        return (_("%(callback)s: postbacks to %(host)s succeed again.") % names, ended, *_skipped(row))
    if change == "paused":
        lines = [_("%(callback)s: paused automatically, because postbacks to %(host)s failed.") % names]
    else:
        lines = [_("%(callback)s: postbacks to %(host)s fail.") % names]
    lines.append(_("No postback has succeeded since %(since)s.") % names)
    if row.last_failure_at:
        lines.append(last_answer(row, setting.host))
    if setting.affiliate_id:
        lines.append(_("Orders not sent yet: %(count)s.") % {"count": _waiting(setting)})
    if change == "paused" and path == reverse("portal:home"):
        lines.append(_("Pending deliveries are sent when the shop resumes the callback."))
        lines.append(_("Tell the shop when your tracker works again, or which URL is right."))
    elif change == "paused":
        lines.append(_("Pending deliveries are sent when the callback is resumed."))
        lines.append(_("To resume it, send a test that succeeds or change the URL."))
    return tuple(lines)


def last_answer(row: EndpointHealth, host: str) -> str:
    """The last answer in a sentence, without anything that the other side or the URL says."""
    if row.last_status_code:
        return _("The last answer was %(status)s.") % {"status": status_phrase(row.last_status_code)}
    said = translated(sentence_of(row.last_error_kind, url=f"https://{host}/"))
    return _("The last attempt got no answer. %(reason)s") % {"reason": said}


def _skipped(row: EndpointHealth) -> tuple[str, ...]:
    count = row.skipped_count
    if not count:
        return ()
    shown = {"count": f"{min(count, MAX_COUNTED):,}"}
    if count >= MAX_COUNTED:
        return (_("%(count)s or more events were skipped while it was paused.") % shown,)
    text = ngettext(
        "%(count)s event was skipped while it was paused.", "%(count)s events were skipped while it was paused.", count
    )
    return (text % shown,)


def _count_waiting(setting: CallbackSetting) -> int:
    waiting = Delivery.objects.filter(setting=setting, status=Delivery.Status.PENDING).exclude(origin="test")
    return waiting.order_by().values("order").distinct()[: MAX_COUNTED + 1].count()


def _waiting(setting: CallbackSetting) -> str:
    count = _count_waiting(setting)
    return _("more than %(count)s") % {"count": f"{MAX_COUNTED:,}"} if count > MAX_COUNTED else f"{count:,}"


def _when(moment: datetime | None) -> str:
    return date_format(timezone.localtime(moment), "j M Y, H:i T") if moment else _("an unknown time")
