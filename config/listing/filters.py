"""The admin's filters: by date, and those that show how many rows each choice has."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from config.listing.keys import Keys
from config.listing.period import Period


class CountedFilter(admin.SimpleListFilter):
    """Shows beside each choice how many rows of the list it has. Its list is a `DeclaredList`, which counts them.

    `conditions` are those of the choices, by value. They are written for counting: `queryset` may say the same in a
    way that an index serves.
    """

    template = "admin/counted_filter.html"
    note: Any = ""  # below the choices

    @property
    def conditions(self) -> Mapping[str, Q]:
        raise NotImplementedError

    def choices(self, changelist: Any) -> Any:
        counts = changelist.counts.get(self.parameter_name, {})
        values = [None, *(str(value) for value, _ in self.lookup_choices)]
        for value, choice in zip(values, super().choices(changelist), strict=True):
            yield {**choice, "count": counts.get(value, "")}


class ChoiceFilter(CountedFilter):
    """By a column or annotation that has one of some values: `field` and `options`, pairs of value and label."""

    field: ClassVar[str]
    options: ClassVar[Sequence[tuple[str, Any]]]

    @property
    def conditions(self) -> Mapping[str, Q]:
        return {value: Q((self.field, value)) for value, _label in self.options}

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, Any]]:
        return self.options

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter((self.field, self.value())) if self.value() else queryset


class PeriodFilter(admin.SimpleListFilter):
    """By `created_at`: from one day of the installation's zone through another, or from one moment to another."""

    title = _("date")
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

    def leave_unread(self) -> list[str]:
        """The parameters that hold something else than a day or a minute."""
        bounds = {self.FROM: self.first, self.TO: self.last}
        return [name for name, bound in bounds.items() if self.used_parameters.get(name) and bound is None]

    def expected_parameters(self) -> list[str | None]:
        return [self.FROM, self.TO]

    def has_output(self) -> bool:
        return True

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return []

    def choices(self, changelist: Any) -> Any:
        """Usual periods. Sets `carried` to the other parameters of the list, which the filter's form has to keep."""
        others = changelist.filter_params.items()
        self.carried = [
            (name, value) for name, values in others if name not in {self.FROM, self.TO} for value in values
        ]
        today = timezone.localdate()
        month = today.replace(day=1)
        periods = [
            (_("Any date"), None, None),
            (_("Today"), today, None),
            (_("Past 7 days"), today - timedelta(days=6), None),
            (_("Past 30 days"), today - timedelta(days=29), None),
            (_("This month"), month, None),
            (_("Last month"), (month - timedelta(days=1)).replace(day=1), month - timedelta(days=1)),
        ]
        for display, first, last in periods:
            yield {
                "selected": Period.of(_text(first), _text(last)) == self.period,
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


def _text(day: date | None) -> str | None:
    return day.isoformat() if day else None
