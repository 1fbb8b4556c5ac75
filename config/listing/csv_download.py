"""Rows as CSV, a piece at a time, so that a million of them take no more memory than a hundred.

What a spreadsheet would run as a formula is made text by an apostrophe before it, as OWASP has it.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from django.http import StreamingHttpResponse

FORMULA = re.compile(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")  # the last four are their full-width twins
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def csv_response(filename: str, headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> StreamingHttpResponse:
    """A download that is sent while its rows are still being read."""
    response = StreamingHttpResponse(_pieces(headings, rows), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    response.headers["Cache-Control"] = "no-store"
    return response


def _pieces(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(headings)
    yield _taken(buffer)  # before the first rows are found, which may take long where few are let through
    for number, row in enumerate(rows, start=1):
        writer.writerow([cell(value) for value in row])
        if number % 200 == 0:
            yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def cell(value: Any) -> str:
    """A value as it stands in a cell: times in UTC, nothing as an empty cell, no text that would be run."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    text = str(value)
    return f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text) else text
