from decimal import Decimal

import pytest

from orders import money


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("58", "USD", "58.00"),
        ("-58.0000", "EUR", "-58.00"),
        ("1200", "JPY", "1200"),
        ("1200.0000", "JPY", "1200"),
        ("1.2345", "KWD", "1.234"),
        ("12.5", "IQD", "12.500"),
        ("58.50", "RSD", "58.50"),
        ("1.2345", "CLF", "1.2345"),
        ("1E+6", "USD", "1000000.00"),
        ("-0.001", "USD", "0.00"),
        ("0.125", "USD", "0.12"),
        ("0.135", "USD", "0.14"),
    ],
)
def test_plain_amount_has_the_minor_digits_of_its_currency(amount: str, currency: str, text: str) -> None:
    assert money.plain(Decimal(amount), currency) == text


@pytest.mark.parametrize("code", ["USD", "EUR", "JPY", "IDR"])
def test_is_currency_known_code_is_true(code: str) -> None:
    assert money.is_currency(code)


@pytest.mark.parametrize("code", ["usd", "ABC", "", "US", "USDT", "U\0D"])
def test_is_currency_anything_else_is_false(code: str) -> None:
    assert not money.is_currency(code)


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [("58.00", "USD", False), ("58.0000", "USD", False), ("58.001", "USD", True), ("1200.0", "JPY", False),
     ("1200.5", "JPY", True), ("1E+3", "JPY", False), ("1" * 400, "USD", False), ("0." + "1" * 400, "USD", True)],
)  # fmt: skip
def test_has_too_many_decimals_counts_what_is_not_zero(amount: str, currency: str, expected: bool) -> None:
    assert money.has_too_many_decimals(Decimal(amount), currency) is expected
