"""Which deliveries a filter of the log means, without the log: from its address, as rows, and in words.

An errand keeps the filter as data, and a worker finds with it what the list shows. What is not known here is refused:
a condition that is overlooked would resend more than the list shows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import QuerySet
from django.http import QueryDict

from affiliates.models import Affiliate
from callbacks.log import filters, search
from callbacks.models import Delivery, EventType
from callbacks.models.delivery import RETRYING
from config.listing.keys import AFTER, BEFORE, Keys
from config.listing.period import Period

STATE, EVENT, AFFILIATE = "status__exact", "event__exact", "affiliate__id__exact"
ORIGIN, HOST, CODE, FROM, TO, SEARCH = "origin", "host", "code", "from", "to", "q"
KNOWN = (STATE, EVENT, AFFILIATE, ORIGIN, HOST, CODE, FROM, TO, SEARCH)
WITH_DELIVERED = "with_delivered"  # no condition of the log: whether what succeeded goes out once more
OF_THE_PAGE = frozenset({BEFORE, AFTER})  # they say which page of the list, and nothing of the filter

STATES = dict(Delivery.Status.choices) | {Delivery.Status.PENDING.value: "Waiting", RETRYING: "Retrying"}
CODES = {filters.NONE: "no answer"}
COUNTED = "counted"  # all but tests
ORIGINS = {**dict(Delivery.Origin.choices), COUNTED: "all but tests"}


class UnknownFilterError(ValueError):
    """The address holds a condition that is not known here, or one that cannot be read."""


@dataclass(frozen=True, slots=True)
class Selection:
    """A filter of the log, by the names that its address has for it, and whether what succeeded is meant as well."""

    chosen: Mapping[str, str]
    with_delivered: bool = True

    @classmethod
    def kept(cls, data: Mapping[str, Any]) -> "Selection":
        """As an errand keeps it."""
        chosen = {name: value for name, value in data.items() if name != WITH_DELIVERED}
        return cls(chosen, bool(data.get(WITH_DELIVERED)))

    @property
    def to_be_kept(self) -> dict[str, Any]:
        return {**self.chosen, WITH_DELIVERED: self.with_delivered}

    @classmethod
    def of(cls, query: QueryDict) -> "Selection":
        """As the address of the list says it. Raises `UnknownFilterError`."""
        chosen = {}
        for name in query.keys() - OF_THE_PAGE:
            values = query.getlist(name)
            if name not in KNOWN or len(values) > 1:
                raise UnknownFilterError(name)
            if values[0].strip():
                chosen[name] = values[0].strip()
        affiliate = chosen.get(AFFILIATE, "0")
        is_known = chosen.get(EVENT, EventType.CREATED) in EventType and chosen.get(ORIGIN, COUNTED) in ORIGINS
        if not is_known or not affiliate.isdecimal() or len(affiliate) > 18:
            raise UnknownFilterError
        return cls({name: chosen[name] for name in KNOWN if name in chosen})

    @property
    def period(self) -> Period:
        return Period.of(self.chosen.get(FROM), self.chosen.get(TO))

    @property
    def query(self) -> str:
        """As the address of the list has it, with the question mark; "" for all."""
        query = QueryDict(mutable=True)
        query.update(dict(self.chosen))
        return f"?{query.urlencode()}" if query else ""

    @property
    def is_of_delivered(self) -> bool:
        """Whether it asks for those that succeeded, and for nothing else."""
        return self.chosen.get(STATE) == Delivery.Status.SUCCEEDED

    def without(self, *names: str) -> "Selection":
        return Selection({name: value for name, value in self.chosen.items() if name not in names})

    def but_delivered(self) -> "Selection":
        return replace(self, with_delivered=self.is_of_delivered)

    def deliveries(self) -> QuerySet[Delivery]:
        rows = filters.in_state(Delivery.objects.order_by(), self.chosen.get(STATE, ""))
        if event := self.chosen.get(EVENT):
            rows = rows.filter(event=event)
        if affiliate := self.chosen.get(AFFILIATE):
            rows = rows.filter(affiliate=int(affiliate))
        if origin := self.chosen.get(ORIGIN):
            rows = rows.exclude(origin=Delivery.Origin.TEST) if origin == COUNTED else rows.filter(origin=origin)
        rows = filters.with_code(filters.at_host(rows, self.chosen.get(HOST, "")), self.chosen.get(CODE, ""))
        rows = search.search(self.period.narrow(rows), self.chosen.get(SEARCH, ""))
        return rows if self.with_delivered else rows.exclude(status=Delivery.Status.SUCCEEDED)

    def keys(self) -> Keys:
        """Between which keys they lie."""
        return self.period.keys_of(Delivery)

    def words(self) -> list[tuple[str, str]]:
        """What it says, condition by condition: the name of the filter and what was chosen."""
        return [(name, words) for name, words in self._all_words() if words]

    def _all_words(self) -> list[tuple[str, str]]:
        chosen: Any = self.chosen.get
        affiliate = Affiliate.objects.filter(pk=chosen(AFFILIATE)).first() if chosen(AFFILIATE) else None
        return [
            ("State", STATES.get(chosen(STATE), "")),
            ("Event", EventType(chosen(EVENT)).label if chosen(EVENT) else ""),
            ("Affiliate", affiliate.name if affiliate else "nobody, any more" if chosen(AFFILIATE) else ""),
            ("Origin", ORIGINS.get(chosen(ORIGIN), "")),
            ("Host", chosen(HOST, "")),
            ("Code", CODES.get(chosen(CODE), chosen(CODE, ""))),
            ("Date", f"{self.period} (UTC)" if str(self.period) else ""),
            ("Search", f"“{chosen(SEARCH)}”" if chosen(SEARCH) else ""),
        ]
