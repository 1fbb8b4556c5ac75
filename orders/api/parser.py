"""Reads the body of a request: JSON as RFC 8259 has it, and nothing that other readers take differently."""

import json
from typing import Any

from django.http import HttpRequest
from ninja.parser import Parser


class JsonNumber:
    """A number of a JSON text, as it is written there: it is read later, and by the rules of its field."""

    def __init__(self, text: str) -> None:
        self.text = text


class BadJsonError(ValueError):
    """A body that is no JSON text, with the reason."""


class StrictParser(Parser):
    """UTF-8; no NaN, no Infinity, no name twice."""

    def parse_body(self, request: HttpRequest) -> Any:
        """Raises `BadJsonError`."""
        try:
            return json.loads(
                request.body.decode("utf-8-sig"),
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
