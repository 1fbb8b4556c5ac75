"""Which deliveries a newer one replaces: a tracker must not hear an old truth after a newer one.

Of the deliveries of one order for one affiliate, a newer one for the same callback replaces those that still wait, and
a newer *created* (the order came back to its affiliate) also replaces a waiting *updated* of any callback. A *created*
that comes late, because its callback was paused or a person resends many, is replaced by an *updated* that its host has
accepted since. What waits for a deleted order is replaced by the order that has its number now.

One that is on the wire is waited for (`callbacks.delivery.queue`), and replaced if it fails. A newer one that was left
out by its callback's statuses replaces an older one only if the status is another by now: what the older one says of it
is no longer true.
"""

from collections.abc import Collection

from django.db import connection
from django.db.models import BooleanField, Q, QuerySet
from django.db.models.expressions import RawSQL

from callbacks.models import Delivery, EventType
from config.monitoring import metrics

Status = Delivery.Status
_TABLE = Delivery._meta.db_table  # noqa: SLF001 - Django's documented name


def newer_than(delivery: str, *, is_open: bool = False) -> str:
    """The SQL condition that a newer delivery replaces the one in the table or alias `delivery`.

    `is_open`: a newer one that is not over yet. It has neither parameters nor percent signs.
    """
    status = variable("n", "order.status")
    host = "(SELECT host FROM callbacks_callbacksetting WHERE id = {}.setting_id)"
    return f"""EXISTS (
      SELECT 1 FROM callbacks_delivery n
      WHERE n.order_id = {delivery}.order_id AND n.affiliate_id = {delivery}.affiliate_id AND n.id > {delivery}.id
        AND n.origin <> 'test' AND (
          n.setting_id = {delivery}.setting_id
          OR (n.event = 'order.created' AND {delivery}.event = 'order.updated' AND n.origin = 'event')
          OR (n.event = 'order.updated' AND {delivery}.event = 'order.created' AND n.status IN ('succeeded', 'sending')
            AND {host.format("n")} = {host.format(delivery)}))
        AND (n.skip_reason <> 'filtered' OR {status} <> {variable(delivery, "order.status")})
        {"AND n.status IN ('pending', 'sending')" if is_open else ""})"""  # noqa: S608 - no values


def made_again(delivery: str) -> str:
    """The SQL condition that the order of `delivery` is deleted, and its affiliate has a newer one with its number."""
    return f"""EXISTS (
      SELECT 1 FROM orders_order o
      WHERE o.number = {variable(delivery, "order.number")} AND o.affiliate_id = {delivery}.affiliate_id
        AND o.id > {delivery}.order_id AND {delivery}.origin <> 'test'
        AND NOT EXISTS (SELECT 1 FROM orders_order gone WHERE gone.id = {delivery}.order_id))"""  # noqa: S608


def variable(table: str, name: str) -> str:
    """The SQL of a variable of the delivery in this table or alias, as text; NULL if it has none of this name."""
    if connection.vendor == "sqlite":
        return f"json_extract({table}.variables, '$.\"{name}\"')"
    return f"{table}.variables ->> '{name}'"


def is_superseded(*, is_open: bool = False) -> RawSQL:
    """As `newer_than`, an expression for querysets of deliveries."""
    return _expression(newer_than(_TABLE, is_open=is_open))


def is_made_again() -> RawSQL:
    """As `made_again`, an expression for querysets of deliveries."""
    return _expression(made_again(_TABLE))


def _expression(condition: str) -> RawSQL:
    return RawSQL(condition, [], BooleanField())  # noqa: S611 - our own text, without values


def end(*, orders: Collection[int] = (), deliveries: Collection[int] = (), but: Collection[int] = ()) -> int:
    """End what waits and is replaced, among the deliveries of these `orders` or these `deliveries`; returns how many.

    To be called in a transaction, after the newer deliveries were written.
    """
    waiting = Delivery.objects.filter(status=Status.PENDING).filter(is_superseded()).exclude(pk__in=but)
    waiting = waiting.filter(order__pk__among=orders) if orders else waiting.filter(pk__among=deliveries)
    # In the order of keys, as everybody locks them, so that no two wait for each other.
    locked = waiting.order_by("pk").select_for_update(no_key=True, of=("self",)).values_list("pk", flat=True)
    found = list(locked)
    if not found:
        return 0
    count = Delivery.objects.filter(pk__among=found, status=Status.PENDING).update(
        status=Status.SKIPPED, skip_reason=Delivery.SkipReason.SUPERSEDED, next_attempt_at=None
    )
    metrics.SKIPPED.labels(Delivery.SkipReason.SUPERSEDED.value).inc(count)
    return count


# --- for pages -----------------------------------------------------------------
def replacement_of(delivery: Delivery) -> Delivery | None:
    """The delivery that replaced this one; None if nothing did, or if that is not known any more."""
    if delivery.skip_reason != Delivery.SkipReason.SUPERSEDED:
        return None
    same = Q(setting=delivery.setting_id) if delivery.setting_id else Q()
    back = Q(event=EventType.CREATED, origin=Delivery.Origin.EVENT)
    found = _newer(delivery).filter(same | back).order_by("pk").first()
    if found is None and (since := delivered_since(delivery)):
        return since
    if found is None and delivery.order_id and delivery.order is None:
        again = Delivery.objects.filter(order__number=delivery.order_number, affiliate=delivery.affiliate_id)
        found = again.exclude(origin=Delivery.Origin.TEST).order_by("pk").first()
    return found


def delivered_since(delivery: Delivery) -> Delivery | None:
    """The newest delivery of its order that the same callback or host has accepted since."""
    if delivery.setting is None:
        return None
    there = Q(setting=delivery.setting_id) | Q(setting__host=delivery.setting.host) & ~Q(event=delivery.event)
    return _newer(delivery).filter(there, status=Status.SUCCEEDED).order_by("pk").last()


def _newer(delivery: Delivery) -> QuerySet[Delivery]:
    """Of the same order and affiliate, without tests."""
    same = Delivery.objects.filter(order=delivery.order_id, affiliate=delivery.affiliate_id, pk__gt=delivery.pk)
    return same.exclude(origin=Delivery.Origin.TEST) if delivery.order_id else same.none()
