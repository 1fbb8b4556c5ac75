"""`manage.py export_deliveries --before DATE`: what was sent until then, as compressed CSV, before it is pruned."""

import gzip
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from callbacks.log import export
from callbacks.models import Delivery
from config.listing import csv_download
from config.listing.period import Period


class Command(BaseCommand):
    help = (
        "Export all deliveries from before a day as compressed CSV (.csv.gz): one row for each attempt, with what was "
        "sent and answered, and one row for a delivery without attempts. Nothing is deleted."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--before", required=True, metavar="YYYY-MM-DD", help="the first day that is not exported")
        parser.add_argument("--output", type=Path, metavar="FILE", help="a new file (default: standard output)")

    def handle(self, *args: Any, before: str, output: Path | None, **options: Any) -> None:
        bound = Period.of(before, None).first
        if bound is None or not bound.is_day:
            raise CommandError(f"--before must be a day such as 2026-03-14, not {before}.")
        if output is None and sys.stdout.isatty():
            raise CommandError("Compressed CSV cannot be shown in a terminal. Name a file with --output.")
        deliveries = Delivery.objects.filter(created_at__lt=bound.begins_at)
        # The keys up to the first young one, and some more: they are not quite in the order of time.
        keys = Period(None, type(bound)(bound.begins_at, is_day=False)).keys_of(Delivery)
        headings = (*export.HEADINGS, *export.ATTEMPT_HEADINGS)
        count = 0

        def rows() -> Iterator[tuple[Any, ...]]:
            nonlocal count
            for row in export.rows_with_attempts(deliveries, keys):
                count += 1
                yield row

        with _opened(output) as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
            for piece in csv_download.pieces(headings, rows()):
                file.write(piece.encode("utf-8"))
        if output is not None:
            self.stdout.write(f"{count:,} row{'s'[: count != 1]} in {output}")


@contextmanager
def _opened(output: Path | None) -> Iterator[IO[bytes]]:
    """The file, which only its owner may read; it is taken away again if it does not come to its end."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise CommandError(f"{output} already exists and is not overwritten.") from None
    except OSError as error:
        raise CommandError(f"{output} cannot be written: {error.strerror}.") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
    except BaseException:
        output.unlink(missing_ok=True)
        raise
