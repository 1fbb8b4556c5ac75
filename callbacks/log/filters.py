"""The filters of the log's list. What they mean is `callbacks.log.conditions`.

The filter by affiliate is `affiliates.filters`, that by date `config.listing.filters`.
"""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from callbacks.log import conditions
from callbacks.log.conditions import Deliveries
from callbacks.models import CallbackSetting, Delivery
from config.listing.keys import key_in

MAX_HOSTS = 100  # in the filter


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "status__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(conditions.STATES.items())

    def queryset(self, request: HttpRequest, queryset: Deliveries) -> Deliveries:
        return conditions.in_state(queryset, self.value() or "")


class OriginFilter(admin.SimpleListFilter):
    """By where a delivery comes from: orders as they happened, a backfill, or a test from a callback's form."""

    title = "origin"
    parameter_name = "origin"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        origins = [
            (Delivery.Origin.EVENT, "Orders"),
            (Delivery.Origin.BACKFILL, "Backfills"),
            (Delivery.Origin.TEST, "Tests"),
        ]
        return [(conditions.NOT_TEST, "All but tests"), *((origin.value, name) for origin, name in origins)]

    def queryset(self, request: HttpRequest, queryset: Deliveries) -> Deliveries:
        return conditions.of_origin(queryset, self.value() or "")


class HostFilter(admin.SimpleListFilter):
    """By the host that the callback has now."""

    title = "host"
    parameter_name = "host"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        hosts = CallbackSetting.objects.order_by("host").values_list("host", flat=True).distinct()[:MAX_HOSTS]
        chosen = request.GET.get(self.parameter_name, "")
        return [(host, host) for host in sorted({*hosts, chosen} - {""})]

    def queryset(self, request: HttpRequest, queryset: Deliveries) -> Deliveries:
        return conditions.at_host(queryset, self.value() or "")


class WhilePausedFilter(admin.SimpleListFilter):
    """What was skipped while a callback had paused itself. Its page in Settings leads here."""

    title = "skipped while paused"
    parameter_name = "while_paused"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        pk = key_in(request.GET.get(self.parameter_name, ""))
        return [(str(setting.pk), str(setting)) for setting in CallbackSetting.objects.filter(pk=pk)] if pk else []

    def queryset(self, request: HttpRequest, queryset: Deliveries) -> Deliveries:
        return conditions.while_paused(queryset, self.value() or "")


class CodeFilter(admin.SimpleListFilter):
    """By the status code of the last answer: a class of codes, or one code that the page's address names."""

    title = "code"
    parameter_name = "code"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        classes = [("2xx", "2xx success"), ("3xx", "3xx redirect"), ("4xx", "4xx refused"), ("5xx", "5xx broken")]
        chosen = request.GET.get(self.parameter_name, "")
        own = [(chosen, chosen)] if conditions.is_code(chosen) else []
        return [*classes, *own, (conditions.NO_ANSWER, "No answer")]

    def queryset(self, request: HttpRequest, queryset: Deliveries) -> Deliveries:
        return conditions.with_code(queryset, self.value() or "")
