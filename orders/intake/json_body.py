"""Reads JSON that a program sent: the text by RFC 8259 and no further, and of it only what is named, of its type.

Pure: no database.
"""

import json
import re
from collections.abc import Callable
from typing import Any, Final

_UNSTORABLE = re.compile("[\0-\x1f\x7f-\x9f\ud800-\udfff]")
_EMAIL = re.compile(r"(?:@|%40)[\w-]{1,63}\.")
_DECIMAL = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,40})?")
_CURRENCY = re.compile(r"[A-Za-z0-9]{3,5}")
_ID = re.compile(r"[0-9]{1,64}")
MOST_ITEMS: Final = 250  # of a list that are read


# --- the text ----------------------------------------------------------------
class JsonNumber:
    """A number of a JSON text, as it is written there: an id may be larger than a float can tell from the next one."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class BadJsonError(ValueError):
    """A body that is no JSON text, with the reason."""


def read(body: bytes) -> Any:
    """JSON in UTF-8, with or without a BOM: no NaN, no Infinity, no name twice, which other readers take differently.

    Numbers are `JsonNumber`. Raises `BadJsonError`.
    """
    try:
        return json.loads(
            body.decode("utf-8-sig"),
            parse_int=JsonNumber,
            parse_float=JsonNumber,
            parse_constant=_refuse_constant,
            object_pairs_hook=_once_each,
        )
    except UnicodeDecodeError as error:
        raise BadJsonError("The body is not UTF-8.") from error
    except RecursionError as error:
        raise BadJsonError("The body is nested too deeply.") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise BadJsonError(f"The body is not JSON: {error.msg}, {where}.") from error


def _refuse_constant(name: str) -> Any:
    raise BadJsonError(f"The body is not JSON: {name} is not a JSON number.")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise BadJsonError("The body has the same field twice.")
    return found


# --- what is named in it -----------------------------------------------------
Shape = Callable[[Any], Any] | dict[str, Any] | list[Any]


def pick(value: Any, shape: Shape) -> Any:
    """Of `value` only what `shape` names, of the types that it names; None if it is of another type.

    A shape is a function that returns the value or None, a dict of shapes, or a list with the shape of its items. The
    names of a dict whose value is None are left out. What is picked can be stored as JSON in any database.
    """
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return None
        picked = {name: pick(value[name], inner) for name, inner in shape.items() if name in value}
        return {name: found for name, found in picked.items() if found is not None}
    if isinstance(shape, list):
        if not isinstance(value, list):
            return None
        return [found for each in value[:MOST_ITEMS] if (found := pick(each, shape[0])) is not None]
    return shape(value)


def text(most: int) -> Callable[[Any], str | None]:
    """The shape of a text of at most so many characters; one in which an e-mail address stands is none."""

    def shape(value: Any) -> str | None:
        value = value.text if isinstance(value, JsonNumber) else value
        if not isinstance(value, str) or len(value) > most or _EMAIL.search(value):
            return None
        return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value)

    return shape


def decimal(value: Any) -> str | None:
    """The shape of an amount: a text or a number in plain notation. It is not rounded."""
    found = value.text if isinstance(value, JsonNumber) else value
    return found if isinstance(found, str) and _DECIMAL.fullmatch(found) else None


def currency(value: Any) -> str | None:
    """The shape of a currency's code, in capitals; of what can be none a question mark, which is refused later."""
    if value is None or value == "":
        return None
    return value.upper() if isinstance(value, str) and _CURRENCY.fullmatch(value) else "?"


def key(value: Any) -> str | None:
    """The shape of a whole number that names something."""
    found = value.text if isinstance(value, JsonNumber) else value
    return found if isinstance(found, str) and _ID.fullmatch(found) else None


def boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None
