"""What a merchant does with an affiliate's callbacks: set up, pause, resume, remove.

Each is a page that works by itself. A script that opens the form in a window asks with `X-Requested-With: fetch` and
gets the form alone; then 422 means that something is wrong with it, and a JSON answer that it was saved.
"""

from collections.abc import Callable
from functools import wraps

from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from affiliates.models import Affiliate
from callbacks.forms import CallbackSettingForm
from callbacks.models import CallbackSetting, EventType

View = Callable[..., HttpResponse]


def may(*actions: str) -> Callable[[View], View]:
    """Let only those through who may do one of these to callback settings."""

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapped(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
            if not any(request.user.has_perm(f"callbacks.{action}_callbacksetting") for action in actions):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return wrapped

    return decorate


@require_http_methods(["GET", "HEAD", "POST"])
@may("add", "change")
def set_up(request: HttpRequest, affiliate_id: int, event: EventType) -> HttpResponse:
    """The form of one callback, empty or filled, and what becomes of it."""
    with transaction.atomic():
        # Two people who set up the same callback at once come one after the other.
        affiliate = get_object_or_404(Affiliate.objects.select_for_update(no_key=True), pk=affiliate_id)
        setting = CallbackSetting.objects.filter(affiliate=affiliate, event=event).first()
        is_new = setting is None
        if not request.user.has_perm(f"callbacks.{'add' if is_new else 'change'}_callbacksetting"):
            raise PermissionDenied
        setting = setting or CallbackSetting(affiliate=affiliate, event=event)
        url_before = setting.url
        offered = {"url": request.GET["url"]} if "url" in request.GET else None  # by the log, after a redirect
        form = CallbackSettingForm(request.POST or None, instance=setting, initial=offered)
        if "correct" in request.POST:
            return _form_page(request, setting, form.with_correction(), status=200)
        if request.method != "POST":
            return _form_page(request, setting, form, status=200)
        if not form.is_valid():
            return _form_page(request, setting, form, status=422)
        is_resumed = setting.pause_reason == CallbackSetting.PauseReason.GONE and setting.url != url_before
        if is_resumed:
            setting.is_active, setting.pause_reason = True, CallbackSetting.PauseReason.NONE
        form.save()
        _log(request, setting, ADDITION if is_new else CHANGE)
    said = [f"{_name(setting)} of {affiliate} saved.", *(repair.message for repair in setting.repairs)]
    if is_resumed:
        said.append("It was paused because its old address was gone; with the new one it is on again.")
    elif not setting.is_active:
        said.append("It is still paused.")
    messages.success(request, " ".join(said))
    return _back(request, affiliate, event)


@require_POST
@may("change")
def pause(request: HttpRequest, affiliate_id: int, event: EventType) -> HttpResponse:
    return _switch(request, affiliate_id, event, is_active=False)


@require_POST
@may("change")
def resume(request: HttpRequest, affiliate_id: int, event: EventType) -> HttpResponse:
    return _switch(request, affiliate_id, event, is_active=True)


def _switch(request: HttpRequest, affiliate_id: int, event: EventType, *, is_active: bool) -> HttpResponse:
    setting = _setting_or_404(affiliate_id, event)
    reasons = CallbackSetting.PauseReason
    setting.is_active, setting.pause_reason = is_active, reasons.NONE if is_active else reasons.PERSON
    setting.save(update_fields=["is_active", "pause_reason", "updated_at"])
    _log(request, setting, CHANGE)
    if is_active:
        said = f"{_name(setting)} of {setting.affiliate} resumed. What happens from now on is sent."
    else:
        said = f"{_name(setting)} of {setting.affiliate} paused. Nothing is sent until you resume it."
    messages.success(request, said)
    return _back(request, setting.affiliate, event)


@require_http_methods(["GET", "HEAD", "POST"])
@may("delete")
def remove(request: HttpRequest, affiliate_id: int, event: EventType) -> HttpResponse:
    """Ask once more; then the setting is gone, and what was sent for it stays in the log."""
    setting = _setting_or_404(affiliate_id, event)
    if request.method == "POST":
        _log(request, setting, DELETION)
        setting.delete()
        messages.success(request, f"{_name(setting)} of {setting.affiliate} removed.")
        return _back(request, setting.affiliate, event)
    waiting = setting.deliveries.filter(status__in=["pending", "sending"]).count()
    context = _context(request, setting) | {
        "title": f"Remove {_name(setting).lower()}",
        "waiting": waiting,
    }
    return render(request, "admin/callbacks/remove.html", context)


def _setting_or_404(affiliate_id: int, event: EventType) -> CallbackSetting:
    settings = CallbackSetting.objects.select_related("affiliate")
    return get_object_or_404(settings, affiliate=affiliate_id, event=event)


def _form_page(
    request: HttpRequest, setting: CallbackSetting, form: CallbackSettingForm, *, status: int
) -> HttpResponse:
    context = _context(request, setting) | {"title": f"Setup {_name(setting).lower()}", "form": form}
    template = "admin/callbacks/setup_form.html" if _is_fetch(request) else "admin/callbacks/setup.html"
    return render(request, template, context, status=status)


def _context(request: HttpRequest, setting: CallbackSetting) -> dict[str, object]:
    return admin.site.each_context(request) | {
        "affiliate": setting.affiliate,
        "setting": setting,
        "back": _settings_url(setting.affiliate, EventType(setting.event)),
    }


def _back(request: HttpRequest, affiliate: Affiliate, event: EventType) -> HttpResponse:
    url = _settings_url(affiliate, event)
    return JsonResponse({"location": url}) if _is_fetch(request) else redirect(url)


def _settings_url(affiliate: Affiliate, event: EventType) -> str:
    return reverse("admin:affiliates_affiliate_settings", args=[affiliate.pk]) + "#" + event.value.replace(".", "-")


def _is_fetch(request: HttpRequest) -> bool:
    return request.headers.get("X-Requested-With") == "fetch"


def _name(setting: CallbackSetting) -> str:
    return f"{setting.get_event_display()} callback"


def _log(request: HttpRequest, setting: CallbackSetting, flag: int) -> None:
    """Note in the admin's history who did that."""
    assert isinstance(request.user, User)
    LogEntry.objects.log_actions(request.user.pk, [setting], flag, single_object=True)
