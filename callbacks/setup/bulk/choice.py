"""Keeps in the session which affiliates a person chose, while that person looks at what would become of them.

Their ids are kept, and not a filter, because a filter may match others a minute later. Each choice has a name that
stands in the path of its pages, so that two windows keep theirs apart. Ids are written as ranges: five thousand
affiliates in a row take a few characters.
"""

import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.contrib.sessions.backends.base import SessionBase
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.utils.translation import gettext as _

from affiliates.models import Affiliate
from callbacks.models import CallbackSetting, EventType
from orders.models import Order

PERMISSIONS = ("callbacks.add_callbacksetting", "callbacks.change_callbacksetting")  # to set up many at once
CHOSEN = "chosen_affiliates"  # in the session: name of the choice -> ranges of ids, the latest last
KEPT = 5  # choices of one session
NAMED = 5  # affiliates that a page names before it counts the others
SAMPLES = 12  # affiliates whose newest orders are offered for a preview
LOOKED_AT = 200  # affiliates among whom those are looked for
RANGE = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18}))?")


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen affiliates: how many of them there are now, and the first by name. `ids` may hold deleted ones."""

    name: str
    ids: tuple[int, ...]
    count: int
    first: tuple[Affiliate, ...]

    @property
    def others(self) -> int:
        """How many are not named."""
        return self.count - len(self.first)


@dataclass(frozen=True, slots=True)
class Group:
    """Affiliates who have something in common: what the group is called, and how many there are."""

    key: str
    label: str
    count: int


@dataclass(frozen=True, slots=True)
class Sample:
    """An affiliate and their newest order, None if they have none."""

    affiliate: Affiliate
    order: Order | None


# --- in the session -------------------------------------------------------------------
def keep(session: SessionBase, ids: Iterable[int]) -> str:
    """Remember these affiliates and return the name of the choice."""
    name = secrets.token_urlsafe(6)
    choices = {**session.get(CHOSEN, {}), name: to_text(ids)}
    session[CHOSEN] = dict(list(choices.items())[-KEPT:])
    return name


def find(session: SessionBase, name: str) -> Choice | None:
    """The choice of that name; None if it was forgotten, or nobody of it is left."""
    ids = tuple(from_text(session.get(CHOSEN, {}).get(name, "")))
    found = affiliates_of(ids)
    count = found.count() if ids else 0
    return Choice(name, ids, count, tuple(found.order_by("name", "pk")[:NAMED])) if count else None


def to_text(ids: Iterable[int]) -> str:
    """`1-40,43`: ids in order, each once."""
    runs: list[list[int]] = []
    for pk in sorted(set(ids)):
        if runs and pk == runs[-1][1] + 1:
            runs[-1][1] = pk
        else:
            runs.append([pk, pk])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def from_text(text: str) -> Iterator[int]:
    """The ids that `to_text` wrote."""
    for first, last in RANGE.findall(text):
        yield from range(int(first), int(last or first) + 1)


# --- groups to choose ------------------------------------------------------
def affiliates_of(ids: Iterable[int]) -> QuerySet[Affiliate]:
    return Affiliate.objects.filter(pk__among=list(ids))


def groups() -> list[Group]:
    """The groups that can be chosen as a whole, without the empty ones. One query."""
    queries = _queries()
    counted = _annotated().aggregate(**{key: Count("pk", filter=q) for key, (_, q) in queries.items()})
    return [Group(key, label, counted[key]) for key, (label, _) in queries.items() if counted[key]]


def ids_of(group: str) -> list[int] | None:
    """The affiliates of that group; None if there is no such group."""
    queries = _queries()
    if group not in queries:
        return None
    return list(_annotated().filter(queries[group][1]).order_by("pk").values_list("pk", flat=True))


def _annotated() -> QuerySet[Affiliate]:
    own = CallbackSetting.objects.filter(affiliate=OuterRef("pk"))
    return Affiliate.objects.annotate(
        has_created=Exists(own.filter(event=EventType.CREATED)), has_updated=Exists(own.filter(event=EventType.UPDATED))
    )


def _queries() -> dict[str, tuple[str, Q]]:
    return {
        "all": (_("All affiliates"), Q(pk__isnull=False)),
        "approved": (_("Approved affiliates"), Q(status=Affiliate.Status.APPROVED)),
        "no-created": (_("Affiliates without an order created callback"), Q(has_created=False)),
        "no-updated": (_("Affiliates without an order updated callback"), Q(has_updated=False)),
    }


# --- orders for a preview -----------------------------------------
def samples(ids: Iterable[int], count: int = SAMPLES, *, with_orders: bool = True) -> list[Sample]:
    """Some of these affiliates, each with their newest order, those who have one first; then by name. Two queries."""
    newest = Order.objects.filter(affiliate=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    found = list(affiliates_of(ids).annotate(newest_order=Subquery(newest)).order_by("name", "pk")[:LOOKED_AT])
    if with_orders:
        found.sort(key=lambda affiliate: affiliate.newest_order is None)
    found = found[:count]
    keys = [affiliate.newest_order for affiliate in found if affiliate.newest_order and with_orders]
    orders = Order.objects.select_related("affiliate", "link").in_bulk(keys)
    return [Sample(affiliate, orders.get(affiliate.newest_order) if with_orders else None) for affiliate in found]
