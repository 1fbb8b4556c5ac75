"""The portal: an affiliate logs in and sees their own callbacks and deliveries. What can be changed here is how
often we write to them, and the language.

Every query starts from the affiliate whose portal it is (`viewing`), so another affiliate's delivery is a 404.
"""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import translation
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.i18n import set_language

from affiliates.models import Affiliate
from affiliates.portal.viewing import affiliate_of, for_affiliates, is_viewed
from callbacks.models import Delivery
from callbacks.reports import callback_health
from config.monitoring import mail, preferences

PAGE_SIZE = 25
SNIPPETS = settings.BASE_DIR / "templates" / "portal" / "verify"
VERIFYING = (  # language, file, and what to know of its libraries
    (
        "Python",
        "verify.py",
        _("Uses the standardwebhooks library. Keep json_parse=False: GET requests and forms are not JSON."),
    ),
    (
        "Node",
        "verify.mjs",
        _(
            "Needs no library. The standardwebhooks library also works, with { jsonParse: false } for GET requests and "
            "forms. The svix library parses every request as JSON: use it for POST with JSON only."
        ),
    ),
    ("PHP", "verify.php", _("Needs no library.")),
)


class PortalLoginForm(AuthenticationForm):
    """Asks for e-mail address and password; lets in affiliates only."""

    username = forms.CharField(
        label=_("E-mail address"),
        max_length=150,
        widget=forms.TextInput(
            attrs={"autofocus": True, "autocomplete": "username", "autocapitalize": "none", "inputmode": "email"}
        ),
        error_messages={"required": _("Enter your e-mail address.")},
    )
    error_messages = {  # noqa: RUF012 - as Django declares it
        "invalid_login": _(
            "Enter the e-mail address and password of your portal account. Passwords are case-sensitive."
        ),
        "inactive": _("This account is disabled. Contact the shop."),
    }

    def __init__(self, request: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        self.fields["password"].error_messages["required"] = _("Enter your password.")

    def clean_username(self) -> str:
        """The name as it is stored, in whatever case of letters it was typed."""
        typed = str(self.cleaned_data["username"])
        names = set(User.objects.filter(username__iexact=typed).values_list("username", flat=True)[:2])
        return names.pop() if len(names) == 1 else typed

    def confirm_login_allowed(self, user: AbstractBaseUser) -> None:
        super().confirm_login_allowed(user)  # type: ignore[arg-type]  # the stubs know no custom user models
        if affiliate_of(user) is None:
            raise ValidationError(_("This account has no access to the portal."), code="no_portal")


class PortalLogin(LoginView):
    template_name = "portal/login.html"
    authentication_form = PortalLoginForm

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        response = super().form_valid(form)
        mail.note_language(form.get_user(), translation.get_language())
        return response


def _page(request: HttpRequest, name: str, affiliate: Affiliate, context: dict[str, Any]) -> HttpResponse:
    return render(request, f"portal/{name}.html", {"affiliate": affiliate, "is_viewed": is_viewed(request)} | context)


def _deliveries_of(affiliate: Affiliate) -> QuerySet[Delivery]:
    """What was sent for their orders, without the merchant's tests, whose values may be made up."""
    return Delivery.objects.filter(affiliate=affiliate).exclude(origin=Delivery.Origin.TEST)


@require_safe
@for_affiliates
def home(request: HttpRequest, affiliate: Affiliate) -> HttpResponse:
    """The affiliate's callbacks with their health, and their deliveries, newest first."""
    deliveries = _deliveries_of(affiliate).select_related("setting").order_by("-pk")
    page = Paginator(deliveries, PAGE_SIZE).get_page(request.GET.get("page"))
    callbacks = callback_health.callbacks_of(affiliate)
    is_sent_to = affiliate.status == Affiliate.Status.APPROVED and any(callback.setting for callback in callbacks)
    return _page(request, "home", affiliate, {"callbacks": callbacks, "page": page, "is_sent_to": is_sent_to})


@require_safe
@for_affiliates
def delivery(request: HttpRequest, affiliate: Affiliate, pk: int) -> HttpResponse:
    """One delivery of this affiliate with all its attempts, newest first."""
    found = get_object_or_404(_deliveries_of(affiliate).select_related("order"), pk=pk)
    return _page(request, "delivery", affiliate, {"delivery": found, "attempts": found.attempts.order_by("-pk")})


@require_safe
@for_affiliates
def verify(request: HttpRequest, affiliate: Affiliate) -> HttpResponse:
    """How a receiver verifies our signature: what is signed, and code for it. No secret is shown."""
    snippets = [
        {"language": language, "note": note, "code": (SNIPPETS / name).read_text("utf-8").strip()}
        for language, name, note in VERIFYING
    ]
    return _page(request, "verify", affiliate, {"snippets": snippets})


@require_http_methods(["GET", "HEAD", "POST"])
@for_affiliates
def email_notifications(request: HttpRequest, affiliate: Affiliate) -> HttpResponse:
    """How often the affiliate is written to."""
    if preferences.save(request):
        return redirect("portal:email_notifications")
    context = preferences.context(request, affiliate.user)
    if affiliate.status != Affiliate.Status.APPROVED:
        context["is_written_to"] = False
    return _page(request, "email_notifications", affiliate, context)


@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return redirect("portal:login")


@require_POST
def language(request: HttpRequest) -> HttpResponse:
    """Keep the language chosen at the foot of a page: in a cookie, and for the e-mails to an affiliate."""
    chosen = request.POST.get("language", "")
    if chosen in dict(settings.LANGUAGES) and affiliate_of(request.user):
        mail.note_language(request.user, chosen)
    return set_language(request)
