"""The kinds of fields that bodies and addresses have, and what is said of one that does not fit."""

import difflib
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

from django.core.exceptions import ValidationError
from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema
from pydantic_core import PydanticCustomError

from affiliates.models import validate_text
from orders.intake.json_body import JsonNumber
from orders.models import AMOUNT_DIGITS, AMOUNT_PLACES, COUPON_MAX_LENGTH

MOST_COUPONS = 50


class Body(BaseModel):
    """A JSON object; a field that it does not know is refused, as it would change nothing.

    No `ninja.Schema`, which reads the attributes of any object too.
    """

    model_config = ConfigDict(extra="forbid")


def _text_of_number(value: Any) -> str:
    if isinstance(value, JsonNumber):
        return value.text
    if isinstance(value, str):
        return value
    raise PydanticCustomError("invalid", "This is not a number.")


def _count(value: Any) -> int:
    text = value.text if isinstance(value, JsonNumber) else ""
    if not re.fullmatch("[0-9]{1,9}", text):
        raise PydanticCustomError("invalid", "This is not a whole number from 0 to 999999999.")
    return int(text)


def _codes(value: Any) -> list[str]:
    texts = value.split(",", MOST_COUPONS) if isinstance(value, str) else value
    is_list = isinstance(texts, list) and len(texts) <= MOST_COUPONS
    if not is_list or any(not isinstance(text, str) or len(text) > COUPON_MAX_LENGTH for text in texts):
        raise PydanticCustomError(
            "invalid", f"Send a list of up to {MOST_COUPONS} codes, each of up to {COUPON_MAX_LENGTH} characters."
        )
    try:
        validate_text("".join(texts))
    except ValidationError as error:
        raise PydanticCustomError("control_character", "Remove the control characters.") from error
    return [code for text in texts if (code := text.strip())]


def moment(value: Any) -> datetime:
    """The time that a text says. Raises pydantic's error unless it is of our times and names its zone."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) and "T" in value[:40].upper() else None
    except ValueError:
        found = None
    if found is None or found.tzinfo is None or not 1970 < found.year < 9999:
        raise PydanticCustomError("invalid", "Write the time as 2026-03-14T09:30:00Z, with its zone.")
    return found.astimezone(UTC)


_DIGITS = AMOUNT_DIGITS - AMOUNT_PLACES
_PATTERN = rf"^(-?[0-9]{{1,{_DIGITS}}}(\.[0-9]{{1,{AMOUNT_PLACES}}})?)?$"
Amount = Annotated[
    str,
    BeforeValidator(_text_of_number),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": _PATTERN}, {"type": "number"}]}),
]
# What may stand in an address: all but NUL, with which it is refused before it is read.
UrlText = Annotated[str, WithJsonSchema({"type": "string", "pattern": r"^[^\x00]*$"})]
Count = Annotated[
    int, BeforeValidator(_count), WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 999_999_999})
]
Moment = Annotated[datetime, BeforeValidator(moment), WithJsonSchema({"type": "string", "format": "date-time"})]
_CODE = {"type": "string", "maxLength": COUPON_MAX_LENGTH}
Coupons = Annotated[
    list[str],
    BeforeValidator(_codes),
    WithJsonSchema({"anyOf": [_CODE, {"type": "array", "maxItems": MOST_COUPONS, "items": _CODE}]}),
]


def problem_of(error: Any, path: Iterable[int | str], model: type[BaseModel]) -> tuple[str, str, str]:
    """The field at `path`, the code and the sentence of one of pydantic's errors about a body of this model."""
    parts = [str(part) for part in path]
    field = ".".join(parts)[:100]
    if error["type"] == "model_type":
        return field, "model_type", "Send a JSON object."
    if error["type"] != "extra_forbidden":
        return field, str(error["type"]), str(error["msg"])
    close = difflib.get_close_matches(parts[-1][:100].casefold(), model.model_fields, n=1)
    hint = f"Did you mean “{close[0]}”?" if close else f"Known: {', '.join(model.model_fields)}."
    return field, "unknown_field", f"There is no field with this name. {hint}"
