"""Amounts of money as a page shows them."""

from decimal import Decimal

from babel.numbers import format_currency, get_currency_symbol
from django import template

from orders import money as currencies

register = template.Library()


@register.simple_tag
def money(amount: Decimal | None, currency: str) -> str:
    """`$1,284.50`, with the digits that the currency has."""
    if amount is None:
        return ""
    shown = currencies.rounded(amount, currency)
    return format_currency(shown, currency, locale="en_US", currency_digits=False, format=_pattern(currency))


def _pattern(currency: str) -> str:
    digits = currencies.minor_digits(currency)
    space = "\N{NO-BREAK SPACE}" if get_currency_symbol(currency, "en_US")[-1].isalpha() else ""
    return f"¤{space}#,##0" + ("." + "0" * digits if digits else "")
