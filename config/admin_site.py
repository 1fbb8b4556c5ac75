"""The admin site of this project, in the place of Django's: its navigation and its overview page.

The pages of an app are in the app's own `admin` module.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from itertools import groupby
from operator import itemgetter
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth.views import LogoutView, PasswordChangeView
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse, reverse_lazy
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from affiliates.models import Affiliate
from callbacks import callback_list
from callbacks.models import CallbackSetting, Delivery
from callbacks.reports import overview
from callbacks.setup.bulk import choice
from config.monitoring import alarms, mail, preferences
from config.request import actor, allow_going_back
from config.security import encryption, roles, security_log, two_factor
from config.security.sign_in import LoginForm, NewPasswordForm
from config.theme.templatetags.theme import rounded_share
from orders.models import Order

DAY = timedelta(hours=24)


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


# Section, label, icon, permissions (all of them are needed), name of the page.
NAVIGATION = (
    ("", _("Overview"), "overview", "", "index"),
    (
        _("Affiliates"),
        _("All Affiliates"),
        "affiliates",
        "affiliates.view_affiliate",
        "affiliates_affiliate_changelist",
    ),
    (_("Affiliates"), _("Links"), "link", "affiliates.view_link", "affiliates_link_changelist"),
    (_("Orders"), _("All orders"), "orders", "orders.view_order", "orders_order_changelist"),
    (_("Orders"), _("Shops"), "shop", "orders.view_shop", "orders_shop_changelist"),
    (_("Callbacks"), _("Deliveries"), "deliveries", "callbacks.view_delivery", "callbacks_delivery_changelist"),
    (_("Callbacks"), _("All callbacks"), "link", "callbacks.view_callbacksetting", "callbacks_all"),
    (_("Callbacks"), _("Resends and backfills"), "resend", "callbacks.view_delivery", "callbacks_errand_changelist"),
    (_("Callbacks"), _("Replace a host"), "swap", " ".join(choice.PERMISSIONS), "many:replace-host"),
    (_("System"), _("Users"), "users", roles.ADMINISTRATION, "auth_user_changelist"),
    (_("System"), _("Webhooks"), "link", "callbacks.change_callbacksetting", "callbacks_callbacksetting_changelist"),
    (_("System"), _("API tokens"), "key", "orders.view_apitoken", "orders_apitoken_changelist"),
)


class OwnPassword(PasswordChangeView):
    form_class = NewPasswordForm
    success_url = reverse_lazy("admin:password_change_done")

    def get_form_kwargs(self) -> dict[str, Any]:
        return super().get_form_kwargs() | {"request": self.request}

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        security_log.note(
            self.request, "password_changed", about=actor(self.request), says="Changed their own password."
        )
        return response


class PostbacksAdminSite(AdminSite):
    site_header = site_title = "Affiliate Postbacks"
    index_title = _("Overview")
    site_url = None
    empty_value_display = "\N{EN DASH}"
    login_form = LoginForm
    enable_nav_sidebar = False  # Django's; ours is in each_context

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Callable[..., Any]:  # type: ignore[override]  # the stubs promise the very type of the view
        """As Django's, but the browser may keep a form that was refused. Otherwise the Back button, pressed on the page
        after it, shows the browser's own error page.
        """
        inner = super().admin_view(view, cacheable)

        @wraps(inner)
        def wrapped(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
            response: HttpResponseBase = inner(request, *args, **kwargs)
            context = getattr(response, "context_data", None) or {}
            if request.method == "POST" and context.get("errors"):
                allow_going_back(response)
            return response

        return wrapped

    def get_urls(self) -> list[Any]:
        own = [*two_factor.urls(self.admin_view), *preferences.urls(self.admin_view), *callback_list.urls(self)]
        return [*own, *super().get_urls()]

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        context = super().each_context(request)
        if self.has_permission(request):
            context["navigation"] = list(_navigation(request))
        return context

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        return super().index(request, _overview(request) | (extra_context or {}))

    def app_index(self, request: HttpRequest, app_label: str, extra_context: dict[str, Any] | None = None) -> Any:
        """The overview too: an app has no page of its own."""
        context = {"title": self.index_title} | _overview(request) | (extra_context or {})
        return super().app_index(request, app_label, context)

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:  # type: ignore[override]  # the stubs know no redirect
        request.current_app = self.name
        return OwnPassword.as_view(extra_context=self.each_context(request) | (extra_context or {}))(request)

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:  # type: ignore[override]  # the stubs know no redirect
        """Lead to the admin's own log-in. LOGOUT_REDIRECT_URL is that of the portal."""
        return LogoutView.as_view(next_page="admin:login")(request)


def _navigation(request: HttpRequest) -> Iterator[Section]:
    for title, lines in groupby(NAVIGATION, itemgetter(0)):
        items = tuple(
            _item(request, str(label), icon, name)
            for _title, label, icon, permissions, name in lines
            if request.user.has_perms(permissions.split())
        )
        if items:
            yield Section(str(title), items)


def _also(name: str) -> tuple[str, ...]:
    """Where else one is then: the messages of shops have no line of their own."""
    return (reverse("admin:orders_message_changelist"),) if name == "orders_shop_changelist" else ()


def _item(request: HttpRequest, label: str, icon: str, name: str) -> Item:
    url = reverse(name if ":" in name else f"admin:{name}")
    is_current = request.path == url if name == "index" else request.path.startswith((url, *_also(name)))
    failed = 0
    if name == "callbacks_delivery_changelist":
        failed = overview.recent(timezone.now() - DAY).filter(status=Delivery.Status.FAILED).count()
    return Item(label, url, icon, is_current, failed, gettext("failed in the last 24 hours") if failed else "")


def _overview(request: HttpRequest) -> dict[str, Any]:
    if not request.user.has_perm("callbacks.view_delivery"):
        return {}
    told = {"alarms": alarms.open(), "emails": mail.overview()}
    if not Delivery.objects.exclude(origin=Delivery.Origin.TEST).exists():
        return told | {
            "has_affiliates": Affiliate.objects.exists(),
            "has_callbacks": CallbackSetting.objects.exclude(affiliate=None).exists(),
            "has_orders": Order.objects.exists(),
            "first_affiliate": Affiliate.objects.order_by("pk").first(),
        }
    figures = overview.overview(overview.range_named(request.GET.get("range", "")))
    chart = _chart_of(figures["bars"], reverse("admin:callbacks_delivery_changelist"))
    unreadable = encryption.count_unreadable()
    return told | figures | {"has_deliveries": True, "chart": chart, "unreadable_secrets": unreadable}


def _chart_of(bars: list[overview.Bar], log: str) -> dict[str, Any]:
    """The data for the script that draws the charts. `log` is the address of the list of deliveries."""
    return {
        "labels": [bar.label for bar in bars],
        "titles": [bar.title for bar in bars],
        "delivered": [bar.counts.delivered for bar in bars],
        "refused": [bar.counts.refused for bar in bars],
        "unanswered": [bar.counts.unanswered for bar in bars],
        "rate": [None if bar.counts.rate is None else rounded_share(bar.counts.rate) for bar in bars],
        "links": [f"{log}?{bar.query}" for bar in bars],
    }
