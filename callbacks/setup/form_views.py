"""The form of one callback: shown, checked while it is typed, sent once as a test, saved.

A path without a callback's id is for a new one; *set up* without it opens the first callback of the event, where there
is one. It is a page that works without a script. A script that opens it in a window asks with `X-Requested-With: fetch`
and gets the form alone; then 422 means that something is wrong with it, and a JSON answer that it was saved. Only what
saves takes a lock. What is done with a saved callback is `views`.
"""

from collections.abc import Callable, Iterator
from functools import partial

from django.contrib import messages
from django.contrib.admin.models import ADDITION, CHANGE
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from affiliates.models import Affiliate
from callbacks.delivery import health
from callbacks.models import CallbackSetting, EventType, audit, history
from callbacks.setup import preview, signing_secrets, test_send
from callbacks.setup.forms import CallbackSettingForm
from callbacks.setup.views import callbacks_for, context_of, log_change, setting_or_404, settings_url
from config.language import translated
from config.request import actor, go_to, is_fetch, may_see
from orders.models import Order


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
            log_change(request, setting, ADDITION if is_new else CHANGE)
    if not form.is_valid():
        return _form_page(request, form, status=422)
    if not is_saved:
        form.accept_overwriting()
        change = history.saved_last(setting)
        return _form_page(request, form, status=422, overwritten=form.overwritten, change=change)
    messages.success(request, " ".join(_sentences(setting, is_resumed=is_resumed)))
    return go_to(request, settings_url(setting))


def _sentences(setting: CallbackSetting, *, is_resumed: bool) -> Iterator[str]:
    """What to say of a callback that was saved."""
    yield _("%(callback)s saved.") % {"callback": setting}
    yield from (translated(repair.message) for repair in setting.repairs)
    if is_resumed:
        yield _("It was paused automatically. With the new URL it is active again.")
    elif not setting.is_active:
        yield _("It is still paused.")
    if setting.affiliate.status == Affiliate.Status.BLOCKED:
        yield _("Not sent while the affiliate is blocked.")
    elif setting.affiliate.status != Affiliate.Status.APPROVED:
        yield _("Not sent until the affiliate is approved.")


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
        problem = _("Nothing was sent. Correct the errors in the form first.")
        return _form_page(request, form, status=422, result=test_send.Result(problem))
    order = _orders_to_preview(request, setting.affiliate)[1]
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
        setting = setting_or_404(affiliate_id, event, pk, is_locked=is_locked)
    elif is_new:
        setting = None
    else:
        setting = callbacks_for(affiliate_id, event, is_locked=is_locked).first()
    if ("change" if setting else "add") not in allowed:
        raise PermissionDenied
    return setting or CallbackSetting(affiliate=affiliate, event=event)


def _form_page(request: HttpRequest, form: CallbackSettingForm, *, status: int = 200, **more: object) -> HttpResponse:
    """The form, on a page or alone, with what stands in it now."""
    setting = form.instance
    title = _("Setup %(event)s callback") % {"event": setting.get_event_display().lower()}
    context = context_of(request, setting, title) | {"form": form}
    template = "admin/callbacks/setup/form.html" if is_fetch(request) else "admin/callbacks/setup/page.html"
    return render(request, template, context | _previewed(request, form) | more, status=status)


def _previewed(request: HttpRequest, form: CallbackSettingForm) -> dict[str, object]:
    """What would be sent for the order that was chosen, else for the latest; without orders, for example values."""
    orders, order = _orders_to_preview(request, form.instance.affiliate)
    shown = {"orders": orders, "order": order, "affiliate": form.instance.affiliate}
    return shown | preview.of_form(form.typed, form.diagnosis.template, order)


def _orders_to_preview(request: HttpRequest, affiliate: Affiliate) -> tuple[list[Order], Order | None]:
    """The orders to choose from, none for who may not see orders, and the one that is chosen."""
    orders = preview.newest_orders(affiliate) if may_see(request, Order) else []
    chosen = request.POST.get("preview_order", "")
    return orders, next((order for order in orders if str(order.pk) == chosen), orders[0] if orders else None)
