"""The tabs of an affiliate's profile beside its form: links, orders, settings with the portal login, reconciliation."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.db import IntegrityError
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from affiliates import filters, search
from affiliates.forms import CouponsForm, PortalPasswordForm
from affiliates.models import Affiliate
from affiliates.portal import access
from affiliates.profile import facts
from callbacks.reports.reconciliation import HEADINGS, Month, csv_rows, reconcile
from config.listing.csv_download import csv_response
from config.listing.keys import key_in
from config.request import actor, allow_going_back, go_to, is_fetch, may_see
from config.security import security_log
from config.security.sign_in import password_again

PAGE_SIZE = 25
MOST_SHOWN = 200  # characters of codes in a message
Tab = Callable[[HttpRequest, Affiliate], HttpResponseBase]
View = Callable[..., HttpResponseBase]


def for_staff(is_permitted: Callable[[HttpRequest], bool]) -> Callable[[Tab], View]:
    """Hand a view the affiliate of its path, and let only those through for whom `is_permitted` holds."""

    def decorate(view: Tab) -> View:
        @wraps(view)
        def wrapped(request: HttpRequest, pk: int) -> HttpResponseBase:
            if not is_permitted(request):
                raise PermissionDenied
            try:
                return view(request, get_object_or_404(Affiliate.objects.select_related("user"), pk=pk))
            except Affiliate.DoesNotExist as error:  # somebody deleted it meanwhile
                raise Http404 from error

        return wrapped

    return decorate


def _may_change(request: HttpRequest) -> bool:
    return request.user.has_perm("affiliates.change_affiliate")


def _may_reconcile(request: HttpRequest) -> bool:
    return may_see(request, Affiliate) and request.user.has_perm("callbacks.view_delivery")


for_viewers = for_staff(lambda request: may_see(request, Affiliate))


def context_of(request: HttpRequest, affiliate: Affiliate, tab: str) -> dict[str, Any]:
    """The context of a tab: the head of the profile, and what every page of the admin needs."""
    return admin.site.each_context(request) | profile_of(affiliate, tab) | {"title": affiliate.name}


def profile_of(affiliate: Affiliate, tab: str) -> dict[str, Any]:
    """The head of the profile."""
    return {"affiliate": affiliate, "facts": facts.facts_of(affiliate), "tab": tab}


@require_safe
@for_viewers
def links(request: HttpRequest, affiliate: Affiliate) -> HttpResponse:
    rows = affiliate.links.annotate(order_count=Count("orders")).order_by("-pk")
    context = context_of(request, affiliate, "links") | {
        "page": _page(request, rows),
        "parameter": django_settings.REFERRAL_PARAMETERS[0],
    }
    return render(request, "admin/affiliates/affiliate/links.html", context)


@require_safe
@for_viewers
def orders(request: HttpRequest, affiliate: Affiliate) -> HttpResponse:
    rows = affiliate.orders.order_by("-pk")
    context = context_of(request, affiliate, "orders") | {"page": _page(request, rows)}
    return render(request, "admin/affiliates/affiliate/orders.html", context)


def _is_fixed(spec: Any) -> bool:
    """Hide the filter by affiliate; says whether it is that one."""
    if isinstance(spec, filters.AffiliateFilter):
        spec.is_fixed = True
    return isinstance(spec, filters.AffiliateFilter)


def _may_see_log(request: HttpRequest) -> bool:
    may = request.user.has_perm
    return may_see(request, Affiliate) and (may("callbacks.view_delivery") or may("callbacks.resend_delivery"))


@require_http_methods(["GET", "HEAD", "POST"])
@for_staff(_may_see_log)
def deliveries(request: HttpRequest, affiliate: Affiliate) -> HttpResponse:
    """The list of deliveries, with its filters and actions, for this affiliate alone."""
    query = request.GET.copy()
    query[filters.AFFILIATE] = str(affiliate.pk)
    query.pop(filters.TYPED, None)
    request.GET = query  # type: ignore[assignment]  # the stubs know the one that cannot be changed
    log = admin.site.get_model_admin(apps.get_model("callbacks", "Delivery"))
    response = log.changelist_view(request, profile_of(affiliate, "deliveries"))
    if isinstance(response, TemplateResponse) and response.context_data:
        listed = response.context_data["cl"]
        listed.has_active_filters = any(spec.used_parameters for spec in listed.filter_specs if not _is_fixed(spec))
        response.template_name = "admin/affiliates/affiliate/deliveries.html"
    return response


@require_safe
@for_viewers
def settings(request: HttpRequest, affiliate: Affiliate) -> HttpResponse:
    return _settings(request, affiliate, CouponsForm(affiliate))


def _settings(request: HttpRequest, affiliate: Affiliate, coupons_form: CouponsForm) -> HttpResponse:
    context = context_of(request, affiliate, "settings") | {
        "coupons_form": coupons_form,
        "may_change": _may_change(request),
        "may_set_password": _may_set_password(request, affiliate),
        "parameter": django_settings.REFERRAL_PARAMETERS[0],
        "written_address": access.written_address(affiliate),
        "portal_url": request.build_absolute_uri(reverse("portal:home")),
    }
    status = 422 if coupons_form.is_bound else 200
    return render(request, "admin/affiliates/affiliate/settings.html", context, status=status)


@require_POST
@for_staff(_may_change)
def coupons(request: HttpRequest, affiliate: Affiliate) -> HttpResponse:
    """Add what was typed; what is refused stays in its field."""
    form = CouponsForm(affiliate, request.POST)
    try:
        added = form.save() if form.is_valid() else []
    except IntegrityError:  # somebody else has just added one: now the form says so
        form = CouponsForm(affiliate, request.POST)
        added = []
    if not added:
        response = _settings(request, affiliate, form)
        allow_going_back(response)
        return response
    codes = ", ".join(coupon.code for coupon in added)
    _note(request, affiliate, f"Coupons added: {codes}.")
    messages.success(request, _("Added: %(codes)s.") % {"codes": Truncator(codes).chars(MOST_SHOWN)})
    return redirect(_coupons_url(affiliate))


@require_POST
@for_staff(_may_change)
def coupon_remove(request: HttpRequest, affiliate: Affiliate) -> HttpResponse:
    """Orders that came with it stay the affiliate's."""
    key = key_in(request.POST.get("coupon", ""))
    coupon = None if key is None else affiliate.coupons.filter(pk=key).first()
    if coupon is not None:
        coupon.delete()
        _note(request, affiliate, f"Coupon removed: {coupon.code}.")
        messages.success(request, _("%(code)s removed. Its past orders stay as they are.") % {"code": coupon.code})
    return redirect(_coupons_url(affiliate))


