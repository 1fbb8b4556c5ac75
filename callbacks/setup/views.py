"""What a merchant does with an affiliate's callbacks: set up, test, pause, resume, rotate secrets, remove, look back.

A path without a callback's id is for a new one; *set up* without it opens the first callback of the event, where there
is one. Each view is a page that works without a script. A script that opens the form in a window asks with
`X-Requested-With: fetch` and gets the form alone; then 422 means that something is wrong with it, and a JSON answer
that it was saved. Only what saves takes a lock.
"""

from collections.abc import Callable
from functools import partial, wraps

from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.auth.decorators import permission_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from affiliates.models import Affiliate
from callbacks.delivery import health
from callbacks.models import CallbackSetting, EventType, audit, history
from callbacks.setup import preview, signing_secrets, test_send
from callbacks.setup.forms import CallbackSettingForm
from config.request import actor, allow_going_back, go_to, is_fetch, may_see
from config.security import security_log
from config.security.sign_in import password_again
from orders.models import Order

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


# --- the form ------------------------------------------------------------------
@require_http_methods(["GET", "HEAD", "POST"])
def set_up(
    request: HttpRequest, affiliate_id: int, event: EventType, pk: int | None = None, *, is_another: bool = False
) -> HttpResponse:
    """Show the form of one callback, empty or filled, or save it.

    Without an id it is the first callback of the event; a new one where there is none, or for `is_another`.
    """
    find = partial(_setting_of_form, request, affiliate_id, event, pk, is_new=is_another)
    setting = find()
    offered = {"url": request.GET["url"]} if "url" in request.GET else None  # the log offers where a redirect leads
    form = CallbackSettingForm(request.POST or None, instance=setting, initial=offered)
    if request.method != "POST":
        return _form_page(request, form, is_offered=offered is not None)
    if shown := form.pressed(request.POST):
        return _form_page(request, shown)
    return _save(request, find)


def _save(request: HttpRequest, find: Callable[..., CallbackSetting]) -> HttpResponse:
    """Save what was typed, or say why not.

    The callback is read once more under a lock: two people who save at once come one after the other. What can be
    refused is refused before, so that the lock, on SQLite everybody's, is not held while a text is checked.
    """
    form = CallbackSettingForm(request.POST, instance=find())
    is_new = form.instance.pk is None
    if not (is_new and form.made_already()) and not form.is_valid():
        return _form_page(request, form, status=422)
    with transaction.atomic():
        setting = find(is_locked=True)
        is_new, before, is_resumed = setting.pk is None, history.values_of(setting), False
        form = CallbackSettingForm(request.POST, instance=setting)
        if is_new and (made := form.made_already()):
            return go_to(request, settings_url(made))  # sent twice: the other one has said that it is saved
        if is_saved := form.is_valid() and not form.overwritten:
            is_resumed = setting.resume_if_moved(before["url"])
            form.save()
            if is_resumed:
                health.resumed([setting.pk])
            if is_new:
                history.note_created(setting, actor(request))
                signing_secrets.to_be_shown(request.session, setting)
            else:
                history.note_changed(setting, actor(request), before)
            _log(request, setting, ADDITION if is_new else CHANGE)
    if not form.is_valid():
        return _form_page(request, form, status=422)
    if not is_saved:
        form.accept_overwriting()
        change = history.saved_last(setting)
        return _form_page(request, form, status=422, overwritten=form.overwritten, change=change)
    said = [f"{setting} saved.", *(repair.message for repair in setting.repairs)]
    if is_resumed:
        said.append("It was paused by itself; with the new URL it is on again.")
    elif not setting.is_active:
        said.append("It is still paused.")
    messages.success(request, " ".join(said))
    return go_to(request, settings_url(setting))


@require_POST
def check(request: HttpRequest, affiliate_id: int, event: EventType, pk: int | None = None) -> HttpResponse:
    """What the form says of its fields as they stand now, for a script to show; nothing is saved."""
    setting = _setting_of_form(request, affiliate_id, event, pk, is_new=True)
    form = CallbackSettingForm(request.POST, instance=setting)
    return render(request, "admin/callbacks/setup/checked.html", {"form": form} | _previewed(request, form))


