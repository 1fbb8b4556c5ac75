"""A period of time as it stands in an address, and the rows that were made in it."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db.models import Model, QuerySet

from config.listing.keys import Keys, first_pk_since

DAY = timedelta(days=1)
# Primary keys follow the order of saving, but for rows whose transactions overlapped.
OUT_OF_ORDER = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Period:
    """From the beginning of `first` to the end of `last`. None is no bound."""

    first: "Bound | None" = None
    last: "Bound | None" = None

    @classmethod
    def of(cls, first: Any, last: Any) -> "Period":
        """From the texts of an address. A text that cannot be read is no bound."""
        return cls(_bound(first), _bound(last))

    def __str__(self) -> str:
        """In words; "" without any bound."""
        first, last = (str(bound) if bound else "" for bound in (self.first, self.last))
        if first and last:
            return first if self.first == self.last else f"{first} to {last}"
        return f"since {first}" if first else f"until {last}" if last else ""

    def narrow(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The rows that were made in it."""
        if self.first:
            queryset = queryset.filter(created_at__gte=self.first.begins_at)
        if self.last:
            queryset = queryset.filter(created_at__lt=self.last.ends_at)
        return queryset

    def keys_of(self, model: type[Model]) -> Keys:
        """The primary keys that these rows lie between."""
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
    """`2026-03-14` is the whole day, `2026-03-14T09:30` a moment of it, anything else None."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return Bound(moment.replace(tzinfo=UTC), is_day="T" not in text) if 1970 < moment.year < 9999 else None
