"""A backup of a running installation is whole; restored, it sends nothing again that was settled in it."""

import os
import shutil
import sqlite3
import subprocess
import threading
from contextlib import closing
from io import StringIO
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from callbacks.delivery import dispatcher
from callbacks.models import Delivery
from orders.models import Order
from tests.callbacks.conftest import loopback, receiver  # noqa: F401 - fixtures
from tests.chaos.surroundings import connected
from tests.conftest import CLUSTER_URL
from tests.factories import AffiliateFactory, OrderFactory, callbacks_for
from tests.postgresql import create_database
from tests.receiver import Answer, Receiver
from tests.waiting import wait_until

ORDERS = 600


def restored(file: Path, directory: Path) -> str:
    """As docs/operations.md says; the URL of the new database."""
    if CLUSTER_URL not in os.environ:
        return f"sqlite:///{shutil.copy(file, directory / 'restored.sqlite3')}"
    url = create_database(os.environ[CLUSTER_URL], f"restored_{uuid4().hex}", template="template0")
    command = ["pg_restore", "--no-owner", "--exit-on-error", "--dbname", url, str(file)]
    subprocess.run(command, check=True, capture_output=True)
    return url


def ids(*statuses: str) -> set[str]:
    return {str(pk) for pk in Delivery.objects.filter(status__in=statuses).values_list("event_id", flat=True)}


@pytest.mark.django_db(transaction=True)
def test_backup_while_deliveries_are_sent_is_restored_and_sends_only_what_was_not_settled(
    receiver: Receiver,  # noqa: F811
    loopback: None,  # noqa: F811
    tmp_path: Path,
) -> None:
    affiliate, file = AffiliateFactory(), tmp_path / "backup"
    callbacks_for(affiliate, receiver.url("/pb?id={{event.id}}&status={{order.status}}"))
    receiver.answer("/pb", Answer(delay_s=0.1))
    missed = OrderFactory(affiliate=affiliate, number="missed")
    Order.objects.filter(pk=missed.pk).update(status="approved")  # which nobody was told
    Order.objects.bulk_create(Order(number=str(n), affiliate=affiliate, amount=1) for n in range(ORDERS))

    def send() -> None:
        dispatcher.run()
        connection.close()

    sending = threading.Thread(target=send)
    sending.start()
    try:
        wait_until(lambda: Delivery.objects.filter(status="succeeded").count() > ORDERS // 10, 20)
        out = StringIO()
        call_command("backup", str(file), stdout=out)
        assert Delivery.objects.filter(status="pending").exists()  # it was being sent all the while
    finally:
        sending.join(60)
    assert "SECRET_KEY" in out.getvalue()
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["backup"]
    assert len(ids("succeeded")) == ORDERS + 1
    OrderFactory(affiliate=affiliate, number="after the backup")
    dispatcher.of_process().close()
    dispatcher.of_process.cache_clear()
    with connected(restored(file, tmp_path)):
        settled, others = ids("succeeded"), ids("pending", "sending")
        assert len(settled | others) == ORDERS + 1
        assert min(len(settled), len(others)) > 0
        Delivery.objects.filter(status="sending").update(leased_until=timezone.now())  # time goes by
        dispatcher.sweep()
        receiver.clear()
        dispatcher.run()
        assert {dict(request.query)["id"] for request in receiver.requests} == others
        assert len(ids("succeeded")) == ORDERS + 1
        told = StringIO()
        call_command("reconcile", "--dry-run", stdout=told)
        assert told.getvalue().splitlines() == [
            f"missed order.updated for affiliate {affiliate.pk}", "1 missed, 0 queued.",
        ]  # fmt: skip
        dispatcher.of_process().close()
        dispatcher.of_process.cache_clear()


@pytest.mark.django_db(transaction=True)
def test_backup_writes_over_nothing_and_leaves_no_half_file(tmp_path: Path) -> None:
    file = tmp_path / "backup"
    file.write_text("mine")
    with pytest.raises(CommandError, match="already exists"):
        call_command("backup", str(file))
    assert file.read_text() == "mine"
    with pytest.raises(CommandError, match="could not be written"):
        call_command("backup", str(tmp_path / "nowhere" / "backup"))
    assert [path.name for path in tmp_path.iterdir()] == ["backup"]


@pytest.mark.django_db(transaction=True)
def test_backup_of_a_damaged_database_or_without_pg_dump_says_so(
    postgresql: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if postgresql:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(CommandError, match=r"postgresql-client.*pg_dump --format=custom --file=backup"):
            call_command("backup", str(tmp_path / "backup"))
    else:
        OrderFactory(number="#77")
        call_command("backup", str(damaged := tmp_path / "damaged.sqlite3"), stdout=StringIO())
        with closing(sqlite3.connect(damaged)) as copy:
            of_table = "SELECT rootpage FROM sqlite_master WHERE name = 'orders_order'"
            page, size = copy.execute(of_table).fetchone()[0], copy.execute("PRAGMA page_size").fetchone()[0]
        with damaged.open("r+b") as file:
            file.seek((page - 1) * size)
            file.write(b"\xff" * size)
        with connected(f"sqlite:///{damaged}"), pytest.raises(CommandError, match="malformed"):
            call_command("backup", str(tmp_path / "backup"))
    assert not (tmp_path / "backup").exists()
