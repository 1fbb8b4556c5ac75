"""Rows as CSV, made in pieces, so that a million of them take no more memory than a hundred.

A cell that a spreadsheet would run as a formula gets an apostrophe in front, as OWASP advises. A spreadsheet may drop
white space and characters that nobody sees before it looks for a formula, so they are passed over here, too.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from django.http import StreamingHttpResponse
from django.utils import timezone

FORMULA = frozenset("=+-@\N{MINUS SIGN}")
MOVED_ALONG = ("\t", "\r", "\n")  # some programs put what follows into the next cell
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def csv_response(filename: str, headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> StreamingHttpResponse:
    """A download that is sent while its rows are still being read."""
    response = StreamingHttpResponse(pieces(headings, rows), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    response.headers["Cache-Control"] = "no-store"
    return response


def pieces(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """The file, some rows at a time.

    Times are in the installation's zone, whose name stands where a heading has `{zone}`.
    """
    zone = timezone.get_default_timezone_name()
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(heading.replace("{zone}", zone) for heading in headings)
    yield _drain(buffer)  # before the first rows are found, which may take long if the filter lets few through
    for number, row in enumerate(rows, start=1):
        writer.writerow([cell(value) for value in row])
        if number % 200 == 0:
            yield _drain(buffer)
    yield _drain(buffer)


def _drain(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def cell(value: Any) -> str:
    """A value as text: times in the installation's zone, None as an empty cell, a formula as text."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return timezone.localtime(value, timezone.get_default_timezone()).strftime("%Y-%m-%d %H:%M:%S")
    text = str(value)
    return f"'{text}" if _may_be_run(text) and not NUMBER.fullmatch(text) else text


def _may_be_run(text: str) -> bool:
    """Whether a spreadsheet may take it for a formula: its first visible character is one, or a wide twin of one."""
    if text.startswith(MOVED_ALONG):
        return True
    first = next((sign for sign in text if unicodedata.category(sign)[0] not in "CZ"), "")
    return unicodedata.normalize("NFKC", first) in FORMULA