@require_http_methods(["GET", "HEAD", "POST"])
def send_test(request: HttpRequest, affiliate_id: int, event: EventType, pk: int | None = None) -> HttpResponse:
    """Send what stands in the form once, for real, and show what came of it; nothing of the callback is saved.

    A script gets the result alone. 429 means that there were too many tests. A GET leads back to the form.
    """
    setting = _setting_of_form(request, affiliate_id, event, pk, is_new=True)
    if request.method != "POST":
        return redirect("callbacks:set-up", affiliate_id, event, *([pk] if pk else []))
    form = CallbackSettingForm(request.POST, instance=setting)
    if not form.is_valid():
        problem = "Nothing was sent: something in the form has to be put right first."
        return _form_page(request, form, status=422, result=test_send.Result(problem))
    _, order = _orders_to_preview(request, setting.affiliate)
    result = test_send.send(setting, order, actor(request).pk)
    if result.attempt:
        audit.note_tested(result.attempt.delivery, actor(request))
    status = 429 if result.is_too_many else 200
    if is_fetch(request):
        return render(request, "admin/callbacks/setup/test.html", {"result": result, "setting": setting}, status=status)
    return _form_page(request, form, status=status, result=result)


def _setting_of_form(
    request: HttpRequest,
    affiliate_id: int,
    event: EventType,
    pk: int | None,
    *,
    is_new: bool,
    is_locked: bool = False,
) -> CallbackSetting:
    """The callback with that id. Without an id the first of the event; a new one where there is none, or for `is_new`.

    It is 404 if there is none with that id, and 403 for whoever may not save it. The lock is on the affiliate as well.
    """
    allowed = {action for action in ("add", "change") if request.user.has_perm(f"callbacks.{action}_callbacksetting")}
    if not allowed:
        raise PermissionDenied
    affiliates = Affiliate.objects.select_for_update(no_key=True) if is_locked else Affiliate.objects
    affiliate = get_object_or_404(affiliates, pk=affiliate_id)
    if pk:
        setting = _setting_or_404(affiliate_id, event, pk, is_locked=is_locked)
    elif is_new:
        setting = None
    else:
        setting = _settings(affiliate_id, event, is_locked=is_locked).first()
    if ("change" if setting else "add") not in allowed:
        raise PermissionDenied
    return setting or CallbackSetting(affiliate=affiliate, event=event)


def _form_page(request: HttpRequest, form: CallbackSettingForm, *, status: int = 200, **more: object) -> HttpResponse:
    """The form, on a page or alone, with what stands in it now."""
    setting = form.instance
    context = _context(request, setting, f"Setup {setting.get_event_display().lower()} callback") | {"form": form}
    template = "admin/callbacks/setup/form.html" if is_fetch(request) else "admin/callbacks/setup/page.html"
    return render(request, template, context | _previewed(request, form) | more, status=status)


def _previewed(request: HttpRequest, form: CallbackSettingForm) -> dict[str, object]:
    """What would be sent for the order that was chosen, else for the newest; without orders, for example values."""
    orders, order = _orders_to_preview(request, form.instance.affiliate)
    return {"orders": orders, "order": order} | preview.of_form(form.typed, form.diagnosis.template, order)


def _orders_to_preview(request: HttpRequest, affiliate: Affiliate) -> tuple[list[Order], Order | None]:
    """The orders to choose from, none for who may not see orders, and the one that is chosen."""
    orders = preview.newest_orders(affiliate) if may_see(request, Order) else []
    chosen = request.POST.get("preview_order", "")
    return orders, next((order for order in orders if str(order.pk) == chosen), orders[0] if orders else None)


