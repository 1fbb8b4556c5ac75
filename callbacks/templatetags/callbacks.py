"""How a callback is shown: its template, signing secret and changes. Deliveries are the library `deliveries`."""

from typing import Any
from urllib.parse import urlencode

from django import template
from django.contrib.auth.models import PermissionsMixin
from django.template.context import Context
from django.urls import reverse
from django.utils import timezone

from affiliates.models import Affiliate
from callbacks.models import CallbackSetting, SettingChange, history, names
from callbacks.postback import signing, syntax
from callbacks.reports import callback_health
from callbacks.setup import signing_secrets
from config.security import security_log
from config.security.sign_in import has_typed_password

register = template.Library()

MAX_CHANGES = 3  # changes on the Settings tab


@register.filter
def pieces(source: str) -> tuple[syntax.Piece, ...]:
    """A template's texts and variables in order; a variable has a `name`. What cannot be read is text."""
    return syntax.scan(source)[0]


@register.inclusion_tag("admin/callbacks/setup/section.html", takes_context=True)
def s2s_section(context: Context, affiliate: Affiliate) -> dict[str, Any]:
    """The two rows of the S2S Callback section, with what the viewer may do about them."""
    user = context["request"].user
    assert isinstance(user, PermissionsMixin)
    may = {action: user.has_perm(f"callbacks.{action}_callbacksetting") for action in ("add", "change", "delete")}
    callbacks = callback_health.callbacks_of(affiliate)
    settings = {callback.setting.pk: callback.setting for callback in callbacks if callback.setting}
    request = context["request"]
    # They wait until the password was typed again, if that was long ago.
    may_see_secrets = has_typed_password(request)
    shown = signing_secrets.take(request.session, settings) if may_see_secrets else set()
    for pk in shown:
        security_log.note(request, "secret_shown", about=settings[pk])
    return {
        "callbacks": callbacks,
        "affiliate": affiliate,
        "may": may,
        "may_resend": user.has_perm("callbacks.resend_delivery"),
        "may_see_log": user.has_perm("callbacks.view_delivery") or user.has_perm("callbacks.resend_delivery"),
        "shown_secrets": shown,
        "waiting_secrets": set() if may_see_secrets else signing_secrets.waiting(request.session, settings),
        "confirm_url": f"{reverse('admin:confirm_password')}?{urlencode({'next': request.get_full_path()})}",
        "csrf_token": context.get("csrf_token"),
    }


register.filter("masked", signing.masked)


@register.filter
def in_overlap(setting: CallbackSetting) -> bool:
    """Whether the previous secret is still valid beside the present one."""
    return bool(setting.previous_secret_at(timezone.now()))


# --- what was changed ----------------------------------------------------------
@register.inclusion_tag("admin/callbacks/setup/latest_changes.html")
def latest_changes(affiliate: Affiliate) -> dict[str, Any]:
    """The latest changes of an affiliate's callbacks."""
    found = affiliate.setting_changes.order_by("-pk")
    changes = list(found[: MAX_CHANGES + 1])
    has_more = len(changes) > MAX_CHANGES
    count = found.count() if has_more else len(changes)
    return {"changes": changes[:MAX_CHANGES], "has_more": has_more, "count": count, "affiliate": affiliate}


@register.filter
def changed_values(change: SettingChange) -> list[dict[str, str]]:
    """The fields that were changed, by their labels; none where the sentence says it all."""
    if change.action not in {"created", "changed", "rotated", "removed"}:
        return []
    words = history.WITHOUT if change.action == "changed" else {}
    return [
        {
            "label": history.LABELS.get(field, field),
            "old": old or words.get(field, ""),
            "new": new or words.get(field, ""),
        }
        for field, old, new in ((c["field"], c["old"], c["new"]) for c in change.changes)
    ]


@register.filter
def own_name(name: str) -> str:
    """The name of a callback; "" for the one that it has by default."""
    return "" if name == names.DEFAULT else name
