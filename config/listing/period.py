"""A period of time as it stands in an address, and the rows that were made in it.

Days are those of the installation's zone, the setting TIME_ZONE: one has 23 or 25 hours where the clock is changed.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.models import Model, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

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
        """In words, with the zone; "" without any bound."""
        first, last = (str(bound) if bound else "" for bound in (self.first, self.last))
        if first and last:
            words = first if self.first == self.last else _("%(first)s to %(last)s") % {"first": first, "last": last}
        elif first:
            words = _("since %(day)s") % {"day": first}
        else:
            words = _("until %(day)s") % {"day": last} if last else ""
        return words and f"{words} ({timezone.get_default_timezone_name()})"

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
        return day_begins_at(self.day + DAY) if self.is_day else self.begins_at

    @property
    def day(self) -> date:
        return timezone.localdate(self.begins_at)

    def __str__(self) -> str:
        begins_at = timezone.localtime(self.begins_at)
        return f"{begins_at:%-d %b %Y}" if self.is_day else f"{begins_at:%-d %b %Y, %H:%M}"


def day_begins_at(day: date) -> datetime:
    """The midnight that a day of the installation begins with, in UTC, so that it can be reckoned with."""
    return datetime.combine(day, time(), timezone.get_default_timezone()).astimezone(UTC)


def _bound(text: Any) -> Bound | None:
    """`2026-03-14` is the whole day, `2026-03-14T09:30` or `2026-03-14T09:30Z` a moment, anything else None."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    if not 1970 < moment.year < 9999:
        return None
    if "T" not in text:
        return Bound(day_begins_at(moment.date()), is_day=True)
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=timezone.get_default_timezone())
    return Bound(zoned.astimezone(UTC), is_day=False)
