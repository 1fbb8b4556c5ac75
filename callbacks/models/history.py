"""The history of callback settings: who did what, and when. It is written with each change and never changed itself.

Call these functions in the transaction of the change. Old and new values are written as a person reads them; of a
secret only its last characters.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar

import structlog
from django.conf import settings
from django.contrib.auth.models import User
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _noop

from affiliates.models import Affiliate
from callbacks.models import names
from callbacks.models.setting import CallbackSetting, EventType
from callbacks.postback import signing
from orders.models import ApiToken

log = structlog.get_logger(__name__)

LABELS = {
    "name": _noop("Name"),
    "method": _noop("HTTP method"),
    "url": _noop("URL"),
    "body_format": _noop("POST body"),
    "send_as_typed": _noop("Send as typed"),
    "only_statuses": _noop("Only for statuses"),
    "is_active": _noop("State"),
    "secret": _noop("Signing secret"),
}
# What an empty value of a field means, for pages.
WITHOUT = {
    "name": names.DEFAULT,
    "body_format": _noop("none"),
    "send_as_typed": _noop("no"),
    "only_statuses": _noop("all"),
    "is_active": _noop("on"),
}
PAUSED = "paused"


class SettingChange(models.Model):
    """A change of a callback setting by a person or by the engine. Written by this module alone."""

    class Action(models.TextChoices):
        CREATED = "created", "set up"
        CHANGED = "changed", "changed"
        PAUSED = "paused", "paused"
        RESUMED = "resumed", "resumed"
        ROTATED = "rotated", "rotated the signing secret of"
        REMOVED = "removed", "deleted"
        GONE = "gone", "paused automatically"
        FAILING = "failing", "paused automatically"
        PASSED = "passed", "resumed automatically"

    affiliate = models.ForeignKey(Affiliate, on_delete=models.CASCADE, related_name="setting_changes")
    setting = models.ForeignKey(CallbackSetting, on_delete=models.SET_NULL, null=True, related_name="history")
    event = models.CharField(max_length=16, choices=EventType)
    name = models.CharField(max_length=names.LONGEST)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    user_name = models.CharField(max_length=320, blank=True, help_text="Empty if nobody did it: the engine.")
    action = models.CharField(max_length=8, choices=Action)
    changes = models.JSONField(default=list, help_text="Each a `field`, its `old` and its `new` value.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        default_permissions = ()
        ordering: ClassVar = ["-pk"]
        indexes: ClassVar = [models.Index(fields=["affiliate", "-id"], name="setting_change_of_affiliate")]


Actor = User | ApiToken  # who may do it: a person, or a program
Action = SettingChange.Action
PAUSES = (Action.PAUSED, Action.GONE, Action.FAILING)


def name_of(user: Actor) -> str:
    if isinstance(user, ApiToken):
        return gettext("API token %(name)s") % {"name": user.name}
    return user.get_full_name() or user.get_username()


def values_of(setting: CallbackSetting) -> dict[str, str]:
    """The values of a setting that can be changed, as text; "" for a default that need not be shown."""
    return {
        "name": setting.name if setting.has_own_name else "",
        "method": setting.method,
        "url": setting.url,
        "body_format": setting.body_format if setting.method == CallbackSetting.Method.POST else "",
        "send_as_typed": "yes" if setting.send_as_typed else "",
        "only_statuses": ", ".join(label.lower() for label in setting.statuses),
        "is_active": "" if setting.is_active else PAUSED,
    }


def saved_last(setting: CallbackSetting) -> SettingChange | None:
    """The last time that it was set up or changed, if that was noted."""
    return setting.history.filter(action__in=[Action.CREATED, Action.CHANGED]).first()


def note_created(setting: CallbackSetting, user: Actor) -> None:
    _note(setting, Action.CREATED, user, {}, values_of(setting))


def note_changed(setting: CallbackSetting, user: Actor, before: Mapping[str, str]) -> None:
    """Note how the values differ from `before`, those until now; nothing if they do not."""
    if before != (after := values_of(setting)):
        _note(setting, Action.CHANGED, user, before, after)


def note_many(
    created: Iterable[CallbackSetting], changed: Iterable[tuple[CallbackSetting, Mapping[str, str]]], user: User
) -> None:
    """Note many in one statement: the new settings, and the changed ones with their values before."""
    found = [_change(setting, Action.CREATED, user, {}, values_of(setting)) for setting in created]
    found += [_change(setting, Action.CHANGED, user, before, values_of(setting)) for setting, before in changed]
    SettingChange.objects.bulk_create(change for change in found if change.changes)


def note_switched(setting: CallbackSetting, user: User) -> None:
    if setting.is_active:
        _note(setting, Action.RESUMED, user, {"is_active": PAUSED}, {})
    else:
        _note(setting, Action.PAUSED, user, {}, {"is_active": PAUSED})


def note_gone(setting: CallbackSetting) -> None:
    """The engine paused it, because its address is gone."""
    _note(setting, Action.GONE, None, {}, {"is_active": PAUSED})


def note_switched_by_itself(setting: CallbackSetting) -> None:
    """The engine paused it, because nothing succeeded for long; or resumed it, because something did."""
    if setting.is_active:
        _note(setting, Action.PASSED, None, {"is_active": PAUSED}, {})
    else:
        _note(setting, Action.FAILING, None, {}, {"is_active": PAUSED})


def note_rotated(setting: CallbackSetting, user: User) -> None:
    before, after = signing.masked(setting.previous_secret), signing.masked(setting.secret)
    _note(setting, Action.ROTATED, user, {"secret": before}, {"secret": after})


def note_removed(setting: CallbackSetting, user: Actor) -> None:
    """To be called before it is deleted."""
    _note(setting, Action.REMOVED, user, values_of(setting), {})


def _note(
    setting: CallbackSetting, action: str, user: Actor | None, before: Mapping[str, str], after: Mapping[str, str]
) -> None:
    if setting.affiliate_id:  # that of a webhook is in the admin's history
        _change(setting, action, user, before, after).save()
    if action in PAUSES:
        log.warning("callback_paused", callback=setting.pk, user=user.pk if isinstance(user, User) else "")


def _change(
    setting: CallbackSetting, action: str, user: Actor | None, before: Mapping[str, str], after: Mapping[str, str]
) -> SettingChange:
    assert setting.affiliate_id is not None  # webhooks have no changes
    values = {field: (before.get(field, ""), after.get(field, "")) for field in LABELS}
    return SettingChange(
        affiliate_id=setting.affiliate_id,
        setting=setting,
        event=setting.event,
        name=setting.name,
        user=user if isinstance(user, User) else None,
        user_name=name_of(user) if user else "",
        action=action,
        changes=[{"field": field, "old": old, "new": new} for field, (old, new) in values.items() if old != new],
    )
