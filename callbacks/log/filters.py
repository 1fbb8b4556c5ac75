"""The filters of the log: state, origin, host, code, and the search.

The filter by affiliate is `affiliates.filters`, that by date `config.listing.filters`.
"""

import uuid
from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest

from callbacks.models import CallbackSetting, Delivery
from callbacks.models.delivery import RETRYING
from orders.search import find_by_number

Deliveries = QuerySet[Delivery]
Origin, Status = Delivery.Origin, Delivery.Status
STATES = {
    Status.SUCCEEDED.value: "Succeeded",
    Status.FAILED.value: "Failed",
    Status.PENDING.value: "Waiting",
    RETRYING: "Retrying",
    Status.SENDING.value: "Sending",
    Status.SKIPPED.value: "Skipped",
}
NOT_TEST = "counted"  # the origins that the figures of the overview are made of
NO_ANSWER = "none"  # the code of deliveries that were not answered
MAX_HOSTS = 100  # in the filter
MAX_FOUND = 5000  # deliveries that a search for an order finds


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "status__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(STATES.items())

    def queryset(self, request: HttpRequest, queryset: Deliveries) -> Deliveries:
        return in_state(queryset, self.value() or "")


def in_state(deliveries: Deliveries, state: str) -> Deliveries:
    """Those in that state, or all of them if it is unknown. Written so that the database uses the partial indexes."""
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

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        origins = [(Origin.EVENT, "Orders"), (Origin.BACKFILL, "Backfills"), (Origin.TEST, "Tests")]
        return [(NOT_TEST, "All but tests"), *((origin.value, name) for origin, name in origins)]

    def queryset(self, request: HttpRequest, queryset: Deliveries) -> Deliveries:
        return of_origin(queryset, self.value() or "")


def of_origin(deliveries: Deliveries, origin: str) -> Deliveries:
    """Those of that origin, or all of them if it is unknown."""
    if origin == NOT_TEST:
        return deliveries.exclude(origin=Origin.TEST)
    return deliveries.filter(origin=origin) if origin in Origin.values else deliveries


class HostFilter(admin.SimpleListFilter):
    """By the host that the callback has now."""

    title = "host"
    parameter_name = "host"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        hosts = CallbackSetting.objects.order_by("host").values_list("host", flat=True).distinct()[:MAX_HOSTS]
        chosen = request.GET.get(self.parameter_name, "")
        return [(host, host) for host in sorted({*hosts, chosen} - {""})]

    def queryset(self, request: HttpRequest, queryset: Deliveries) -> Deliveries:
        return at_host(queryset, self.value() or "")


def at_host(deliveries: Deliveries, host: str) -> Deliveries:
    """Those of callbacks with that host, or all of them for ""."""
    if not host:
        return deliveries
    return deliveries.filter(Exists(CallbackSetting.objects.filter(pk=OuterRef("setting"), host=host)))


class CodeFilter(admin.SimpleListFilter):
    """By the status code of the last answer: a class of codes, or one code that the page's address names."""

    title = "code"
    parameter_name = "code"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        classes = [("2xx", "2xx success"), ("3xx", "3xx redirect"), ("4xx", "4xx refused"), ("5xx", "5xx broken")]
        chosen = request.GET.get(self.parameter_name, "")
        own = [(chosen, chosen)] if _is_code(chosen) else []
        return [*classes, *own, (NO_ANSWER, "No answer")]

    def queryset(self, request: HttpRequest, queryset: Deliveries) -> Deliveries:
        return with_code(queryset, self.value() or "")


def with_code(deliveries: Deliveries, code: str) -> Deliveries:
    """Those whose last answer had that code, or one of that class; all of them if it is unknown."""
    if code == NO_ANSWER:
        return deliveries.filter(last_status_code=None).exclude(last_error_kind="")
    if _is_code(code):
        return deliveries.filter(last_status_code=int(code))
    if code in {"2xx", "3xx", "4xx", "5xx"}:
        begin = int(code[0]) * 100
        return deliveries.filter(last_status_code__gte=begin, last_status_code__lt=begin + 100)
    return deliveries


def _is_code(text: str) -> bool:
    return len(text) == 3 and text.isdecimal() and text.isascii()


def search(deliveries: Deliveries, text: str) -> Deliveries:
    """Those of the orders whose number is `text`, or the one with that event id; all of them if it is empty."""
    term = text.strip()
    if not term:
        return deliveries
    try:
        return deliveries.filter(event_id=uuid.UUID(term))
    except ValueError:
        of_orders = Delivery.objects.order_by().filter(order__in=find_by_number(term))
        return deliveries.filter(pk__in=list(of_orders.values_list("pk", flat=True)[:MAX_FOUND]))
