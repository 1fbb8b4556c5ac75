"""Hears of saved orders and hands them to the outbox, in the transaction that saved them."""

from typing import Any

from django.db.models.signals import post_save

from callbacks.delivery import outbox
from orders.models import Order
from orders.signals import orders_created


def order_saved(sender: type[Order], instance: Order, raw: bool = False, **_: Any) -> None:
    if not raw:  # a fixture: its deliveries come with it, or it has none
        outbox.record([instance])


def orders_inserted(sender: type[Order], orders: list[Order], **_: Any) -> None:
    outbox.record(orders)


def connect() -> None:
    post_save.connect(order_saved, sender=Order, dispatch_uid="callbacks.order_saved")
    orders_created.connect(orders_inserted, sender=Order, dispatch_uid="callbacks.orders_inserted")
