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
from django.views.decorators.http import require_http_methods

from config.models import EmailChoice
from config.monitoring import mail
from config.request import actor

When = EmailChoice.When


def _choices() -> list[tuple[str, str]]:
    zone = timezone.get_default_timezone_name()
    return [
        (When.AT_ONCE, "At once, one e-mail for each change"),
        (When.DAILY, f"One summary a day, at {mail.SUMMARY_AT:%H:%M} {zone}, if something changed"),
        (When.NEVER, "Never"),
    ]


class EmailChoiceForm(forms.Form):
    when = forms.ChoiceField(label="How often", choices=_choices, widget=forms.RadioSelect)


def save(request: HttpRequest) -> bool:
    """Whether a choice was sent with this request, and is kept now."""
    form = EmailChoiceForm(request.POST)
    if request.method != "POST" or not form.is_valid():
        return False
    mail.choose(request.user, form.cleaned_data["when"])
    messages.success(request, "Saved.")
    return True


def context(request: HttpRequest) -> dict[str, Any]:
    """What `theme/email_choice.html` shows."""
    user = actor(request)
    is_sent = request.method == "POST"
    form = EmailChoiceForm(request.POST) if is_sent else EmailChoiceForm(initial={"when": mail.choice_of(user)})
    return {"form": form, "address": user.email, "is_email_on": bool(settings.EMAIL_URL)}


@require_http_methods(["GET", "HEAD", "POST"])
def email_notifications(request: HttpRequest) -> HttpResponse:
    """One's own choice, in the panel."""
    if save(request):
        return redirect("admin:email_notifications")
    page = admin.site.each_context(request) | {"title": "E-mail notifications"} | context(request)
    return render(request, "admin/email_notifications.html", page)


def urls(view: Callable[..., Any]) -> list[URLPattern]:
    """Those of the site whose `admin_view` is given."""
    return [path("email-notifications/", view(email_notifications), name="email_notifications")]
