"""The portal: an affiliate signs in and sees their own callback settings and deliveries. All that can be
changed here is how often they are written to.

Every query starts from the affiliate who is signed in, so another affiliate's delivery is a 404.
"""

from collections.abc import Callable
from functools import wraps

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import LoginView
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.i18n import set_language

from affiliates.models import Affiliate
from callbacks.models import Delivery
from callbacks.reports import callback_health
from config.monitoring import preferences

PAGE_SIZE = 25
SNIPPETS = settings.BASE_DIR / "templates" / "portal" / "verify"
VERIFYING = (  # language, file, and what to know of its libraries
    (
        "Python",
        "verify.py",
        "With the library standardwebhooks. json_parse=False is needed for GET and for forms, which are no JSON.",
    ),
    (
        "Node",
        "verify.mjs",
        (
            "Without a library. The library standardwebhooks does it too, with { jsonParse: false } for GET and for "
            "forms. The library svix reads everything as JSON: use it for POST with JSON only."
        ),
    ),
    ("PHP", "verify.php", "Without a library."),
)


def _affiliate_of(user: AbstractBaseUser | AnonymousUser) -> Affiliate | None:
    affiliate = Affiliate.objects.filter(user=user.pk).first() if user.is_authenticated else None
    return affiliate if affiliate and affiliate.status != Affiliate.Status.BLOCKED else None


class PortalLoginForm(AuthenticationForm):
    """Asks for e-mail and password; lets in affiliates only."""

    def confirm_login_allowed(self, user: AbstractBaseUser) -> None:
        super().confirm_login_allowed(user)  # type: ignore[arg-type]  # the stubs know no custom user models
        if _affiliate_of(user) is None:
            raise ValidationError("This account has no affiliate portal.", code="no_portal")


class PortalLogin(LoginView):
    template_name = "portal/login.html"
    authentication_form = PortalLoginForm


def for_affiliates(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Hand `view` the affiliate who is signed in; everybody else is sent to the portal's sign-in."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        affiliate = _affiliate_of(request.user)
        if affiliate is None:
            return redirect("portal:login")
        return view(request, affiliate, *args, **kwargs)

    return never_cache(wrapped)


def _deliveries_of(affiliate: Affiliate) -> QuerySet[Delivery]:
    """What was sent for their orders, without the merchant's tests, whose values may be made up."""
    return Delivery.objects.filter(affiliate=affiliate).exclude(origin=Delivery.Origin.TEST)


@require_safe
@for_affiliates
def home(request: HttpRequest, affiliate: Affiliate) -> HttpResponse:
    """The affiliate's callbacks with their health, and their deliveries, newest first."""
    deliveries = _deliveries_of(affiliate).select_related("setting").order_by("-pk")
    page = Paginator(deliveries, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"affiliate": affiliate, "callbacks": callback_health.callbacks_of(affiliate), "page": page}
    return render(request, "portal/home.html", context)


@require_safe
@for_affiliates
def delivery(request: HttpRequest, affiliate: Affiliate, pk: int) -> HttpResponse:
    """One delivery of this affiliate with all its attempts, newest first."""
    found = get_object_or_404(_deliveries_of(affiliate).select_related("order"), pk=pk)
    attempts = found.attempts.order_by("-pk")
    return render(request, "portal/delivery.html", {"affiliate": affiliate, "delivery": found, "attempts": attempts})


@require_safe
@for_affiliates
def verify(request: HttpRequest, affiliate: Affiliate) -> HttpResponse:
    """How a receiver verifies our signature: what is signed, and code for it. No secret is shown."""
    snippets = [
        {"language": language, "note": note, "code": (SNIPPETS / name).read_text("utf-8").strip()}
        for language, name, note in VERIFYING
    ]
    return render(request, "portal/verify.html", {"affiliate": affiliate, "snippets": snippets})


@require_http_methods(["GET", "HEAD", "POST"])
@for_affiliates
def email_notifications(request: HttpRequest, affiliate: Affiliate) -> HttpResponse:
    """How often the affiliate is written to."""
    if preferences.save(request):
        return redirect("portal:email_notifications")
    context = {"affiliate": affiliate} | preferences.context(request)
    return render(request, "portal/email_notifications.html", context)


@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return redirect("portal:login")


@require_POST
def language(request: HttpRequest) -> HttpResponse:
    """Keep the language that was chosen at the foot of a page, in a cookie."""
    return set_language(request)