# --- one callback ----------------------------------------------------------------
@require_POST
@permission_required("callbacks.change_callbacksetting", raise_exception=True)
def switch(request: HttpRequest, affiliate_id: int, event: EventType, pk: int, *, is_active: bool) -> HttpResponse:
    """Pause or resume."""
    reasons = CallbackSetting.PauseReason
    with transaction.atomic():
        setting = _setting_or_404(affiliate_id, event, pk, is_locked=True)
        was_active = setting.is_active
        setting.is_active, setting.pause_reason = is_active, reasons.NONE if is_active else reasons.PERSON
        setting.save(update_fields=["is_active", "pause_reason", "updated_at"])
        _log(request, setting, CHANGE)
        if was_active != is_active:
            history.note_switched(setting, actor(request))
            if is_active:
                health.resumed([setting.pk])
    if is_active:
        said = f"{setting} resumed. What happens from now on is sent."
    else:
        said = f"{setting} paused. Nothing is sent until you resume it."
    messages.success(request, said)
    return go_to(request, settings_url(setting))


@require_http_methods(["GET", "HEAD", "POST"])
@password_again
@permission_required("callbacks.change_callbacksetting", raise_exception=True)
def rotate(request: HttpRequest, affiliate_id: int, event: EventType, pk: int) -> HttpResponse:
    """Ask once more; then there is a new secret, and for a day the present one signs as well.

    A script gets the part of the form that speaks of the secret, so that what is typed there stays.
    """
    part = "admin/callbacks/setup/secret.html"
    if request.method != "POST":
        setting = _setting_or_404(affiliate_id, event, pk)
        context = _context(request, setting, f"New signing secret for {in_sentence(setting)}") | {"is_asked": True}
        return render(request, part if is_fetch(request) else "admin/callbacks/setup/rotate.html", context)
    with transaction.atomic():
        setting = _setting_or_404(affiliate_id, event, pk, is_locked=True)
        signing_secrets.rotate(setting)
        history.note_rotated(setting, actor(request))
        security_log.note(request, "secret_rotated", about=setting, says="Gave it a new signing secret.")
    if is_fetch(request):
        security_log.note(request, "secret_shown", about=setting)
        return render(request, part, _context(request, setting) | {"is_new": True})
    signing_secrets.to_be_shown(request.session, setting)
    messages.success(request, f"{setting} has a new signing secret. For a day the old one signs as well.")
    return go_to(request, settings_url(setting))


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("callbacks.delete_callbacksetting", raise_exception=True)
def remove(request: HttpRequest, affiliate_id: int, event: EventType, pk: int) -> HttpResponse:
    """Ask once more; then the callback is gone, and what was sent for it stays in the log."""
    if request.method != "POST":
        setting = _setting_or_404(affiliate_id, event, pk)
        waiting = setting.deliveries.filter(status__in=["pending", "sending"]).count()
        context = _context(request, setting, f"Remove {in_sentence(setting)}") | {"waiting": waiting}
        return render(request, "admin/callbacks/setup/remove.html", context)
    with transaction.atomic():
        setting = _setting_or_404(affiliate_id, event, pk, is_locked=True)
        _log(request, setting, DELETION)
        history.note_removed(setting, actor(request))
        setting.delete()
    messages.success(request, f"{setting} removed.")
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
        "title": "Changes of S2S callbacks",
        "page": Paginator(affiliate.setting_changes.order_by("-pk"), PAGE).get_page(request.GET.get("page")),
    }
    return render(request, "admin/callbacks/setup/changes.html", context)


def _settings(affiliate_id: int, event: EventType, *, is_locked: bool = False) -> QuerySet[CallbackSetting]:
    """The callbacks of this event, the oldest first."""
    found = CallbackSetting.objects.filter(affiliate=affiliate_id, event=event).select_related("affiliate")
    return (found.select_for_update(no_key=True, of=("self",)) if is_locked else found).order_by("pk")


def _setting_or_404(affiliate_id: int, event: EventType, pk: int, *, is_locked: bool = False) -> CallbackSetting:
    return get_object_or_404(_settings(affiliate_id, event, is_locked=is_locked), pk=pk)


def _context(request: HttpRequest, setting: CallbackSetting, title: str = "") -> dict[str, object]:
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


def _log(request: HttpRequest, setting: CallbackSetting, flag: int) -> None:
    """Note in the admin's history who did that."""
    LogEntry.objects.log_actions(actor(request).pk, [setting], flag, single_object=True)
