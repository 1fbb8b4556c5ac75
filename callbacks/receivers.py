"""Records the events of orders, in the transaction that saves or deletes them."""

from typing import Any

from django.db.models.signals import post_save, pre_delete
from django.dispatch import receiver

from callbacks.delivery import outbox
from orders.models import Order, OrderQuerySet
from orders.signals import orders_created, orders_deleted


@receiver(post_save, sender=Order, dispatch_uid="callbacks.order_saved")
def order_saved(sender: type[Order], instance: Order, raw: bool = False, **_: Any) -> None:
    if not raw:  # a fixture brings its own deliveries, if any
        outbox.record([instance])


@receiver(orders_created, sender=Order, dispatch_uid="callbacks.orders_inserted")
def orders_inserted(sender: type[Order], orders: list[Order], **_: Any) -> None:
    outbox.record(orders)


@receiver(orders_deleted, sender=Order, dispatch_uid="callbacks.orders_deleted")
def orders_about_to_be_deleted(sender: type[Order], keys: list[int], **_: Any) -> None:
    outbox.record_deletion(keys)


@receiver(pre_delete, sender=Order, dispatch_uid="callbacks.order_deleted")
def order_about_to_be_deleted(sender: type[Order], instance: Order, origin: object = None, **_: Any) -> None:
    """However else it is deleted: Django sends this for each row, inside the transaction of the deletion."""
    if not isinstance(origin, OrderQuerySet):  # which has told already
        outbox.record_deletion([instance.pk])
