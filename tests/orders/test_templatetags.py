"""Amounts of money as a page shows them."""

from decimal import Decimal

import pytest
from django.template import Context, Template


def rendered(source, **context):
    return Template("{% load money %}" + source).render(Context(context))


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("58", "USD", "$58.00"),
        ("-58", "EUR", "-€58.00"),
        ("9417.2", "USD", "$9,417.20"),
        ("120000", "JPY", "¥120,000"),
        ("1284.5", "KWD", "KWD\N{NO-BREAK SPACE}1,284.500"),
        ("58.5", "RSD", "RSD\N{NO-BREAK SPACE}58.50"),
        ("0", "CHF", "CHF\N{NO-BREAK SPACE}0.00"),
    ],
)
def test_money_has_the_digits_and_the_sign_of_its_currency(amount, currency, shown):
    assert rendered("{% money amount currency %}", amount=Decimal(amount), currency=currency) == shown


def test_money_of_nothing_is_nothing():
    assert rendered("{% money None 'USD' %}") == ""
