"""What a merchant does with a saved callback of an affiliate: pause, resume, rotate its secret, remove, look back.

Each view is a page that works without a script. The form is `form_views`.
"""

from collections.abc import Callable
from functools import wraps

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.auth.decorators import permission_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from affiliates.models import Affiliate
from callbacks.delivery import health
from callbacks.models import CallbackSetting, EventType, history
from callbacks.setup import signing_secrets
from config.request import actor, allow_going_back, go_to, is_fetch, may_see
from config.security import security_log
from config.security.sign_in import PasswordAgainForm, has_typed_password, password_again

PAGE = 25  # changes on a page
View = Callable[..., HttpResponseBase]


def going_back(view: View) -> View:
    """Let the browser go back to the form. Not for what is shown only once."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        if request.method == "POST":
            allow_going_back(response)
        return response

    return wrapped


# --- one callback ----------------------------------------------------------------
@require_POST
@permission_required("callbacks.change_callbacksetting", raise_exception=True)
def switch(request: HttpRequest, affiliate_id: int, event: EventType, pk: int, *, is_active: bool) -> HttpResponse:
    """Pause or resume."""
    reasons = CallbackSetting.PauseReason
    with transaction.atomic():
        setting = setting_or_404(affiliate_id, event, pk, is_locked=True)
        was_active = setting.is_active
        setting.is_active, setting.pause_reason = is_active, reasons.NONE if is_active else reasons.PERSON
        setting.save(update_fields=["is_active", "pause_reason", "updated_at"])
        if was_active != is_active:
            log_change(request, setting, CHANGE)
            history.note_switched(setting, actor(request))
            if is_active:
                health.resumed([setting.pk])
    if is_active:
        said = _("%(callback)s resumed. New events are sent again.")
    else:
        said = _("%(callback)s paused. Nothing is sent until you resume it.")
    messages.success(request, said % {"callback": setting})
    return go_to(request, settings_url(setting))


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("callbacks.change_callbacksetting", raise_exception=True)
def rotate(request: HttpRequest, affiliate_id: int, event: EventType, pk: int) -> HttpResponseBase:
    """Ask once more; then there is a new secret, and for a day the present one signs as well.

    A script gets the part of the form that speaks of the secret, so that what is typed there stays. That part asks for
    the password, too, if it was typed too long ago.
    """
    return (_rotate_in_form if is_fetch(request) else _rotate)(request, affiliate_id, event, pk)


@password_again
def _rotate(request: HttpRequest, affiliate_id: int, event: EventType, pk: int) -> HttpResponse:
    if request.method != "POST":
        setting = setting_or_404(affiliate_id, event, pk)
        return render(request, "admin/callbacks/setup/rotate.html", _of_rotation(request, setting))
    setting = _with_new_secret(request, affiliate_id, event, pk)
    signing_secrets.to_be_shown(request.session, setting)
    said = _("%(callback)s has a new signing secret. The previous one stays valid for 24 hours.")
    messages.success(request, said % {"callback": setting})
    return go_to(request, settings_url(setting))


def _rotate_in_form(request: HttpRequest, affiliate_id: int, event: EventType, pk: int) -> HttpResponse:
    part, is_asking = "admin/callbacks/setup/secret.html", request.method != "POST"
    password = None if has_typed_password(request) else PasswordAgainForm(request, None if is_asking else request.POST)
    if is_asking or (password and not password.is_valid()):
        context = _of_rotation(request, setting_or_404(affiliate_id, event, pk))
        if password:
            password.fields["password_again"].widget.attrs["form"] = "none"  # it is no field of the form around it
            context["password"] = password["password_again"]
        return render(request, part, context, status=200 if is_asking else 422)
    setting = _with_new_secret(request, affiliate_id, event, pk)
    security_log.note(request, "secret_shown", about=setting)
    return render(request, part, context_of(request, setting) | {"is_new": True})


def _of_rotation(request: HttpRequest, setting: CallbackSetting) -> dict[str, object]:
    title = _("Rotate the signing secret of the %(callback)s") % {"callback": in_sentence(setting)}
    return context_of(request, setting, title) | {"is_asked": True}


def _with_new_secret(request: HttpRequest, affiliate_id: int, event: EventType, pk: int) -> CallbackSetting:
    with transaction.atomic():
        setting = setting_or_404(affiliate_id, event, pk, is_locked=True)
        signing_secrets.rotate(setting)
        history.note_rotated(setting, actor(request))
        security_log.note(request, "secret_rotated", about=setting, says="Gave it a new signing secret.")
    return setting


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("callbacks.delete_callbacksetting", raise_exception=True)
def remove(request: HttpRequest, affiliate_id: int, event: EventType, pk: int) -> HttpResponse:
    """Ask once more; then the callback is gone, and what was sent for it stays in the log."""
    if request.method != "POST":
        setting = setting_or_404(affiliate_id, event, pk)
        waiting = setting.deliveries.filter(status__in=["pending", "sending"]).count()
        title = _("Remove %(callback)s") % {"callback": in_sentence(setting)}
        context = context_of(request, setting, title) | {"waiting": waiting}
        return render(request, "admin/callbacks/setup/remove.html", context)
    with transaction.atomic():
        setting = setting_or_404(affiliate_id, event, pk, is_locked=True)
        log_change(request, setting, DELETION)
        history.note_removed(setting, actor(request))
        setting.delete()
    messages.success(request, _("%(callback)s removed.") % {"callback": setting})
    return go_to(request, settings_url(setting))


@require_safe
def changes(request: HttpRequest, affiliate_id: int) -> HttpResponse:
    """All that was done to the callbacks of one affiliate, latest first, for whoever may see their Settings tab."""
    if not may_see(request, Affiliate):
        raise PermissionDenied
    affiliate = get_object_or_404(Affiliate, pk=affiliate_id)
    context = admin.site.each_context(request) | {
        "affiliate": affiliate,
        "back": f"{affiliate.settings_url}#setting-changes",
        "title": _("Changes to S2S callbacks"),
        "page": Paginator(affiliate.setting_changes.order_by("-pk"), PAGE).get_page(request.GET.get("page")),
    }
    return render(request, "admin/callbacks/setup/changes.html", context)


def callbacks_for(affiliate_id: int, event: EventType, *, is_locked: bool = False) -> QuerySet[CallbackSetting]:
    """The callbacks of this event, the oldest first."""
    found = CallbackSetting.objects.filter(affiliate=affiliate_id, event=event).select_related("affiliate")
    return (found.select_for_update(no_key=True, of=("self",)) if is_locked else found).order_by("pk")


def setting_or_404(affiliate_id: int, event: EventType, pk: int, *, is_locked: bool = False) -> CallbackSetting:
    return get_object_or_404(callbacks_for(affiliate_id, event, is_locked=is_locked), pk=pk)


def context_of(request: HttpRequest, setting: CallbackSetting, title: str = "") -> dict[str, object]:
    return admin.site.each_context(request) | {
        "affiliate": setting.affiliate,
        "setting": setting,
        "back": settings_url(setting),
        "title": title,
    }


def settings_url(setting: CallbackSetting) -> str:
    """The Settings tab of its affiliate, at the rows of its event."""
    return f"{setting.affiliate.settings_url}#{setting.event.replace('.', '-')}"


def in_sentence(setting: CallbackSetting) -> str:
    """Its title as it stands inside a sentence."""
    return setting.title[0].lower() + setting.title[1:]


def log_change(request: HttpRequest, setting: CallbackSetting, flag: int) -> None:
    """Note in the admin's history who did that."""
    LogEntry.objects.log_actions(actor(request).pk, [setting], flag, single_object=True)
