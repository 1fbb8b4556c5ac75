"""Forgets one order: all that is stored about it goes, in one transaction, but the sums that name nobody.

No tracker is told, and what waits is not sent: to forget is not to cancel. A delivery that is on the wire at this
moment is not written back, because whoever settles it finds it gone (`callbacks.delivery.settle`).
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from affiliates import referral
from affiliates.models import Link
from callbacks.log.selection import SEARCH
from callbacks.models import Attempt, Delivery, Job, sql
from callbacks.postback.variables import LINK_QUERY
from callbacks.reports import hourly
from callbacks.retention import kept_sums
from orders.models import Order
from orders.models import forget as forget_messages

log = structlog.get_logger(__name__)

OPEN = (Delivery.Status.PENDING, Delivery.Status.SENDING)
FORGOTTEN = "(forgotten)"
RANGE = 20_000  # deliveries that are looked through at a time


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many rows of each kind are gone."""

    orders: int = 0
    deliveries: int = 0
    attempts: int = 0
    links: int = 0
    notes: int = 0

    def __bool__(self) -> bool:
        return bool(self.orders or self.deliveries or self.notes)


def forget(number: str, user: User | None = None, only: Order | None = None) -> Forgotten:
    """Forget the orders with exactly this number, else `only` this one, and what is left of deleted ones that had it.

    Looks through all deliveries for the latter, which takes some seconds for each ten million of them. Who did it is
    noted, without the number.
    """
    if connection.vendor == "sqlite":  # else it could still be read in the file, where the rows were
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA secure_delete = ON")
    of_deleted = list(_of_deleted_orders(number))
    with transaction.atomic():
        meant = Q(number=number) if only is None else Q(pk=only.pk)
        orders = list(Order.objects.select_for_update(of=("self",)).filter(meant).select_related("link"))
        gone = _forget(number, orders, of_deleted)
        if gone and user is not None:
            _note(user)
        transaction.on_commit(_empty_log, robust=True)
    if gone:
        log.info("order_forgotten", deliveries=gone.deliveries, attempts=gone.attempts)
    return gone


def link_that_goes(order: Order) -> Link | None:
    """Its link if only this order came through it, and it holds more than the affiliate's code: it may name a click."""
    link = order.link
    if link is None or Order.objects.filter(link=link).exclude(pk=order.pk).exists():
        return None
    return link if _may_name_a_click(link.url) else None


def _may_name_a_click(url: str) -> bool:
    found = referral.parse(url)
    return bool(found.hash or {name for name in found.query if name not in settings.REFERRAL_PARAMETERS})


def _forget(number: str, orders: list[Order], of_deleted: list[int]) -> Forgotten:
    is_about = Q(order__in=[order.pk for order in orders]) | Q(pk__among=of_deleted)
    locked = Delivery.objects.select_for_update(of=("self",)).filter(is_about).order_by("pk")
    deliveries = list(locked.only("pk", "variables", "affiliate"))
    keys = [delivery.pk for delivery in deliveries]
    attempts = Attempt.objects.filter(delivery__in=keys)
    hourly.count_before_deletion(attempts)
    kept_sums.add_results(keys)
    kept_sums.add_orders(orders)
    links = [link for order in orders if (link := link_that_goes(order))] + list(_earlier_links(deliveries))
    link_keys = {link.pk for link in links}
    notes = _notes(number, [order.pk for order in orders], keys, link_keys).delete()[0]
    _leave_out_of_jobs(number)
    forget_messages(orders)
    return Forgotten(
        attempts=_delete("callbacks_attempt", "delivery_id", keys),
        deliveries=_delete("callbacks_delivery", "id", keys),
        orders=_delete("orders_order", "id", [order.pk for order in orders]),
        links=_delete("affiliates_link", "id", link_keys),
        notes=notes,
    )


def _delete(table: str, column: str, keys: Collection[int]) -> int:
    """In SQL of our own: `Order.delete` would tell the trackers that it is rejected."""
    if not keys:
        return 0
    among, parameter = sql.one_of(keys)
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {table} WHERE {column} {among}", [parameter])  # noqa: S608 - our own names
        return int(cursor.rowcount)


# --- what else holds it --------------------------------------------------------
def _of_deleted_orders(number: str) -> Iterator[int]:
    """The keys of the deliveries of orders that had this number and are gone."""
    gone = Delivery.objects.order_by("pk").filter(**{"variables__order.number": number})
    gone = gone.filter(~Exists(Order.objects.filter(pk=OuterRef("order"))))
    bounds = Delivery.objects.order_by("pk").values_list("pk", flat=True)
    first, last = bounds.first() or 0, bounds.last() or -1
    for start in range(first, last + 1, RANGE):
        yield from gone.filter(pk__range=(start, start + RANGE - 1)).values_list("pk", flat=True)


def _earlier_links(deliveries: Collection[Delivery]) -> Iterator[Link]:
    """Links that no order came through any more, and whose values were told in one of these deliveries."""
    told = [_link_values(d.variables) for d in deliveries if d.affiliate_id]
    affiliates = {delivery.affiliate_id for delivery in deliveries if delivery.affiliate_id}
    if any(told):
        for link in Link.objects.filter(affiliate__in=affiliates, orders=None).iterator():
            values = {LINK_QUERY + name: value for name, value in referral.parse(link.url).query.items() if name}
            if values in told and _may_name_a_click(link.url):
                yield link


def _link_values(variables: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name.startswith(LINK_QUERY)}


def _notes(
    number: str, orders: Collection[int], deliveries: Collection[int], links: Collection[int]
) -> QuerySet[LogEntry]:
    """The notes of the admin about the order, its deliveries and its link."""
    found = Q(pk=None)
    for model, keys, said in (
        (Order, orders, Q(object_repr=number[:200])),
        (Delivery, deliveries, Q(object_repr__startswith=f"{number} · ")),
        (Link, links, Q(pk=None)),
    ):
        about = ContentType.objects.get_for_model(model)
        found |= Q(content_type=about) & (Q(object_id__in=[str(key) for key in keys]) | said)
    return LogEntry.objects.filter(found)


def _leave_out_of_jobs(number: str) -> None:
    """A resend of all that a search found keeps what was searched for."""
    terms = {number, number.removeprefix("#")}
    for job in Job.objects.filter(chosen__has_key=SEARCH):
        term = str(job.chosen[SEARCH])
        if term.strip() in terms:
            job.chosen[SEARCH], job.words = FORGOTTEN, job.words.replace(f"“{term}”", FORGOTTEN)
            job.save(update_fields=["chosen", "words"])


def _note(user: User) -> None:
    LogEntry.objects.create(
        user=user,
        content_type=ContentType.objects.get_for_model(Order),
        object_repr="An order",
        action_flag=DELETION,
        change_message="Deleted for good, with all its data.",
    )


def _empty_log() -> None:
    """SQLite's write-ahead log still has the pages as they were. Another process that reads may keep it for a while."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
