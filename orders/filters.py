"""The filters of All orders: by shop, source and currency, and orders without an affiliate by the reason."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from config.listing.keys import key_in
from orders.models import Order, Shop

LATEST = 1000  # orders whose currencies the filter offers


class NoAffiliateFilter(admin.SimpleListFilter):
    """Orders of no affiliate: all of them, or those that named somebody who was not found."""

    title = gettext_lazy("no affiliate")
    parameter_name = "no_affiliate"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("all", _("All orders without an affiliate")),
            ("named", _("Link or code not recognized")),
            ("nothing", _("No link and no coupon")),
            ("self", _("The customer is the affiliate")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        without, why = queryset.filter(affiliate=None), Order.NoAffiliate
        if self.value() == "named":
            return without.exclude(no_affiliate_reason__in=Order.NAMED_NOBODY)
        if self.value() == "nothing":
            return without.filter(no_affiliate_reason=why.NOTHING_GIVEN)
        return without.filter(no_affiliate_reason=why.SELF_REFERRAL) if self.value() == "self" else without


class SourceFilter(admin.SimpleListFilter):
    title = gettext_lazy("source")
    parameter_name = "source"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return Order.Source.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(source=self.value()) if self.value() else queryset


class CurrencyFilter(admin.SimpleListFilter):
    """Offers the currencies of the latest orders only, as reading all orders for each page would take too long."""

    title = gettext_lazy("currency")
    parameter_name = "currency"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        latest = Order.objects.order_by("-pk").values_list("currency", flat=True)[:LATEST]
        chosen = request.GET.get(self.parameter_name)
        return [(code, code) for code in sorted({*latest, *([chosen] if chosen else [])})]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(currency=self.value()) if self.value() else queryset


class ShopFilter(admin.SimpleListFilter):
    """Offers the shops, and the orders of none, once there is a shop."""

    title = gettext_lazy("shop")
    parameter_name = "shop"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        shops = [(str(pk), name) for pk, name in Shop.objects.order_by("name").values_list("pk", "name")]
        return [*shops, ("none", _("None"))] if shops else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "none":
            return queryset.filter(shop=None)
        pk = key_in(self.value() or "")
        return queryset if pk is None else queryset.filter(shop=pk)
