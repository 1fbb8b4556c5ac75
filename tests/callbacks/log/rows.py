"""Deliveries in any state, and which of them the log lists."""

from typing import Any

from django.test import Client

from callbacks.models import CallbackSetting, Delivery
from tests.factories import LinkFactory, OrderFactory, in_state

LIST = "/admin/callbacks/delivery/"


def deliver(setting: CallbackSetting, number: str, status: str = "succeeded", **fields: Any) -> Delivery:
    """Make an order that came through a link, and bring its delivery to the state that is asked for."""
    link = LinkFactory(affiliate=setting.affiliate, url=f"https://shop.example/p?ref=joe&sub_id={number[1:]}")
    order = OrderFactory(number=number, affiliate=setting.affiliate, link=link)
    Delivery.objects.filter(order=order).update(**in_state(status, **fields))
    return Delivery.objects.get(order=order)


def found(client: Client, query: str = "") -> list[str]:
    return [delivery.order_number for delivery in client.get(LIST + query).context["cl"].result_list]
