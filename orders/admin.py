"""All orders, the page of one with what was sent for it, and the tokens of programs that hand over orders.

The pages of shops and of their messages are `orders.shops`.
"""

from collections import defaultdict
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from affiliates.filters import AffiliateFilter, FilteredByAffiliate
from affiliates.models import Affiliate
from config.editing import EditingAdmin
from config.listing.columns import CREATED, column
from config.listing.filters import PeriodFilter
from config.listing.pages import BaseAdmin, LongChangeList
from config.security import security_log
from config.security.sign_in import password_again
from orders.api import tokens
from orders.filters import CurrencyFilter, NoAffiliateFilter, ShopFilter, SourceFilter
from orders.forms import ApiTokenForm, OrderForm
from orders.models import ApiToken, Message, Order, Shop
from orders.search import find_by_number
from orders.shops.admin import ShopAdmin
from orders.shops.messages import MessageAdmin

admin.site.register(Shop, ShopAdmin)
admin.site.register(Message, MessageAdmin)


def _delivery() -> Any:
    """The model of deliveries, which orders may not import."""
    return apps.get_model("callbacks", "Delivery")


def _deliveries() -> QuerySet[Any]:
    """All deliveries except tests, which are about no order."""
    return _delivery().objects.exclude(origin="test")  # type: ignore[no-any-return]  # every model has it


def _states() -> dict[str, Q]:
    """The states of an order's deliveries, the worst first. The list shows the worst one of an order."""
    return {
        "failed": Q(status="failed"),
        "retrying": _delivery().IS_RETRYING,
        "pending": Q(status__in=["pending", "sending"]),
        "succeeded": Q(status="succeeded"),
        "skipped": Q(status="skipped"),
    }


def _worst(states: set[str]) -> str:
    """The worst of the states of an order's deliveries; "" if it has none."""
    found = {"pending" if state == "sending" else state for state in states}
    return next((state for state in _states() if state in found), "")


class OrderChangeList(LongChangeList):
    """Reads the states of deliveries for the orders of a page, and since when their affiliates have callbacks."""

    def prepare(self, rows: list[Any]) -> None:
        states = defaultdict(set)
        deliveries = _deliveries().filter(order__in=[order.pk for order in rows]).order_by()
        for delivery in deliveries.only("order", "status", "last_error_kind"):
            states[delivery.order_id].add(delivery.state)
        settings = apps.get_model("callbacks", "CallbackSetting").objects
        settings = settings.filter(affiliate__in={order.affiliate_id for order in rows}).order_by("-created_at")
        since = list(settings.values_list("affiliate", "event", "created_at"))
        first = {affiliate: at for affiliate, _, at in since}
        first_created = {affiliate: at for affiliate, event, at in since if event == "order.created"}
        pruned = apps.get_model("callbacks", "Pruned").objects.filter(kind="deliveries")
        kept_since = pruned.values_list("before", flat=True).first()
        may_change = self.model_admin.has_change_permission(self.request)
        for order in rows:
            order.may_be_given = may_change and order.affiliate_id is None
            order.delivery_state = _worst(states[order.pk])
            order.first_set_up_at = first.get(order.affiliate_id)
            order.first_created_at = first_created.get(order.affiliate_id)
            order.kept_since = kept_since


