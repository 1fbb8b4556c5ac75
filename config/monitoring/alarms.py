"""What is wrong with the installation itself, found and told by whatever process lives.

Each process looks from its background thread; the database says whose turn it is, and sees to it that a change is told
once. What holds for a moment only is no alarm, and a pause of some seconds ends none. While the database is away nobody
can say anything: each process then writes a line to its log (`background`). A callback that fails is not told here.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from callbacks.delivery import webhooks
from callbacks.reports import overview
from config.models import AlarmState
from config.monitoring import mail
from config.monitoring.mail import Notice
from config.monitoring.status import ALIVE_FOR, Status, status
from config.monitoring.troubles import ALARMS, troubles

log = structlog.get_logger(__name__)

EVERY = timedelta(seconds=15)  # somebody looks
RECOVERED_AFTER = timedelta(seconds=30)
# If nobody looked for longer, the installation or its database was away, no process could say that it lives, and each
# hold begins anew. No longer than the hold of a worker or beat, or one look before and one after would open an alarm.
GAP = timedelta(seconds=40)


@dataclass(frozen=True, slots=True)
class Alarm:
    kind: str
    title: str
    advice: str
    since: datetime


def open() -> list[Alarm]:  # noqa: A001 - said with its module: alarms.open()
    """What is wrong now, as far as somebody has looked."""
    states = {state.kind: state for state in AlarmState.objects.filter(is_open=True)}
    return [_alarm_of(states[kind]) for kind in ALARMS if kind in states]


def _alarm_of(state: AlarmState) -> Alarm:
    kind = ALARMS[state.kind]
    return Alarm(state.kind, str(kind.title), str(kind.advice), state.began_at)


# --- looked at -------------------------------------------------------------------
def look() -> None:
    """Look at everything, if it is this process's turn, and tell of each change."""
    now = timezone.now()
    states = {state.kind: state for state in AlarmState.objects.all()}
    if missing := ALARMS.keys() - states.keys():
        AlarmState.objects.bulk_create([AlarmState(kind=kind) for kind in sorted(missing)], ignore_conflicts=True)
        states = {state.kind: state for state in AlarmState.objects.all()}
    last = min((state.looked_at for state in states.values() if state.looked_at), default=None)
    if not _take_turn(last, now):
        return
    if last is None or not now - GAP < last <= now:
        last = None
        AlarmState.objects.update(noticed_at=None, well_at=None)
        states = {state.kind: state for state in AlarmState.objects.all()}
    found = _found(status(), last)
    for kind in ALARMS:
        _judge(states[kind], found.get(kind), now)


def _take_turn(last: datetime | None, now: datetime) -> bool:
    """Whether nobody looked lately. Of several that ask at once one gets it. A clock may have been set back."""
    if last is not None and now - EVERY < last <= now:
        return False
    first = next(iter(ALARMS))  # one row, so that all wait for the same lock
    turn = AlarmState.objects.filter(kind=first, looked_at=last)
    return bool(turn.update(looked_at=now))


def _found(seen: Status, last: datetime | None) -> dict[str, datetime]:
    """The kinds that are wrong now, each with since when. `last` is when somebody looked before."""
    found = {trouble.kind: trouble.since for trouble in troubles(seen)}
    for kind in ("worker", "beat"):  # the one seen last may have ended long before another came and went
        if kind in found and last and found[kind] <= last - ALIVE_FOR:
            found[kind] = seen.at
    return found


def _judge(state: AlarmState, began_at: datetime | None, now: datetime) -> None:
    row = AlarmState.objects.filter(pk=state.pk)
    if began_at is None:
        if not state.is_open:
            if state.noticed_at:
                row.update(noticed_at=None)
        elif state.well_at is None:
            row.update(well_at=now)
        elif now - state.well_at >= RECOVERED_AFTER:
            _change(state, now, is_open=False)
    elif state.is_open:
        if state.well_at:
            row.update(well_at=None)
    elif state.noticed_at is None:
        row.update(noticed_at=now, began_at=began_at)
    elif now - state.noticed_at >= ALARMS[state.kind].hold:
        _change(state, now, is_open=True)


# --- told ------------------------------------------------------------------------
def _change(state: AlarmState, now: datetime, *, is_open: bool) -> None:
    alarm = _alarm_of(state)
    with transaction.atomic():
        before = AlarmState.objects.filter(pk=state.pk, is_open=not is_open)
        if not before.update(is_open=is_open, noticed_at=None, well_at=None):
            return
        log.warning("alarm_opened" if is_open else "alarm_closed", kind=alarm.kind)
        mail.tell(mail.administrators_to_tell(), _notice(alarm, state.well_at or now, is_open=is_open))
        try:
            with transaction.atomic():
                webhooks.queue_stuck(alarm, is_open=is_open)
        except Exception:  # it must not keep the e-mail back
            log.exception("alarm_webhook_failed")


def _notice(alarm: Alarm, ended_at: datetime, *, is_open: bool) -> Notice:
    begun = {"title": alarm.title, "since": _told(alarm.since)}
    if not is_open:
        lasted = _("The alarm lasted from %(since)s to %(until)s.") % (begun | {"until": _told(ended_at)})
        subject = _("Resolved: %(title)s") % begun
        return Notice(subject, (f"{ALARMS[alarm.kind].over}.", lasted), reverse("admin:index"))
    waiting = overview.waiting()
    text = _("Pending deliveries: more than %(count)s.") if waiting.is_more else _("Pending deliveries: %(count)s.")
    lines = (_("%(title)s since %(since)s.") % begun, alarm.advice, text % {"count": f"{waiting.count:,}"})
    return Notice(alarm.title, lines, reverse("admin:index"))


def _told(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%-d %b %Y, %H:%M %Z}"
