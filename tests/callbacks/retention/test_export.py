"""All that is going to be pruned can be written to a file before."""

import csv
import gzip
import io
import os
import subprocess
import sys
import tracemalloc
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from affiliates.models import Affiliate
from callbacks.models import Attempt, Delivery
from orders.models import Order
from tests.callbacks.retention.test_prune import aged
from tests.factories import in_state

pytestmark = pytest.mark.django_db


def exported(path: Path, days: int, **given: Any) -> list[dict[str, str]]:
    before = timezone.localdate() - timedelta(days=days)
    call_command("export_deliveries", "--before", str(before), "--output", str(path), **given)
    return list(csv.DictReader(io.StringIO(gzip.decompress(path.read_bytes()).decode())))


def test_export_has_a_row_for_each_attempt_before_that_day(joe: Affiliate, setting: object, tmp_path: Path) -> None:
    aged(10, affiliate=joe)
    aged(95, affiliate=joe, status="skipped", attempts=0, number="=HYPERLINK(1)")
    old = aged(100, affiliate=joe, attempts=2)
    body = {"response_excerpt": "thanks\n=1+1", "request_body": "a=1", "request_headers": [["A", "b"]]}
    Attempt.objects.filter(delivery=old).update(url="https://tracker.example/?o=1", **body)
    rows = exported(tmp_path / "old.csv.gz", 90)
    assert [(row["Order"], row["State"], row["Code"]) for row in rows] == [
        *[(old.order_number, "succeeded", "200")] * 2, ("'=HYPERLINK(1)", "skipped", ""),
    ]  # fmt: skip
    assert (rows[0]["URL"], rows[0]["Answer"]) == ("https://tracker.example/?o=1", "thanks\n=1+1")
    assert (rows[0]["Request headers"], rows[0]["Request body"]) == ('[["A", "b"]]', "a=1")
    assert (tmp_path / "old.csv.gz").stat().st_mode & 0o777 == 0o600
    assert Delivery.objects.count() == 3


def test_export_writes_over_nothing_and_takes_days_only(tmp_path: Path) -> None:
    path = tmp_path / "there"
    path.write_text("mine")
    with pytest.raises(CommandError, match="already exists"):
        exported(path, 1)
    assert path.read_text() == "mine"
    for bad in ("yesterday", "2026-13-01", "2026-03-14T09:30"):
        with pytest.raises(CommandError, match="must be a day such as"):
            call_command("export_deliveries", "--before", bad, "--output", str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_export_that_breaks_off_leaves_no_half_file(joe: Affiliate, setting: object, tmp_path: Path) -> None:
    aged(100, affiliate=joe)

    def broken(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        if "callbacks_attempt" in sql:
            raise KeyboardInterrupt
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(broken), pytest.raises(KeyboardInterrupt):
        exported(tmp_path / "old.csv.gz", 90)
    assert list(tmp_path.iterdir()) == []


def test_export_takes_no_more_memory_for_more_rows(joe: Affiliate, setting: object, tmp_path: Path) -> None:
    def peak(number: int) -> int:
        Order.objects.bulk_create(Order(number=f"{number}-{n}", affiliate=joe, amount=1) for n in range(number))
        Delivery.objects.update(**in_state("succeeded", created_at=timezone.now() - timedelta(days=100)))
        tracemalloc.start()
        exported(tmp_path / f"{number}.csv.gz", 5000)  # nothing, but all is loaded
        tracemalloc.reset_peak()
        call_command(
            "export_deliveries", "--before", str(timezone.localdate()), "--output", str(tmp_path / f"a{number}")
        )
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(1600) < peak(400) * 1.5 + 300_000


@pytest.mark.django_db(transaction=True)
def test_export_to_standard_output_is_nothing_but_the_file(joe: Affiliate, setting: object) -> None:
    aged(100, affiliate=joe)
    command = [sys.executable, "manage.py", "export_deliveries", "--before", str(timezone.localdate())]
    done = subprocess.run(command, capture_output=True, check=True, env=os.environ | {"DATABASE_URL": url_of_test()})
    assert len(list(csv.reader(io.StringIO(gzip.decompress(done.stdout).decode())))) == 2


def url_of_test() -> str:
    """The database of this test, as DATABASE_URL."""
    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{settings['NAME']}"
    return f"postgres://{settings['USER']}@/{settings['NAME']}?host={settings['HOST'] or settings['OPTIONS']['host']}"
