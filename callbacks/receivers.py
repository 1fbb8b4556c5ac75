"""Records the events of orders, in the transaction that saves or deletes them."""

from typing import Any

from django.db.models.signals import post_save, pre_delete
from django.dispatch import receiver

from callbacks.delivery import outbox
from orders.models import Order
from orders.signals import orders_created


@receiver(post_save, sender=Order, dispatch_uid="callbacks.order_saved")
def order_saved(sender: type[Order], instance: Order, raw: bool = False, **_: Any) -> None:
    if not raw:  # a fixture brings its own deliveries, if any
        outbox.record([instance])


@receiver(orders_created, sender=Order, dispatch_uid="callbacks.orders_inserted")
def orders_inserted(sender: type[Order], orders: list[Order], **_: Any) -> None:
    outbox.record(orders)


@receiver(pre_delete, sender=Order, dispatch_uid="callbacks.order_deleted")
def order_deleted(sender: type[Order], instance: Order, **_: Any) -> None:
    """However it is deleted: Django sends this for each row, inside the transaction of the deletion."""
    outbox.record_deletion(instance)