class DeliveriesFilter(admin.SimpleListFilter):
    title = gettext_lazy("deliveries")
    parameter_name = "deliveries"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("failed", _("Failed")),
            ("retrying", _("Retrying")),
            ("succeeded", _("Succeeded")),
            ("none", _("None")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        of_order = _deliveries().filter(order=OuterRef("pk"))
        if self.value() == "none":
            return queryset.filter(~Exists(of_order))
        condition = _states().get(self.value() or "")
        return queryset if condition is None else queryset.filter(Exists(of_order.filter(condition)))


@admin.register(Order)
class OrderAdmin(FilteredByAffiliate, EditingAdmin):
    form = OrderForm
    list_title = gettext_lazy("All orders")
    list_icon = "orders"
    empty_title = gettext_lazy("No orders yet")
    empty_text = gettext_lazy("Connect your shop, or send orders through the API. You can also add one here.")
    list_display = (
        "number",
        "affiliate_column",
        "money_amount",
        "money_commission",
        "status_chip",
        "deliveries",
        "created",
    )
    list_filter = (
        "status",
        DeliveriesFilter,
        ("affiliate", AffiliateFilter),
        NoAffiliateFilter,
        ShopFilter,
        SourceFilter,
        CurrencyFilter,
        PeriodFilter,
    )
    list_select_related = ("affiliate", "shop")
    list_per_page = 50
    search_fields = ("number", "affiliate__name", "affiliate__code")
    search_help_text = gettext_lazy("Order number or affiliate")
    show_full_result_count = False
    fieldsets = (
        (None, {"fields": ("number", "status", "link", "affiliate")}),
        (gettext_lazy("Money"), {"fields": ("amount", "currency", "commission")}),
    )

    sortable_by = ()  # newest first is the one order that a large table answers at once

    def get_fieldsets(self, request: HttpRequest, obj: Order | None = None) -> Any:
        """Without fields to type into, money is shown with its currency."""
        if obj is None or self.has_change_permission(request, obj):
            return super().get_fieldsets(request, obj)
        facts, _money = self.fieldsets
        return (facts, (_("Money"), {"fields": ("money_amount", "money_commission")}))

    def get_list_display(self, request: HttpRequest) -> Any:
        """With the shop beside the number, if there are several: each may have an order #1001."""
        number, *others = super().get_list_display(request)
        return [number, "shop", *others] if Shop.objects.count() > 1 else [number, *others]

    # --- finding -------------------------------------------------------------
    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[OrderChangeList]:
        return OrderChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Order], search_term: str
    ) -> tuple[QuerySet[Order], bool]:
        """Orders by number, or else the orders of affiliates whose name or code contains what was typed."""
        if not search_term.strip():
            return queryset, False
        if found := find_by_number(search_term):
            return queryset.filter(pk__in=found), False
        term = search_term.strip()
        matches = Q(name__icontains=term) | Q(code__icontains=term) | Q(aliases__code__icontains=term)
        return queryset.filter(affiliate__in=Affiliate.objects.filter(matches).values("pk")), False

    # --- columns -------------------------------------------------------------
    affiliate_column = column(gettext_lazy("Affiliate"), "admin/orders/affiliate.html", "order")

    @admin.display(description=gettext_lazy("Amount"))
    def money_amount(self, order: Order) -> str:
        return render_to_string("admin/orders/money.html", {"amount": order.amount, "currency": order.currency})

    @admin.display(description=gettext_lazy("Commission"))
    def money_commission(self, order: Order) -> str:
        return render_to_string("admin/orders/money.html", {"amount": order.commission, "currency": order.currency})

    status_chip = column(gettext_lazy("Status"), "admin/orders/status.html", "order")
    deliveries = column(gettext_lazy("Deliveries"), "admin/orders/deliveries.html", "order")
    created = column(gettext_lazy("Received"), CREATED)


@admin.register(ApiToken)
class ApiTokenAdmin(BaseAdmin):
    """A token is made and revoked, never changed; only the page that follows its making shows it."""

    form = ApiTokenForm
    fields = ("name", "days", "allowed")
    list_title = gettext_lazy("API tokens")
    list_subtitle = gettext_lazy("Your shop and other programs use them for the API.")
    list_icon = "key"
    empty_title = gettext_lazy("No tokens yet")
    empty_text = gettext_lazy("Create one for each program that uses the API, so that you can revoke each on its own.")
    list_display = ("name", "may", "created", "last_used", "expires", "revoke")
    list_display_links = None
    ordering = ("name",)
    actions = None

    def has_change_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        """What is typed for a new one, and what is known of one that is there."""
        return self.fields if obj is None else ("name", "may", "created", "last_used", "expires")

    @method_decorator(password_again)
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        # That button would skip the page that shows the token.
        return super().add_view(request, form_url, (extra_context or {}) | {"show_save_and_add_another": False})

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        days, obj.scopes = form.cleaned_data["days"], form.cleaned_data["allowed"]
        obj.token = tokens.issue(obj, days)
        scopes = ",".join(obj.scopes)
        security_log.note(request, "token_made", about=obj, token=obj.name, days=days or "", scopes=scopes)

    @method_decorator(password_again)
    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().delete_view(request, object_id, extra_context)

    def delete_model(self, request: HttpRequest, obj: ApiToken) -> None:
        security_log.note(request, "token_revoked", about=obj, token=obj.name)
        super().delete_model(request, obj)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Show the token in this answer. A message would put it into a cookie."""
        context = {
            "title": _("Token for %(name)s") % {"name": obj.name},
            "opts": self.opts,
            "name": obj.name,
            "token": obj.token,
        }
        context = self.admin_site.each_context(request) | context
        return TemplateResponse(request, "admin/orders/apitoken/made.html", context)

    may = column(gettext_lazy("It may"), "admin/orders/apitoken/may.html", "record")
    created = column(gettext_lazy("Created"), CREATED, ordering="created_at")
    last_used = column(
        gettext_lazy("Last used"), "admin/orders/apitoken/last_used.html", "record", ordering="last_used_at"
    )
    expires = column(gettext_lazy("Expires"), "admin/orders/apitoken/expires.html", "record", ordering="expires_at")
    revoke = column(gettext_lazy("Action"), "admin/orders/apitoken/revoke.html", "record")
