"""The filters of the log: state, origin, host, code. Whose deliveries they are, and when, are those of `affiliates`."""

from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest

from callbacks.models import CallbackSetting, Delivery
from callbacks.models.delivery import RETRYING

Deliveries = QuerySet[Delivery]
Origin, Status = Delivery.Origin, Delivery.Status
LISTED = 100  # hosts in the filter
NONE = "none"  # the code of those who did not answer


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "status__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            (Status.SUCCEEDED, "Succeeded"),
            (Status.FAILED, "Failed"),
            (Status.PENDING, "Waiting"),
            (RETRYING, "Retrying"),
            (Status.SENDING, "Sending"),
            (Status.SKIPPED, "Skipped"),
        ]

    def queryset(self, request: HttpRequest, queryset: Deliveries) -> Deliveries:
        return in_state(queryset, self.value() or "")


def in_state(deliveries: Deliveries, state: str) -> Deliveries:
    """Those in that state, or all of them for one that is not known. Written so that the partial indexes are used."""
    every = Delivery.objects.order_by()
    first = Q(pk__in=every.filter(status=Status.PENDING, attempt_count=0).values("pk"))
    again = Q(pk__in=every.filter(status=Status.PENDING, attempt_count__gt=0).values("pk"))
    if state == Status.PENDING:
        return deliveries.filter(first | again)
    if state == RETRYING:
        return deliveries.filter(again, Delivery.IS_RETRYING)
    if state == Status.SENDING:
        return deliveries.filter(pk__in=every.filter(status=Status.SENDING).values("pk"))
    return deliveries.filter(status=state) if state in Status.values else deliveries


class OriginFilter(admin.SimpleListFilter):
    """By where a delivery comes from: orders as they happened, a backfill, or a test from a callback's form."""

    title = "origin"
    parameter_name = "origin"
    COUNTED = "counted"  # what the figures of the overview are made of

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        named = [(Origin.EVENT, "Orders"), (Origin.BACKFILL, "Backfills"), (Origin.TEST, "Tests")]
        return [(self.COUNTED, "All but tests"), *((origin.value, name) for origin, name in named)]

    def queryset(self, request: HttpRequest, queryset: Deliveries) -> Deliveries:
        if self.value() == self.COUNTED:
            return queryset.exclude(origin=Origin.TEST)
        return queryset.filter(origin=self.value()) if self.value() in Origin.values else queryset


class HostFilter(admin.SimpleListFilter):
    """By the host of the callback as it is set now."""

    title = "host"
    parameter_name = "host"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        hosts = CallbackSetting.objects.order_by("host").values_list("host", flat=True).distinct()[:LISTED]
        chosen = request.GET.get(self.parameter_name, "")
        return [(host, host) for host in sorted({*hosts, chosen} - {""})]

    def queryset(self, request: HttpRequest, queryset: Deliveries) -> Deliveries:
        return at_host(queryset, self.value() or "")


def at_host(deliveries: Deliveries, host: str) -> Deliveries:
    """Those of callbacks there, or all of them for ""."""
    if not host:
        return deliveries
    return deliveries.filter(Exists(CallbackSetting.objects.filter(pk=OuterRef("setting"), host=host)))


class CodeFilter(admin.SimpleListFilter):
    """By the status code of the last answer: a class of them, or one that is named in the address."""

    title = "code"
    parameter_name = "code"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        classes = [("2xx", "2xx success"), ("3xx", "3xx redirect"), ("4xx", "4xx refused"), ("5xx", "5xx broken")]
        chosen = request.GET.get(self.parameter_name, "")
        own = [(chosen, chosen)] if _is_code(chosen) else []
        return [*classes, *own, (NONE, "No answer")]

    def queryset(self, request: HttpRequest, queryset: Deliveries) -> Deliveries:
        return with_code(queryset, self.value() or "")


def with_code(deliveries: Deliveries, code: str) -> Deliveries:
    """Those whose last answer had that code, or one of that class; all of them for one that is not known."""
    if code == NONE:
        return deliveries.filter(last_status_code=None).exclude(last_error_kind="")
    if _is_code(code):
        return deliveries.filter(last_status_code=int(code))
    if code in {"2xx", "3xx", "4xx", "5xx"}:
        begin = int(code[0]) * 100
        return deliveries.filter(last_status_code__gte=begin, last_status_code__lt=begin + 100)
    return deliveries


def _is_code(text: str) -> bool:
    return len(text) == 3 and text.isdecimal() and text.isascii()
