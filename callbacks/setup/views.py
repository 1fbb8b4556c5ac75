"""What a merchant does with an affiliate's callbacks: set up, pause, resume, give a new secret, remove, look back.

Where a path has no callback's id it is the first of its event, which for most affiliates is the only one.

Each is a page that works by itself. A script that opens the form in a window asks with `X-Requested-With: fetch` and
gets the form alone; then 422 means that something is wrong with it, and a JSON answer that it was saved.
"""

from collections.abc import Callable
from functools import wraps

from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from affiliates.models import Affiliate
from callbacks.models import CallbackSetting, EventType, history
from callbacks.setup import preview as previews
from callbacks.setup import signing_secrets
from callbacks.setup.forms import CallbackSettingForm
from config.request import actor, go_to, is_fetch, may_see
from orders.models import Order

PAGE = 25
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


def kept_to_go_back_to(view: View) -> View:
    """Let the browser keep what answers a POST. The admin forbids that, and whoever goes back would meet an error
    of the browser in the place of the form they sent. Not for what is shown only once.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        response = view(request, *args, **kwargs)
        if request.method == "POST":
            response.headers["Cache-Control"] = "private, no-cache"
        return response

    return wrapped


@require_http_methods(["GET", "HEAD", "POST"])
@may("add", "change")
def set_up(request: HttpRequest, affiliate_id: int, event: EventType, pk: int | None = None) -> HttpResponse:
    """The form of one callback, empty or filled, and what becomes of it."""
    with transaction.atomic():
        affiliate = _locked(affiliate_id)
        setting = _setting_or_404(affiliate.pk, event, pk) if pk else _settings(affiliate.pk, event).first()
        return _set_up(request, setting or CallbackSetting(affiliate=affiliate, event=event))


@require_http_methods(["GET", "HEAD", "POST"])
@may("add")
def set_up_another(request: HttpRequest, affiliate_id: int, event: EventType) -> HttpResponse:
    """The empty form of one more callback for the same event."""
    with transaction.atomic():
        return _set_up(request, CallbackSetting(affiliate=_locked(affiliate_id), event=event))


def _set_up(request: HttpRequest, setting: CallbackSetting) -> HttpResponse:
    is_new, before = setting.pk is None, history.values_of(setting)
    if not request.user.has_perm(f"callbacks.{'add' if is_new else 'change'}_callbacksetting"):
        raise PermissionDenied
    offered = {"url": request.GET["url"]} if "url" in request.GET else None  # by the log, after a redirect
    form = CallbackSettingForm(request.POST or None, instance=setting, initial=offered)
    if corrected := form.pressed(request.POST):
        return form_page(request, setting, corrected, status=200)
    if request.method != "POST":
        return form_page(request, setting, form, status=200, is_offered=offered is not None)
    if "look" in request.POST:
        return form_page(request, setting, form, status=200)
    if not form.is_valid():
        return form_page(request, setting, form, status=422)
    if form.overwritten:
        form.accept_overwriting()
        meanwhile = {"overwritten": form.overwritten, "change": history.saved_last(setting)}
        return form_page(request, setting, form, status=422, **meanwhile)
    is_resumed = setting.resume_if_moved(before["url"])
    form.save()
    if is_new:
        history.note_created(setting, actor(request))
        signing_secrets.to_be_shown(request.session, setting)
    else:
        history.note_changed(setting, actor(request), before)
    _log(request, setting, ADDITION if is_new else CHANGE)
    said = [f"{setting} saved.", *(repair.message for repair in setting.repairs)]
    if is_resumed:
        said.append("It was paused because its old address was gone; with the new one it is on again.")
    elif not setting.is_active:
        said.append("It is still paused.")
    messages.success(request, " ".join(said))
    return _back(request, setting)


@require_POST
@may("add", "change")
def check(request: HttpRequest, affiliate_id: int, event: EventType, pk: int | None = None) -> HttpResponse:
    """What the form says of its fields as they stand now, for a script to show; nothing is saved."""
    affiliate = get_object_or_404(Affiliate, pk=affiliate_id)
    setting = CallbackSetting(affiliate=affiliate, event=event)
    if pk:
        setting = get_object_or_404(affiliate.callback_settings.select_related("affiliate"), pk=pk, event=event)
    form = CallbackSettingForm(request.POST, instance=setting)
    return render(request, "admin/callbacks/setup/checked.html", {"form": form} | previewed(request, form))


@require_POST
@may("change")
def pause(request: HttpRequest, affiliate_id: int, event: EventType, pk: int | None = None) -> HttpResponse:
    return _switch(request, affiliate_id, event, pk, is_active=False)


@require_POST
@may("change")
def resume(request: HttpRequest, affiliate_id: int, event: EventType, pk: int | None = None) -> HttpResponse:
    return _switch(request, affiliate_id, event, pk, is_active=True)


def _switch(
    request: HttpRequest, affiliate_id: int, event: EventType, pk: int | None, *, is_active: bool
) -> HttpResponse:
    reasons = CallbackSetting.PauseReason
    with transaction.atomic():
        setting = _setting_or_404(affiliate_id, event, pk)
        was_active = setting.is_active
        setting.is_active, setting.pause_reason = is_active, reasons.NONE if is_active else reasons.PERSON
        setting.save(update_fields=["is_active", "pause_reason", "updated_at"])
        _log(request, setting, CHANGE)
        if was_active != is_active:
            history.note_switched(setting, actor(request))
    if is_active:
        said = f"{setting} resumed. What happens from now on is sent."
    else:
        said = f"{setting} paused. Nothing is sent until you resume it."
    messages.success(request, said)
    return _back(request, setting)


@require_http_methods(["GET", "HEAD", "POST"])
@may("change")
def rotate(request: HttpRequest, affiliate_id: int, event: EventType, pk: int | None = None) -> HttpResponse:
    """Ask once more; then there is a new secret, and for a day the present one signs as well.

    A script that asks gets the part of the form that speaks of the secret, so that what is typed there stays.
    """
    with transaction.atomic():
        setting = _setting_or_404(affiliate_id, event, pk)
        context = _context(request, setting) | {"title": f"New signing secret for {_name(setting)}"}
        part = "admin/callbacks/setup/secret.html"
        if request.method != "POST":
            template = part if is_fetch(request) else "admin/callbacks/setup/rotate.html"
            return render(request, template, context | {"is_asked": True})
        signing_secrets.rotate(setting)
        history.note_rotated(setting, actor(request))
        _log(request, setting, CHANGE)
        if is_fetch(request):
            return render(request, part, context | {"is_new": True})
        signing_secrets.to_be_shown(request.session, setting)
    messages.success(request, f"{setting} has a new signing secret. For a day the old one signs as well.")
    return _back(request, setting)


@require_http_methods(["GET", "HEAD", "POST"])
@may("delete")
def remove(request: HttpRequest, affiliate_id: int, event: EventType, pk: int | None = None) -> HttpResponse:
    """Ask once more; then the setting is gone, and what was sent for it stays in the log."""
    with transaction.atomic():
        setting = _setting_or_404(affiliate_id, event, pk)
        if request.method == "POST":
            _log(request, setting, DELETION)
            history.note_removed(setting, actor(request))
            setting.delete()
            messages.success(request, f"{setting} removed.")
            return _back(request, setting)
        waiting = setting.deliveries.filter(status__in=["pending", "sending"]).count()
    context = _context(request, setting) | {"title": f"Remove {_name(setting)}", "waiting": waiting}
    return render(request, "admin/callbacks/setup/remove.html", context)


@require_safe
def changes(request: HttpRequest, affiliate_id: int) -> HttpResponse:
    """All that was done to the callbacks of one affiliate, latest first, for whoever may see their Settings tab."""
    if not may_see(request, Affiliate):
        raise PermissionDenied
    affiliate = get_object_or_404(Affiliate, pk=affiliate_id)
    page = Paginator(affiliate.setting_changes.order_by("-pk"), PAGE).get_page(request.GET.get("page"))
    context = admin.site.each_context(request) | {
        "affiliate": affiliate,
        "back": _settings_url(affiliate),
        "title": "Changes of S2S callbacks",
        "page": page,
    }
    return render(request, "admin/callbacks/setup/changes.html", context)


def _locked(affiliate_id: int) -> Affiliate:
    """The affiliate, so that two people who set up their callbacks at once come one after the other."""
    return get_object_or_404(Affiliate.objects.select_for_update(no_key=True), pk=affiliate_id)


def _settings(affiliate_id: int, event: EventType) -> QuerySet[CallbackSetting]:
    """The callbacks of this event, the oldest first, locked."""
    found = CallbackSetting.objects.filter(affiliate=affiliate_id, event=event).select_related("affiliate")
    return found.select_for_update(no_key=True, of=("self",)).order_by("pk")


def _setting_or_404(affiliate_id: int, event: EventType, pk: int | None) -> CallbackSetting:
    found = _settings(affiliate_id, event)
    setting = (found.filter(pk=pk) if pk else found).first()
    if setting is None:
        raise Http404
    return setting


def form_page(
    request: HttpRequest, setting: CallbackSetting, form: CallbackSettingForm, *, status: int, **more: object
) -> HttpResponse:
    """The form, on a page or alone, with what stands in it now."""
    context = _context(request, setting) | {"title": f"Setup {setting.get_event_display().lower()} callback"} | more
    template = "admin/callbacks/setup/form.html" if is_fetch(request) else "admin/callbacks/setup/page.html"
    return render(request, template, context | {"form": form} | previewed(request, form), status=status)


def previewed(request: HttpRequest, form: CallbackSettingForm) -> dict[str, object]:
    """What would be sent for the order that was chosen, else the newest; examples where there is none."""
    orders, order = orders_to_preview(request, form.typed.affiliate)
    template = form.diagnosis.template
    preview = previews.preview(form.typed, template, order) if template else None
    examples = previews.examples(form.typed, order)
    return {"orders": orders, "order": order, "preview": preview, "examples": examples}


def orders_to_preview(request: HttpRequest, affiliate: Affiliate) -> tuple[list[Order], Order | None]:
    """The orders to choose from, none for who may not see orders, and the one that is chosen."""
    orders = previews.newest_orders(affiliate) if may_see(request, Order) else []
    chosen = request.POST.get("preview_order", "")
    return orders, next((order for order in orders if str(order.pk) == chosen), orders[0] if orders else None)


def _context(request: HttpRequest, setting: CallbackSetting) -> dict[str, object]:
    return admin.site.each_context(request) | {
        "affiliate": setting.affiliate,
        "setting": setting,
        "back": _settings_url(setting.affiliate, setting),
    }


def _back(request: HttpRequest, setting: CallbackSetting) -> HttpResponse:
    return go_to(request, _settings_url(setting.affiliate, setting))


def _settings_url(affiliate: Affiliate, setting: CallbackSetting | None = None) -> str:
    """The Settings tab, at the rows of the setting's event."""
    part = setting.event.replace(".", "-") if setting else "setting-changes"
    return f"{affiliate.settings_url}#{part}"


def _name(setting: CallbackSetting) -> str:
    """The title inside a sentence."""
    return setting.title[0].lower() + setting.title[1:]


def _log(request: HttpRequest, setting: CallbackSetting, flag: int) -> None:
    """Note in the admin's history who did that."""
    LogEntry.objects.log_actions(actor(request).pk, [setting], flag, single_object=True)
