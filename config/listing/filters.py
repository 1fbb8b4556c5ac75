"""Filters that the lists of more than one app have: whose something is, and when it came."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import cached_property

from affiliates.models import Affiliate
from config.listing.pages import Keys, first_pk_since

LISTED = 100  # affiliates in the filter
LONGEST_KEY = 18  # digits: what has more is no key that a database could hold
DAY = timedelta(days=1)
# Rows are numbered in the order in which they were saved, give or take the length of a transaction.
OUT_OF_ORDER = timedelta(minutes=10)


class AffiliateFilter(admin.RelatedFieldListFilter):
    """The first affiliates by name, and always the one that is chosen: a list of thousands helps nobody."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        affiliates = Affiliate.objects.order_by("name", "pk")
        chosen = request.GET.get(f"{self.field_path}__id__exact", "")
        listed = {affiliate.pk: affiliate for affiliate in affiliates[:LISTED]}
        if chosen.isdecimal() and len(chosen) <= LONGEST_KEY and int(chosen) not in listed:
            listed |= affiliates.in_bulk([int(chosen)])
        return [(str(pk), affiliate.name) for pk, affiliate in listed.items()]


class PeriodFilter(admin.SimpleListFilter):
    """By when it happened, in UTC: from one day through another, or from one minute to another, as the address says."""

    title = "date"
    template = "admin/period_filter.html"
    parameter_name = "from"
    FROM, TO = "from", "to"

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.model = model
        if self.TO in params:
            self.used_parameters[self.TO] = params.pop(self.TO)[-1]
        self.period = Period.of(self.used_parameters.get(self.FROM), self.used_parameters.get(self.TO))
        self.first, self.last = self.period.first, self.period.last

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
                "selected": (self.first, self.last) == (_whole(first), _whole(last)),
                "query_string": changelist.get_query_string({self.FROM: _text(first), self.TO: _text(last)}),
                "display": display,
            }

    @property
    def chosen(self) -> str:
        return str(self.period)

    @cached_property
    def keys(self) -> Keys:
        return self.period.keys_of(self.model)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return self.period.narrow(queryset)


@dataclass(frozen=True, slots=True)
class Period:
    """From the beginning of one bound to the end of another, either of which may be open."""

    first: "Bound | None" = None
    last: "Bound | None" = None

    @classmethod
    def of(cls, first: Any, last: Any) -> "Period":
        """As an address says it; what cannot be read is open."""
        return cls(_bound(first), _bound(last))

    def __str__(self) -> str:
        """In words; "" if both ends are open."""
        first, last = (str(bound) if bound else "" for bound in (self.first, self.last))
        if first and last:
            return first if self.first == self.last else f"{first} to {last}"
        return f"since {first}" if first else f"until {last}" if last else ""

    def narrow(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Those rows that were made in it."""
        if self.first:
            queryset = queryset.filter(created_at__gte=self.first.begins_at)
        if self.last:
            queryset = queryset.filter(created_at__lt=self.last.ends_at)
        return queryset

    def keys_of(self, model: type[Model]) -> Keys:
        """Between which primary keys those rows lie."""
        first = first_pk_since(model, self.first.begins_at - OUT_OF_ORDER) if self.first else 0
        if self.last is None:
            return Keys(first)
        return Keys(first, first_pk_since(model, self.last.ends_at + OUT_OF_ORDER) - 1)


@dataclass(frozen=True, slots=True)
class Bound:
    """A day, from midnight to midnight, or a single moment."""

    begins_at: datetime
    is_day: bool

    @property
    def ends_at(self) -> datetime:
        return self.begins_at + DAY if self.is_day else self.begins_at

    @property
    def day(self) -> date:
        return self.begins_at.date()

    def __str__(self) -> str:
        return f"{self.begins_at:%-d %b %Y}" if self.is_day else f"{self.begins_at:%-d %b %Y, %H:%M} UTC"


def _bound(text: Any) -> Bound | None:
    """`2026-03-14` is the whole day, `2026-03-14T09:30` a moment of it; anything else is none."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return Bound(moment.replace(tzinfo=UTC), is_day="T" not in text) if 1970 < moment.year < 9999 else None


def _whole(day: date | None) -> Bound | None:
    return Bound(datetime(day.year, day.month, day.day, tzinfo=UTC), is_day=True) if day else None


def _text(day: date | None) -> str | None:
    return day.isoformat() if day else None
