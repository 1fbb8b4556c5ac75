"""The tables: orders and their refunds, shops and their messages, tokens of the API."""

from orders.models.fields import (
    AMOUNT_DIGITS,
    AMOUNT_PLACES,
    COUPON_MAX_LENGTH,
    EXTERNAL_ID_MAX_LENGTH,
    NUMBER_MAX_LENGTH,
    RATE_PLACES,
    CurrencyField,
    link_of_another,
    validate_currency,
    validate_number,
    validate_statuses,
)
from orders.models.message import Message, forget
from orders.models.order import Order
from orders.models.queryset import OrderQuerySet
from orders.models.refund import Refund
from orders.models.shop import Shop
from orders.models.state import WATCHED, OrderState
from orders.models.token import ApiToken, IdempotentAnswer

__all__ = [
    "AMOUNT_DIGITS",
    "AMOUNT_PLACES",
    "COUPON_MAX_LENGTH",
    "EXTERNAL_ID_MAX_LENGTH",
    "NUMBER_MAX_LENGTH",
    "RATE_PLACES",
    "WATCHED",
    "ApiToken",
    "CurrencyField",
    "IdempotentAnswer",
    "Message",
    "Order",
    "OrderQuerySet",
    "OrderState",
    "Refund",
    "Shop",
    "forget",
    "link_of_another",
    "validate_currency",
    "validate_number",
    "validate_statuses",
]
