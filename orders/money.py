"""Amounts of money: which currencies there are, how many minor digits each has, rounding and plain text.

Pure: no database. Amounts are `Decimal`, never float.
"""

from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache

from babel.numbers import get_currency_precision, list_currencies

# Where Unicode's customary digits, which Babel carries, differ from the minor units of ISO 4217 (list one): shops
# charge 58.50 RSD although there are no such coins.
ISO_DIGITS = {"IQD": 3} | dict.fromkeys(
    ("AFN", "ALL", "IRR", "KPW", "LAK", "LBP", "MGA", "MMK", "RSD", "SOS", "SYP", "YER"), 2
)


CURRENCIES = frozenset(list_currencies())


def is_currency(code: str) -> bool:
    """Whether `code` is an ISO 4217 currency code, in capitals."""
    return code in CURRENCIES


@cache
def minor_digits(code: str) -> int:
    """How many digits after the point amounts of this currency have: USD 2, JPY 0, KWD 3. Unknown codes have 2."""
    return ISO_DIGITS.get(code, get_currency_precision(code))


@cache
def _unit(code: str) -> Decimal:
    return Decimal(1).scaleb(-minor_digits(code))


def rounded(amount: Decimal, code: str) -> Decimal:
    """`amount` rounded half-even to the currency's minor units."""
    return amount.quantize(_unit(code), ROUND_HALF_EVEN)


def plain(amount: Decimal, code: str) -> str:
    """`amount` as trackers read it: `58.00`, `-58.00`, JPY `1200`; a point, no grouping, never an exponent."""
    value = rounded(amount, code)
    return format(abs(value) if value.is_zero() else value, "f")


def has_too_many_decimals(amount: Decimal, code: str) -> bool:
    """Whether a finite `amount` has more digits after the point than the currency; zeros at the end do not count."""
    _, digits, exponent = amount.as_tuple()
    assert isinstance(exponent, int)
    surplus = -exponent - minor_digits(code)
    return surplus > 0 and any(digits[-surplus:])
