"""Which deliveries the filters in the log's address mean: as rows, as data that a job keeps, and in words.

A worker finds with it the same deliveries as the list shows. An unknown condition is refused: if it were ignored, more
would be resent than the list shows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import QueryDict

from affiliates.models import Affiliate
from callbacks.log import conditions
from callbacks.log.conditions import NO_ANSWER, NOT_TEST, STATES
from callbacks.models import CallbackSetting, Delivery, EventType
from config.listing.keys import AFTER, BEFORE, Keys, key_in
from config.listing.period import Period

STATE, EVENT, AFFILIATE = "status__exact", "event__exact", "affiliate__id__exact"
ORIGIN, HOST, CODE, FROM, TO, SEARCH = "origin", "host", "code", "from", "to", "q"
WHILE_PAUSED = "while_paused"  # the key of a callback that had paused itself
KNOWN = (STATE, EVENT, AFFILIATE, ORIGIN, HOST, CODE, FROM, TO, SEARCH, WHILE_PAUSED)
WITH_DELIVERED = "with_delivered"  # kept beside the conditions of the log
OF_THE_PAGE = frozenset({BEFORE, AFTER})  # which page of the list is shown: no condition

CODES = {NO_ANSWER: "no answer"}
ORIGINS = {**dict(Delivery.Origin.choices), NOT_TEST: "all but tests"}


class UnknownFilterError(ValueError):
    """The address holds a condition that is unknown, or one that cannot be read."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Conditions by their names in the log's address, and whether deliveries that succeeded are selected too."""

    chosen: Mapping[str, str]
    with_delivered: bool = True

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "Selection":
        """From what a job keeps."""
        chosen = {name: value for name, value in data.items() if name != WITH_DELIVERED}
        return cls(chosen, bool(data.get(WITH_DELIVERED)))

    @property
    def data(self) -> dict[str, Any]:
        """What a job keeps."""
        return {**self.chosen, WITH_DELIVERED: self.with_delivered}

    @classmethod
    def of(cls, query: QueryDict) -> "Selection":
        """From the address of the list. Raises `UnknownFilterError`."""
        chosen = {}
        for name in query.keys() - OF_THE_PAGE:
            values = query.getlist(name)
            if name not in KNOWN or len(values) > 1:
                raise UnknownFilterError(name)
            if values[0].strip():
                chosen[name] = values[0].strip()
        affiliate = chosen.get(AFFILIATE, "0")
        is_known = chosen.get(EVENT, EventType.CREATED) in EventType and chosen.get(ORIGIN, NOT_TEST) in ORIGINS
        if not is_known or key_in(affiliate) is None or key_in(chosen.get(WHILE_PAUSED, "0")) is None:
            raise UnknownFilterError
        return cls({name: chosen[name] for name in KNOWN if name in chosen})

    @property
    def period(self) -> Period:
        return Period.of(self.chosen.get(FROM), self.chosen.get(TO))

    @property
    def query(self) -> str:
        """The address of the list from its question mark on; "" if all are selected."""
        query = QueryDict(mutable=True)
        query.update(dict(self.chosen))
        return f"?{query.urlencode()}" if query else ""

    @property
    def is_of_delivered(self) -> bool:
        """Whether only those that succeeded are selected."""
        return self.chosen.get(STATE) == Delivery.Status.SUCCEEDED

    def without(self, *names: str) -> "Selection":
        return Selection({name: value for name, value in self.chosen.items() if name not in names})

    def deliveries(self) -> QuerySet[Delivery]:
        rows = conditions.in_state(Delivery.objects.order_by(), self.chosen.get(STATE, ""))
        if event := self.chosen.get(EVENT):
            rows = rows.filter(event=event)
        if affiliate := self.chosen.get(AFFILIATE):
            rows = rows.filter(affiliate=int(affiliate))
        rows = conditions.while_paused(rows, self.chosen.get(WHILE_PAUSED, ""))
        rows = conditions.of_origin(rows, self.chosen.get(ORIGIN, ""))
        rows = conditions.with_code(conditions.at_host(rows, self.chosen.get(HOST, "")), self.chosen.get(CODE, ""))
        rows = conditions.search(self.period.narrow(rows), self.chosen.get(SEARCH, ""))
        return rows if self.with_delivered else rows.exclude(status=Delivery.Status.SUCCEEDED)

    def keys(self) -> Keys:
        """The range of primary keys that the deliveries lie in."""
        return self.period.keys_of(Delivery)

    def words(self) -> list[tuple[str, str]]:
        """The conditions in words: the name of each filter and what was chosen."""
        chosen: Any = self.chosen.get
        affiliate = Affiliate.objects.filter(pk=chosen(AFFILIATE)).first() if chosen(AFFILIATE) else None
        setting = CallbackSetting.objects.filter(pk=chosen(WHILE_PAUSED)).first() if chosen(WHILE_PAUSED) else None
        words = [
            ("State", STATES.get(chosen(STATE), "")),
            ("Event", EventType(chosen(EVENT)).label if chosen(EVENT) else ""),
            ("Affiliate", affiliate.name if affiliate else "nobody, any more" if chosen(AFFILIATE) else ""),
            ("Origin", ORIGINS.get(chosen(ORIGIN), "")),
            ("Host", chosen(HOST, "")),
            ("Code", CODES.get(chosen(CODE), chosen(CODE, ""))),
            ("Date", str(self.period)),
            ("Skipped while paused", str(setting) if setting else ""),
            ("Search", f"“{chosen(SEARCH)}”" if chosen(SEARCH) else ""),
        ]
        return [(name, value) for name, value in words if value]
