"""Who gets in, and for how long: the throttle of log-ins, the end of idle sessions, the second factor, and the password
that is asked for again.

The pages of the second factor are `two_factor`. What happens is noted in `security_log`.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from axes.attempts import get_cool_off_threshold
from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from axes.signals import user_locked_out
from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm, AdminPasswordChangeForm
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models import Sum
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from config.models import authenticator_of, is_required_of, is_verified
from config.request import actor, client_address, is_fetch, is_shared_address
from config.security import security_log

View = Callable[..., HttpResponseBase]


class PasswordHasher(Argon2PasswordHasher):
    """Argon2id with OWASP's parameters. Django's take 100 MiB for each log-in that is tried at the same time."""

    memory_cost, time_cost, parallelism = 19456, 2, 1


# --- too many wrong passwords ----------------------------------------------------
FAILURES_OF_ADDRESS = 50  # of all names together; AXES_FAILURE_LIMIT is that of one name


class LogInThrottle(AxesDatabaseHandler):  # type: ignore[misc]  # django-axes brings no types
    """Counts the failures of a name from an address, as AXES_LOCKOUT_PARAMETERS says, and all from that address.

    A name alone is never locked, so that nobody can lock its owner out from elsewhere.
    """

    def user_login_failed(self, sender: Any, credentials: Any, request: Any = None, **kwargs: Any) -> None:
        """Axes would keep all that was sent: on the page that asks again for the password, somebody's new one, too."""
        if request is None:
            return
        sent, request.POST = request.POST, QueryDict()
        try:
            super().user_login_failed(sender, credentials, request, **kwargs)
        finally:
            request.POST = sent

    def get_failures(self, request: Any, credentials: dict[str, Any] | None = None) -> int:
        """The failures of the name; if the address is nearer to its own limit, as much of the name's limit."""
        count = int(super().get_failures(request, credentials))
        if is_shared_address(request):
            return count
        recent = AccessAttempt.objects.filter(
            ip_address=request.axes_ip_address, attempt_time__gte=get_cool_off_threshold(request)
        )
        of_address = recent.aggregate(n=Sum("failures_since_start"))["n"] or 0
        return max(count, of_address * settings.AXES_FAILURE_LIMIT // FAILURES_OF_ADDRESS)


def name_to_count(request: HttpRequest, credentials: Any = None) -> str:
    """The name that the throttle counts: of what was typed, as much as its column takes."""
    return str((credentials or request.POST).get("username") or "")[:255]


# --- noted -------------------------------------------------------------------------
@receiver(user_logged_in)
def _logged_in(request: HttpRequest, user: User, **kwargs: object) -> None:
    request.session[CONFIRMED_AT] = time.time()
    if not request.path:  # by a program
        return
    if authenticator_of(user):
        security_log.note(request, "password_right", by=user, next="second_factor")
    else:
        security_log.note(request, "log_in", by=user, about=user, says="Logged in.")


@receiver(user_logged_out)
def _logged_out(request: HttpRequest, user: User | None, **kwargs: object) -> None:
    if user is not None:
        security_log.note(request, "log_out", by=user)


@receiver(user_login_failed)
def _refused(credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: object) -> None:
    if request is None:
        return
    name = str(credentials.get("username") or "")
    if _was_locked(request):  # a line only: the history would hold as many as anybody likes to try
        security_log.warn(request, "log_in_refused", reason="locked")
    else:
        _note_about_name(request, "log_in_refused", name, "Log-in with a wrong password", reason="wrong_password")


@receiver(user_locked_out)
def _locked(request: HttpRequest, username: str | None, **kwargs: object) -> None:
    if _was_locked(request):
        return
    minutes = round(settings.AXES_COOLOFF_TIME * 60)
    says = f"Locked for {minutes} minutes after too many wrong passwords"
    _note_about_name(request, "log_in_locked", username or "", says, minutes=minutes)


def _was_locked(request: HttpRequest) -> bool:
    """Whether it was locked before this log-in, of which axes has then counted no failure."""
    return getattr(request, "axes_locked_out", False) and getattr(request, "axes_failures_since_start", None) is None


def _note_about_name(request: HttpRequest, event: str, name: str, says: str, **facts: object) -> None:
    user = User.objects.filter(username=name).first() if name and "\0" not in name else None
    address = client_address(request) or "an unknown address"
    security_log.warn(request, event, about=user, by=user, says=f"{says}, from {address}.", **facts)


# --- the end of idle sessions --------------------------------------------------------
STAFF_IDLE = timedelta(hours=12)
NOTED_EVERY_S = 60.0  # how exact that is; each time costs a write
SEEN_AT = "seen_at"  # in the session of staff


def idle_staff(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """End a session of staff after twelve hours without a request. What a page asks for by itself is none."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        is_by_itself = is_fetch(request) and request.method == "GET"
        if not is_by_itself and time.time() - request.session.get(SEEN_AT, 0.0) > NOTED_EVERY_S:
            _note_seen(request, request.user)
        return get_response(request)

    return middleware


@receiver(user_logged_in)
def _note_seen(request: HttpRequest, user: Any, **kwargs: object) -> None:
    """From now on the session lasts for twelve hours, if it is one of staff."""
    if user.is_authenticated and user.is_staff:
        request.session[SEEN_AT] = time.time()
        request.session.set_expiry(STAFF_IDLE)


# --- the second factor -------------------------------------------------------------
# What somebody may open who has typed the password and no code yet; for whom a second factor is required and who has
# none yet, the pages on which it is set up as well.
OPEN = frozenset(
    {
        "admin:login",
        "admin:logout",
        "admin:second_factor",
        "portal:login",
        "portal:logout",
        "portal:language",
        "healthz",
        "readyz",
        "status",
    }
)
OPEN_TO_SET_UP = OPEN | {"admin:two_factor", "admin:confirm_password"}


class SecondFactorMiddleware:
    """Lets nobody in by the password alone who has a second factor, or who must have one: whatever the page, it leads
    to the one that asks for the code. Notes every 403, too.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if response.status_code == 403:
            security_log.warn(request, "forbidden", method=request.method)
        return response

    def process_view(
        self, request: HttpRequest, view: View, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> HttpResponseBase | None:
        name = request.resolver_match.view_name if request.resolver_match else ""
        if name in OPEN or not request.user.is_authenticated or is_verified(request.user):
            return None
        if authenticator_of(request.user):
            return _lead_to("admin:second_factor", request)
        if is_required_of(request.user) and name not in OPEN_TO_SET_UP:
            return _lead_to("admin:two_factor", request)
        return None


def _lead_to(name: str, request: HttpRequest) -> HttpResponse:
    """To a page from which one comes back to where one wanted to go; after a POST, to where that came from."""
    target = request.get_full_path() if request.method in {"GET", "HEAD"} else ""
    return redirect(f"{reverse(name)}?{urlencode({'next': target})}" if target else reverse(name))


def next_of(request: HttpRequest) -> str:
    """The address on this site that a page was told to go on to; else the overview."""
    target = request.POST.get("next") or request.GET.get("next") or ""
    is_ours = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
    return target if is_ours and target.startswith("/") else reverse("admin:index")


# --- the password again ------------------------------------------------------------
CONFIRMED_AT = "password_typed_at"  # in the session
CONFIRMED_FOR_S = 15 * 60


class PasswordAgainForm(forms.Form):
    """Asks the user who is signed in for the password; wrong ones count as those of a log-in."""

    password_again = forms.CharField(
        label=gettext_lazy("Password"),
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        if not self.prefix:  # it is all that its page asks for
            self.fields["password_again"].widget.attrs["autofocus"] = True

    def clean_password_again(self) -> str:
        password = str(self.cleaned_data["password_again"])
        if not is_own_password(self.request, password):
            raise forms.ValidationError(_("Wrong password."), code="wrong_password")
        self.request.session[CONFIRMED_AT] = time.time()
        return password


def is_own_password(request: HttpRequest, password: str) -> bool:
    """Whether it is that of the user who is signed in. A wrong one counts as one of a log-in."""
    user = actor(request)
    found = authenticate(request, username=user.get_username(), password=password)
    return found is not None and found.pk == user.pk


class LoginForm(AdminAuthenticationForm):
    """Django's, with an error that says what to check."""

    error_messages = AdminAuthenticationForm.error_messages | {
        "invalid_login": gettext_lazy(
            "Wrong username or password, or this account cannot use the panel. Upper and lower case letters matter."
        )
    }


class NewPasswordForm(AdminPasswordChangeForm):
    """Asks for one's own current password and a new one."""

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        self.fields["old_password"].label = _("Current password")
        self.fields["new_password2"].label = _("Repeat new password")
        self.fields["new_password2"].help_text = ""

    def clean_old_password(self) -> str:
        if not is_own_password(self.request, str(self.cleaned_data["old_password"])):
            raise forms.ValidationError(_("Wrong password."), code="password_incorrect")
        return str(self.cleaned_data["old_password"])


def has_typed_password(request: HttpRequest) -> bool:
    """Whether the user typed the password in the last 15 minutes, to log in or when asked again."""
    seconds = time.time() - float(request.session.get(CONFIRMED_AT, 0))
    return 0 <= seconds < CONFIRMED_FOR_S


def password_again(view: View) -> View:
    """Let members of staff through to `view` who typed their password in the last 15 minutes; ask the others for it.

    Afterwards they are where they wanted to go. What they sent by POST is kept in the page that asks, and then sent on.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        if has_typed_password(request) or not getattr(request.user, "is_staff", False):
            return view(request, *args, **kwargs)
        if request.method != "POST":
            return _lead_to("admin:confirm_password", request)
        form = PasswordAgainForm(request, request.POST if "password_again" in request.POST else None)
        if form.is_valid():
            kept = request.POST.copy()
            del kept["password_again"]
            request.POST = kept  # type: ignore[assignment]  # Django's own setter
            return view(request, *args, **kwargs)
        return ask_again(request, form, status=422 if is_fetch(request) else 200)

    return wrapped


def ask_again(request: HttpRequest, form: PasswordAgainForm, status: int = 200) -> HttpResponse:
    """The page that asks for the password; a script gets the form alone, for the window that is open."""
    left_out = {"csrfmiddlewaretoken", "password_again"}
    context = admin.site.each_context(request) | {
        "title": _("Confirm your password"),
        "form": form,
        "kept": [(name, value) for name, values in request.POST.lists() if name not in left_out for value in values],
        "back": reverse("admin:index"),
    }
    name = "password_again_form.html" if is_fetch(request) else "password_again.html"
    response = render(request, f"admin/{name}", context, status=status)
    add_never_cache_headers(response)
    return response
