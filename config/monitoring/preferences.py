"""How often somebody is written to: the page in the panel, and the parts of the same page in the portal."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from config.models import EmailChoice
from config.monitoring import mail
from config.request import actor

When = EmailChoice.When


def _choices() -> list[tuple[str, str]]:
    at = f"{mail.SUMMARY_AT:%H:%M} {timezone.get_default_timezone_name()}"
    return [
        (When.AT_ONCE, _("Immediately, one e-mail for each change")),
        (When.DAILY, _("Daily summary at %(time)s, if something changed") % {"time": at}),
        (When.NEVER, _("Never")),
    ]


class EmailChoiceForm(forms.Form):
    when = forms.ChoiceField(label=gettext_lazy("How often"), choices=_choices, widget=forms.RadioSelect)


def save(request: HttpRequest) -> bool:
    """Whether a choice was sent with this request, and is kept now."""
    form = EmailChoiceForm(request.POST)
    if request.method != "POST" or not form.is_valid():
        return False
    mail.choose(request.user, form.cleaned_data["when"])
    messages.success(request, _("Saved."))
    return True


def context(request: HttpRequest, user: Any) -> dict[str, Any]:
    """What `theme/email_choice.html` shows of this user, who may be None, and whether they are written to."""
    choice = mail.choice_of(user) if user else When.AT_ONCE
    is_sent = request.method == "POST"
    return {
        "form": EmailChoiceForm(request.POST) if is_sent else EmailChoiceForm(initial={"when": choice}),
        "address": user.email if user else "",
        "is_email_on": bool(settings.EMAIL_URL),
        "is_written_to": bool(settings.EMAIL_URL and user and user.email) and choice != When.NEVER,
    }


@require_http_methods(["GET", "HEAD", "POST"])
def email_notifications(request: HttpRequest) -> HttpResponse:
    """One's own choice, in the panel."""
    if save(request):
        return redirect("admin:email_notifications")
    page = admin.site.each_context(request) | {"title": _("E-mail notifications")} | context(request, actor(request))
    return render(request, "admin/email_notifications.html", page)


def urls(view: Callable[..., Any]) -> list[URLPattern]:
    """Those of the site whose `admin_view` is given."""
    return [path("email-notifications/", view(email_notifications), name="email_notifications")]
