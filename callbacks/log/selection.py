"""Which deliveries the filters in the log's address mean: as rows, as data that a job keeps, and in words.

A worker finds with it the same deliveries as the list shows. An unknown condition is refused: if it were ignored, more
would be resent than the list shows.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from affiliates.models import Affiliate
from callbacks.log import conditions
from callbacks.log.conditions import ANSWERS, NO_ANSWER, NOT_TEST, STATES
from callbacks.models import CallbackSetting, Delivery
from callbacks.models.setting import EVENTS
from config.listing.keys import AFTER, BEFORE, Keys, key_in
from config.listing.period import Period

STATE, EVENT, AFFILIATE = "status__exact", "event__exact", "affiliate__id__exact"
ORIGIN, HOST, CODE, FROM, TO, SEARCH = "origin", "host", "code", "from", "to", "q"
CALLBACK, ANSWER = "callback", "answer"
WHILE_PAUSED = "while_paused"  # the key of a callback that had paused itself
KNOWN = (STATE, EVENT, AFFILIATE, CALLBACK, ORIGIN, HOST, CODE, ANSWER, FROM, TO, SEARCH, WHILE_PAUSED)
KEYS = (AFFILIATE, CALLBACK, WHILE_PAUSED)  # whose values are primary keys
WITH_DELIVERED = "with_delivered"  # kept beside the conditions of the log
OF_THE_PAGE = frozenset({BEFORE, AFTER})  # which page of the list is shown: no condition

CODES = {NO_ANSWER: gettext_lazy("no answer")}
ORIGINS = {**dict(Delivery.Origin.choices), NOT_TEST: gettext_lazy("all except tests")}


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
        allowed: dict[str, Container[str]] = {EVENT: dict(EVENTS), ORIGIN: ORIGINS, ANSWER: ANSWERS}
        is_known = all(chosen[name] in values for name, values in allowed.items() if name in chosen)
        if not is_known or any(key_in(chosen.get(name, "0")) is None for name in KEYS):
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
        rows = conditions.of_callback(rows, self.chosen.get(CALLBACK, ""))
        rows = conditions.with_answer(rows, self.chosen.get(ANSWER, ""))
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
        settings = CallbackSetting.objects.select_related("affiliate").in_bulk(
            [int(pk) for name in (CALLBACK, WHILE_PAUSED) if (pk := chosen(name))]
        )

        def named(found: Any, pk: str | None) -> str:
            return "" if not pk else str(found) if found else _("(deleted)")

        words: list[tuple[str, Any]] = [
            (_("State"), STATES.get(chosen(STATE), "")),
            (_("Event"), dict(EVENTS).get(chosen(EVENT), "")),
            (_("Affiliate"), named(affiliate and affiliate.name, chosen(AFFILIATE))),
            (_("Callback"), named(settings.get(int(chosen(CALLBACK, 0))), chosen(CALLBACK))),
            (_("Origin"), ORIGINS.get(chosen(ORIGIN), "")),
            (_("Host"), chosen(HOST, "")),
            (_("Code"), CODES.get(chosen(CODE), chosen(CODE, ""))),
            (_("Answer"), ANSWERS.get(chosen(ANSWER), "")),
            (_("Date"), str(self.period)),
            (_("Skipped while paused"), named(settings.get(int(chosen(WHILE_PAUSED, 0))), chosen(WHILE_PAUSED))),
            (_("Search"), f"“{chosen(SEARCH)}”" if chosen(SEARCH) else ""),
        ]
        return [(name, str(value)) for name, value in words if value]