def _note(request: HttpRequest, affiliate: Affiliate, says: str) -> None:
    LogEntry.objects.log_actions(actor(request).pk, [affiliate], CHANGE, says, single_object=True)


def _coupons_url(affiliate: Affiliate) -> str:
    return f"{affiliate.settings_url}#coupons"


@require_safe
def suggest(request: HttpRequest) -> HttpResponse:
    """Suggestions for a field in which an affiliate is typed."""
    if not may_see(request, Affiliate):
        raise PermissionDenied
    found = search.suggest(request.GET.get("q", "")[: search.MAX_LENGTH])
    return JsonResponse({"found": [search.label_of(affiliate) for affiliate in found]})


@require_safe
@for_staff(_may_reconcile)
def reconciliation(request: HttpRequest, affiliate: Affiliate) -> HttpResponse:
    """What became of the orders of one month."""
    month, newest = _month(request), Month.of(timezone.now())
    context = context_of(request, affiliate, "reconciliation") | {
        "reconciliation": reconcile(affiliate, month),
        "older": month.before if month.begins_at > affiliate.created_at else None,
        "newer": month.after if month.begins_at < newest.begins_at else None,
    }
    return render(request, "admin/affiliates/affiliate/reconciliation.html", context)


@require_safe
@for_staff(_may_reconcile)
def reconciliation_export(request: HttpRequest, affiliate: Affiliate) -> HttpResponseBase:
    """The same as CSV, order by order."""
    month = _month(request)
    security_log.note(
        request, "export", about=affiliate, says=f"Exported the reconciliation of {month}.", what="reconciliation"
    )
    filename = f"reconciliation-{affiliate.code}-{month}.csv".replace("~", "-")
    return csv_response(filename, HEADINGS, csv_rows(affiliate, month))


def _month(request: HttpRequest) -> Month:
    """The month that the address names; the current one if it names none."""
    return Month.named(request.GET.get("month", "")) or Month.of(timezone.now())


@require_http_methods(["GET", "HEAD", "POST"])
@password_again
@for_staff(_may_change)
def portal_password(request: HttpRequest, affiliate: Affiliate) -> HttpResponse:
    """Make a login for the affiliate's portal, or give it another password."""
    if not _may_set_password(request, affiliate):
        raise PermissionDenied
    is_new = affiliate.user is None
    form = PortalPasswordForm(affiliate, request.POST or None)
    if request.method == "POST" and form.is_valid() and form.save(actor(request)):
        says = "Gave portal access." if is_new else "Changed the portal password."
        security_log.note(request, "portal_password_set", about=affiliate, says=says)
        given, changed = (
            _("%(name)s can now log in to the portal as %(email)s."),
            _("Portal password of %(name)s changed."),
        )
        messages.success(request, (given if is_new else changed) % {"name": affiliate, "email": affiliate.email})
        return go_to(request, _portal_access_url(affiliate))
    context = _portal_context(request, affiliate) | {"title": _("Set portal password"), "form": form}
    name = "portal_form.html" if is_fetch(request) else "portal.html"
    status = 422 if form.is_bound else 200
    return render(request, f"admin/affiliates/affiliate/{name}", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@password_again
@for_staff(_may_change)
def portal_off(request: HttpRequest, affiliate: Affiliate) -> HttpResponse:
    """Ask for confirmation, then delete the affiliate's login."""
    if affiliate.user is None:
        return redirect(_portal_access_url(affiliate))
    if request.method == "POST":
        access.revoke(affiliate)
        security_log.note(request, "portal_access_taken", about=affiliate, says="Turned portal access off.")
        messages.success(request, _("%(name)s can no longer log in to the portal.") % {"name": affiliate})
        return go_to(request, _portal_access_url(affiliate))
    context = _portal_context(request, affiliate) | {"title": _("Turn off portal access")}
    return render(request, "admin/affiliates/affiliate/portal_off.html", context)


def _may_set_password(request: HttpRequest, affiliate: Affiliate) -> bool:
    return isinstance(request.user, User) and access.may_be_managed_by(request.user, affiliate)


def _portal_context(request: HttpRequest, affiliate: Affiliate) -> dict[str, Any]:
    return admin.site.each_context(request) | {"affiliate": affiliate, "back": _portal_access_url(affiliate)}


def _page(request: HttpRequest, rows: "QuerySet[Any]") -> "Page[Any]":
    return Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))


def _portal_access_url(affiliate: Affiliate) -> str:
    return f"{affiliate.settings_url}#portal-access"
