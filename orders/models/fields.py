"""What the columns of an order may hold: lengths, digits, and validators. What needs a second column is in `order`."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from affiliates.models import Affiliate
from orders import money
from orders.models.choices import Status

NUMBER_MAX_LENGTH = 100
AMOUNT_DIGITS = 19
AMOUNT_PLACES = 4  # the most that ISO 4217 knows (CLF, UYW)
RATE_PLACES = 6
EXTERNAL_ID_MAX_LENGTH = 64
COUPON_MAX_LENGTH = 255


def validate_number(number: str) -> None:
    """Refuse what the API cannot have in an address."""
    if number in {".", ".."}:
        raise ValidationError(
            _("An order number cannot be only dots. Add another character, such as #."), code="dots_only"
        )
    if number == "batch":  # /api/orders/batch
        raise ValidationError(
            _("An order number cannot be “batch”. Add another character, such as #."), code="reserved"
        )


def validate_currency(code: str) -> None:
    if not money.is_currency(code):
        raise ValidationError(
            _("“%(code)s” is not a currency code. Use the three letters of ISO 4217, such as USD or EUR."),
            code="unknown_currency",
            params={"code": code[:10]},
        )


def validate_statuses(values: list[str]) -> None:
    if not isinstance(values, list) or any(value not in Status.values for value in values):
        raise ValidationError(
            _("Choose from these order statuses: %(known)s."),
            code="unknown_status",
            params={"known": ", ".join(Status.values)},
        )


def link_of_another(owner: Affiliate) -> ValidationError:
    return ValidationError(
        _("This link belongs to %(name)s. Clear it, or choose that affiliate."),
        code="link_of_another_affiliate",
        params={"name": owner.name},
    )


class CurrencyField(models.CharField):  # type: ignore[type-arg]  # not subscriptable at run time
    """A currency code, in capitals however it was written."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        return text.strip().upper() if isinstance(text, str) else text
