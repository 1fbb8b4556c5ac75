"""The filters of the log: state, host, code and time. Whose deliveries they are is a filter of `affiliates`."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import cached_property

from affiliates.paging import Keys, first_pk_since
from callbacks.models import CallbackSetting, Delivery

Deliveries = QuerySet[Delivery]
Status = Delivery.Status
LISTED = 100  # hosts in the filter
DAY = timedelta(days=1)
# Rows are numbered in the order in which they were saved, give or take the length of a transaction.
OUT_OF_ORDER = timedelta(minutes=10)


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "status__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            (Status.SUCCEEDED, "Succeeded"),
            (Status.FAILED, "Failed"),
            (Status.PENDING, "Waiting"),
            ("retrying", "Retrying"),
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
    if state == "retrying":
        return deliveries.filter(again).exclude(last_error_kind="")
    if state == Status.SENDING:
        return deliveries.filter(pk__in=every.filter(status=Status.SENDING).values("pk"))
    return deliveries.filter(status=state) if state in Status.values else deliveries


class HostFilter(admin.SimpleListFilter):
    """By the host of the callback as it is set now."""

    title = "host"
    parameter_name = "host"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        hosts = CallbackSetting.objects.order_by("host").values_list("host", flat=True).distinct()[:LISTED]
        chosen = request.GET.get(self.parameter_name, "")
        return [(host, host) for host in sorted({*hosts, chosen} - {""})]

    def queryset(self, request: HttpRequest, queryset: Deliveries) -> Deliveries:
        if not self.value():
            return queryset
        return queryset.filter(Exists(CallbackSetting.objects.filter(pk=OuterRef("setting"), host=self.value())))


class CodeFilter(admin.SimpleListFilter):
    """By the status code of the last answer: a class of them, or one that is named in the address."""

    title = "code"
    parameter_name = "code"
    NONE = "none"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        classes = [("2xx", "2xx success"), ("3xx", "3xx redirect"), ("4xx", "4xx refused"), ("5xx", "5xx broken")]
        chosen = request.GET.get(self.parameter_name, "")
        own = [(chosen, chosen)] if _is_code(chosen) else []
        return [*classes, *own, (self.NONE, "No answer")]

    def queryset(self, request: HttpRequest, queryset: Deliveries) -> Deliveries:
        value = self.value() or ""
        if value == self.NONE:
            return queryset.filter(last_status_code=None).exclude(last_error_kind="")
        if _is_code(value):
            return queryset.filter(last_status_code=int(value))
        if value in {"2xx", "3xx", "4xx", "5xx"}:
            begin = int(value[0]) * 100
            return queryset.filter(last_status_code__gte=begin, last_status_code__lt=begin + 100)
        return queryset


def _is_code(text: str) -> bool:
    return len(text) == 3 and text.isdecimal() and text.isascii()


class PeriodFilter(admin.SimpleListFilter):
    """By when it happened, in days of UTC: from one day through another, each of them in the address."""

    title = "date"
    template = "admin/callbacks/delivery/period_filter.html"
    parameter_name = "from"
    FROM, TO = "from", "to"

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        if self.TO in params:
            self.used_parameters[self.TO] = params.pop(self.TO)[-1]
        self.first, self.last = (_day(self.used_parameters.get(name)) for name in (self.FROM, self.TO))

    def expected_parameters(self) -> list[str | None]:
        return [self.FROM, self.TO]

    def has_output(self) -> bool:
        return True

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return []

    def choices(self, changelist: Any) -> Any:
        """Some periods that end today. What else the form has to carry along is left in `carried`."""
        others = changelist.filter_params.items()
        self.carried = [
            (name, value) for name, values in others if name not in {self.FROM, self.TO} for value in values
        ]
        today = timezone.now().astimezone(UTC).date()
        month = today.replace(day=1)
        periods = [
            ("Any date", None, None),
            ("Today", today, None),
            ("Past 7 days", today - timedelta(days=6), None),
            ("Past 30 days", today - timedelta(days=29), None),
            ("This month", month, None),
            ("Last month", (month - timedelta(days=1)).replace(day=1), month - timedelta(days=1)),
        ]
        for display, first, last in periods:
            yield {
                "selected": (self.first, self.last) == (first, last),
                "query_string": changelist.get_query_string({self.FROM: _text(first), self.TO: _text(last)}),
                "display": display,
            }

    @property
    def chosen(self) -> str:
        """The period in words; "" if there is none."""
        first, last = (f"{day:%-d %b %Y}" if day else "" for day in (self.first, self.last))
        if first and last:
            return first if first == last else f"{first} to {last}"
        return f"since {first}" if first else f"until {last}" if last else ""

    @cached_property
    def keys(self) -> Keys:
        first = first_pk_since(Delivery, _midnight(self.first) - OUT_OF_ORDER) if self.first else 0
        if self.last is None:
            return Keys(first)
        return Keys(first, first_pk_since(Delivery, _midnight(self.last) + DAY + OUT_OF_ORDER) - 1)

    def queryset(self, request: HttpRequest, queryset: Deliveries) -> Deliveries:
        if self.first:
            queryset = queryset.filter(created_at__gte=_midnight(self.first))
        if self.last:
            queryset = queryset.filter(created_at__lt=_midnight(self.last) + DAY)
        return queryset


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _day(text: Any) -> date | None:
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None


def _text(day: date | None) -> str | None:
    return day.isoformat() if day else None
