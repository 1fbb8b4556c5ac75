"""The test in a callback's form: what was typed is sent once, for real; nothing of it is saved.

A page that works by itself, as the form's other buttons do. A script that asks with `X-Requested-With: fetch` gets the
result alone, and the form where something is wrong with it (422). 429 means that there were too many tests.
"""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from affiliates.models import Affiliate
from callbacks.models import CallbackSetting, EventType, audit
from callbacks.setup import test_send, views
from callbacks.setup.forms import CallbackSettingForm
from config.request import actor, is_fetch


@require_http_methods(["GET", "HEAD", "POST"])
@views.may("add", "change")
def send_test(request: HttpRequest, affiliate_id: int, event: EventType, pk: int | None = None) -> HttpResponse:
    """Send what stands in the form and show what came of it. Whoever comes back by the address gets the form."""
    affiliate = get_object_or_404(Affiliate, pk=affiliate_id)
    setting = CallbackSetting(affiliate=affiliate, event=event)
    if pk:
        setting = get_object_or_404(affiliate.callback_settings.select_related("affiliate"), pk=pk, event=event)
    if not request.user.has_perm(f"callbacks.{'change' if pk else 'add'}_callbacksetting"):
        raise PermissionDenied
    if request.method != "POST":
        return redirect("callbacks:set-up", affiliate.pk, event, *([pk] if pk else []))
    form = CallbackSettingForm(request.POST, instance=setting)
    if not form.is_valid():
        trial = test_send.Trial(problem="Nothing was sent: something in the form has to be put right first.")
        return views.form_page(request, setting, form, status=422, trial=trial)
    _, order = views.orders_to_preview(request, affiliate)
    trial = test_send.send(form.instance, order, actor(request).pk)
    if trial.attempt:
        audit.note_tested(trial.attempt.delivery, actor(request))
    status = 429 if trial.is_too_many else 200
    if is_fetch(request):
        return render(request, "admin/callbacks/setup/test.html", {"trial": trial, "setting": setting}, status=status)
    return views.form_page(request, setting, form, status=status, trial=trial)
