"""Whose portal a request opens: that of the affiliate who is logged in, or the one that a member of staff looks at.

Staff only look: every other method is refused, and nobody is signed in as somebody else. Each page is noted.
"""

from collections.abc import Callable
from functools import wraps

from django.contrib import admin
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from affiliates.models import Affiliate
from config.request import actor
from config.security import security_log

NEEDED = ("affiliates.view_affiliate", "callbacks.view_delivery")
VIEWED = "portals_viewed"  # in the session of staff: the affiliates whose history says so already


def affiliate_of(user: AbstractBaseUser | AnonymousUser) -> Affiliate | None:
    """The affiliate whose portal this user may open."""
    affiliate = Affiliate.objects.filter(user=user.pk).first() if user.is_authenticated else None
    return affiliate if affiliate and affiliate.status != Affiliate.Status.BLOCKED else None


def for_affiliates(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Hand `view` the affiliate whose portal it is; everybody else is sent to a log-in.

    An address with `viewed`, the key of an affiliate, is for staff.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, *args: object, viewed: int | None = None, **kwargs: object) -> HttpResponse:
        if viewed is not None:
            return _viewed_by_staff(view, request, viewed, *args, **kwargs)
        affiliate = affiliate_of(request.user)
        if affiliate is None:
            return redirect("portal:login")
        return view(request, affiliate, *args, **kwargs)

    return wrapped


def is_viewed(request: HttpRequest) -> bool:
    """Whether a member of staff views the portal as an affiliate."""
    return request.resolver_match is not None and "viewed" in request.resolver_match.kwargs


def _viewed_by_staff(
    view: Callable[..., HttpResponse], request: HttpRequest, viewed: int, *args: object, **kwargs: object
) -> HttpResponse:
    if not admin.site.has_permission(request):
        return redirect_to_login(request.get_full_path(), reverse("admin:login"))
    if not actor(request).has_perms(NEEDED):
        raise PermissionDenied
    if request.method not in {"GET", "HEAD"}:
        return HttpResponseNotAllowed(["GET", "HEAD"])
    affiliate = get_object_or_404(Affiliate.objects.select_related("user"), pk=viewed)
    noted = request.session.get(VIEWED, [])
    # Once a session in the history, which nobody reads if it has a line for each page.
    says = "" if affiliate.pk in noted else "Viewed the portal as this affiliate."
    security_log.note(request, "portal_viewed", about=affiliate, says=says)
    if says:
        request.session[VIEWED] = [*noted, affiliate.pk]
    return view(request, affiliate, *args, **kwargs)
