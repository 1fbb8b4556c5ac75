"""The admin site of this project, in the place of Django's: its navigation and its overview.

What stands on an app's pages is said by the app's own `admin` module.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth.views import LogoutView
from django.db.models import Count
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from affiliates.models import Affiliate
from callbacks.models import CallbackSetting, Delivery
from orders.models import Order

DAY = timedelta(hours=24)
# How far back the overview and the sidebar look, in deliveries: by primary key, so that it costs the same with ten
# million of them.
LATEST = 5000


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the navigation."""

    label: str
    url: str
    icon: str
    is_current: bool = False
    badge: int = 0
    badge_title: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    items: tuple[Item, ...]


# Section, and its lines: label, icon, permission, name of the page.
NAVIGATION: tuple[tuple[str, tuple[tuple[str, str, str, str], ...]], ...] = (
    ("", (("Overview", "overview", "", "index"),)),
    (
        "Affiliates",
        (
            ("All Affiliates", "affiliates", "affiliates.view_affiliate", "affiliates_affiliate_changelist"),
            ("Links", "link", "affiliates.view_link", "affiliates_link_changelist"),
        ),
    ),
    ("Orders", (("All orders", "orders", "orders.view_order", "orders_order_changelist"),)),
    ("Callbacks", (("Deliveries", "deliveries", "callbacks.view_delivery", "callbacks_delivery_changelist"),)),
    (
        "System",
        (
            ("Users", "users", "auth.view_user", "auth_user_changelist"),
            ("API tokens", "key", "orders.view_apitoken", "orders_apitoken_changelist"),
        ),
    ),
)


class PostbacksAdminSite(AdminSite):
    site_header = site_title = "Affiliate Postbacks"
    index_title = "Overview"
    site_url = None
    empty_value_display = "\N{EN DASH}"
    enable_nav_sidebar = False  # Django's; ours is in each_context

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        context = super().each_context(request)
        if self.has_permission(request):
            context["navigation"] = list(_navigation(request))
        return context

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        return super().index(request, _overview(request) | (extra_context or {}))

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:  # type: ignore[override]  # the stubs know no redirect
        """To the admin's own log-in; elsewhere one leaves to the portal's."""
        return LogoutView.as_view(next_page="admin:login")(request)


def _navigation(request: HttpRequest) -> Iterator[Section]:
    for title, lines in NAVIGATION:
        items = tuple(
            _item(request, label, icon, name)
            for label, icon, permission, name in lines
            if not permission or request.user.has_perm(permission)
        )
        if items:
            yield Section(title, items)


def _item(request: HttpRequest, label: str, icon: str, name: str) -> Item:
    url = reverse(f"admin:{name}")
    is_current = request.path == url if name == "index" else request.path.startswith(url)
    failed = _latest().filter(status=Delivery.Status.FAILED).count() if label == "Deliveries" else 0
    return Item(label, url, icon, is_current, failed, "failed in the last 24 hours" if failed else "")


def _latest() -> Any:
    """The deliveries of the last 24 hours, the newest 5,000 at most."""
    newest = Delivery.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    return Delivery.objects.order_by().filter(pk__gt=newest - LATEST, created_at__gt=timezone.now() - DAY)


def _overview(request: HttpRequest) -> dict[str, Any]:
    if not request.user.has_perm("callbacks.view_delivery"):
        return {}
    counts = dict(_latest().values_list("status").annotate(count=Count("pk")))
    failures = Delivery.objects.filter(status=Delivery.Status.FAILED).select_related("affiliate", "order")
    return {
        "counts": {status.value: counts.get(status.value, 0) for status in Delivery.Status},
        "waiting": counts.get(Delivery.Status.PENDING, 0) + counts.get(Delivery.Status.SENDING, 0),
        "failures": failures.order_by("-pk")[:5],
        "has_affiliates": Affiliate.objects.exists(),
        "has_callbacks": CallbackSetting.objects.exists(),
        "has_orders": Order.objects.exists(),
        "has_deliveries": Delivery.objects.exists(),
        "first_affiliate": Affiliate.objects.order_by("pk").first(),
    }
