"""The pages of the second factor and of the password again, in the admin: what `sign_in` leads people to."""

from collections.abc import Callable
from typing import Any

import django_otp
import segno
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods

from config.models import Authenticator, authenticator_of, is_required_of, is_verified, verify
from config.request import actor
from config.security import roles, security_log
from config.security.sign_in import PasswordAgainForm, ask_again, has_typed_password, next_of, password_again

WRONG = gettext_lazy("Wrong code, or it was used already. Enter the code that your app shows now.")
FEW_LEFT = 3  # recovery codes


class CodeForm(forms.Form):
    """Asks for a code of the user's authenticator, or with `confirmed=False` for the first one of a new one."""

    code = forms.CharField(
        label=gettext_lazy("Code"),
        max_length=64,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "autofocus": True, "spellcheck": "false", "autocapitalize": "none"}
        ),
    )

    def __init__(self, request: HttpRequest, *args: Any, confirmed: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request, self.confirmed = request, confirmed
        self.authenticator: Authenticator | None = None

    def clean_code(self) -> str:
        code = str(self.cleaned_data["code"])
        self.authenticator, is_right = verify(self.request.user, code, confirmed=self.confirmed)
        if not is_right:
            security_log.warn(self.request, "code_refused")
            raise forms.ValidationError(f"{WRONG} {self._wait()}".strip(), code="wrong_code")
        return code

    def _wait(self) -> str:
        failures = self.authenticator.throttling_failure_count if self.authenticator else 0
        if failures < 3:
            return ""
        waits = _("After %(count)d wrong codes you have to wait %(seconds)s seconds.")
        return waits % {"count": failures, "seconds": f"{2 ** (failures - 1):,}"}


# --- to log in -----------------------------------------------------------------------
@require_http_methods(["GET", "HEAD", "POST"])
def second_factor(request: HttpRequest) -> HttpResponse:
    """Ask for the code of somebody who has typed the password, at either door."""
    if not request.user.is_authenticated:
        return redirect("admin:login")
    if is_verified(request.user) or authenticator_of(request.user) is None:
        return redirect(next_of(request))
    form = CodeForm(request, request.POST or None)
    if request.method == "POST" and form.is_valid():
        authenticator = form.authenticator
        assert authenticator is not None
        django_otp.login(request, authenticator)
        request.session.cycle_key()
        user = actor(request)
        security_log.note(request, "log_in", about=user, says="Logged in, with a second factor.")
        if len(form.cleaned_data["code"]) > 8:
            left = len(authenticator.recovery_digests)
            used = ngettext(
                "You used a recovery code. %(count)d is left.", "You used a recovery code. %(count)d are left.", left
            )
            messages.warning(request, used % {"count": left})
        return redirect(next_of(request))
    context = {"form": form, "next": next_of(request), "site_header": admin.site.site_header}
    return render(request, "admin/second_factor.html", context | {"site_title": admin.site.site_title})


# --- one's own -----------------------------------------------------------------------
@require_http_methods(["GET", "HEAD", "POST"])
@password_again
def two_factor(request: HttpRequest) -> HttpResponse:
    """Set it up: begin, scan, type a first code, note the recovery codes. Later: new recovery codes, or turn it off."""
    user, action = actor(request), request.POST.get("action", "")
    authenticator = Authenticator.objects.filter(user=user).first()
    if authenticator is None or not authenticator.confirmed:
        if action == "begin":
            with transaction.atomic():
                Authenticator.objects.filter(user=user, confirmed=False).delete()
                Authenticator.objects.get_or_create(user=user, defaults={"confirmed": False, "name": "Authenticator"})
            return redirect(_own_page(request))
        if action == "confirm" and authenticator is not None:
            return _confirm(request, authenticator)
        return _own(request, authenticator)
    if action == "codes":
        with transaction.atomic():
            authenticator = Authenticator.objects.select_for_update().get(pk=authenticator.pk)
            codes = authenticator.make_recovery_codes()
            authenticator.save(update_fields=["recovery_digests"])
        security_log.note(request, "recovery_codes_made", about=user, says="Made new recovery codes.")
        return _codes(request, codes)
    if action == "remove":
        form = PasswordAgainForm(request, request.POST, prefix="own")
        if not form.is_valid():
            return _own(request, authenticator, form=form)
        _take_away(request, user)
        messages.success(request, _("Two-factor log-in is off. You now log in with your password only."))
        return redirect(_own_page(request))
    return _own(request, authenticator, form=PasswordAgainForm(request, prefix="own"))


def _confirm(request: HttpRequest, authenticator: Authenticator) -> HttpResponse:
    form = CodeForm(request, request.POST, confirmed=False)
    if not form.is_valid() or form.authenticator is None:
        return _own(request, authenticator, form=form)
    authenticator = form.authenticator
    authenticator.confirmed, codes = True, authenticator.make_recovery_codes()
    authenticator.save()
    django_otp.login(request, authenticator)
    request.session.cycle_key()
    user = actor(request)
    security_log.note(request, "two_factor_on", about=user, says="Turned two-factor log-in on.")
    return _codes(request, codes)


def _own(request: HttpRequest, authenticator: Authenticator | None, form: forms.Form | None = None) -> HttpResponse:
    is_on = authenticator is not None and authenticator.confirmed
    context = admin.site.each_context(request) | {
        "title": _("Two-factor log-in"),
        "authenticator": authenticator,
        "is_on": is_on,
        "is_required": is_required_of(request.user),
        "form": form,
        "next": request.GET.get("next", ""),
    }
    if authenticator is not None:
        if is_on:
            context["codes_left"] = len(authenticator.recovery_digests)
            context["has_few_left"] = context["codes_left"] <= FEW_LEFT
        else:
            context["form"] = form or CodeForm(request, confirmed=False)
            context["qr"] = _qr(authenticator.address)
            context["secret"] = " ".join(authenticator.secret[at : at + 4] for at in range(0, 32, 4))
    return render(request, "admin/two_factor.html", context)


def _codes(request: HttpRequest, codes: list[str]) -> HttpResponse:
    """The recovery codes, in this answer alone."""
    context = admin.site.each_context(request) | {
        "title": _("Recovery codes"),
        "codes": codes,
        "next": next_of(request),
    }
    return render(request, "admin/recovery_codes.html", context)


def _own_page(request: HttpRequest) -> str:
    asked = f"?{request.META['QUERY_STRING']}" if request.META.get("QUERY_STRING") else ""
    return reverse("admin:two_factor") + asked


def _qr(address: str) -> SafeString:
    """As an SVG without styles, which the content security policy would stop."""
    return mark_safe(segno.make(address, micro=False).svg_inline(scale=4, border=4, light="#fff"))  # noqa: S308 - segno's own


# --- somebody else's -------------------------------------------------------------------
@require_http_methods(["GET", "HEAD", "POST"])
@password_again
def take_away(request: HttpRequest, pk: int) -> HttpResponse:
    """An administrator takes the second factor of somebody who lost it."""
    if not request.user.has_perm(roles.ADMINISTRATION):
        raise PermissionDenied
    user = get_object_or_404(User, pk=pk)
    if request.method != "POST":
        context = admin.site.each_context(request) | {
            "title": _("Turn off two-factor log-in of %(name)s") % {"name": user},
            "account": user,
            "has_one": authenticator_of(user) is not None,
        }
        return render(request, "admin/auth/user/two_factor_off.html", context)
    if _take_away(request, user):
        messages.success(request, _("%(name)s now logs in with the password only.") % {"name": user})
    return redirect("admin:auth_user_change", pk)


def _take_away(request: HttpRequest, user: User) -> bool:
    count, _deleted = Authenticator.objects.filter(user=user).delete()
    if count:
        security_log.note(request, "two_factor_off", about=user, says="Turned two-factor log-in off.")
    return bool(count)


# --- the password again ------------------------------------------------------------------
@require_http_methods(["GET", "HEAD", "POST"])
def confirm_password(request: HttpRequest) -> HttpResponse:
    form = PasswordAgainForm(request, request.POST if "password_again" in request.POST else None)
    if form.is_valid() or (has_typed_password(request) and not form.is_bound):
        return redirect(next_of(request))
    return ask_again(request, form)


def urls(view: Callable[..., Any]) -> list[URLPattern]:
    """Those of the site whose `admin_view` is given."""
    return [
        path("second-factor/", second_factor, name="second_factor"),
        path("two-factor/", view(two_factor), name="two_factor"),
        path("confirm-password/", view(confirm_password), name="confirm_password"),
        path("auth/user/<int:pk>/two-factor/", view(take_away), name="auth_user_two_factor"),
    ]
