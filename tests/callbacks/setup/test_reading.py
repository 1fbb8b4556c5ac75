"""Pages that only show something wait for nobody who writes: they take no lock."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection
from django.test import Client

from affiliates.models import Affiliate
from tests.callbacks.jobs.steps import to_resend
from tests.callbacks.panel import URL, of
from tests.factories import CallbackSettingFactory, OrderFactory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("broker")]


@contextmanager
def somebody_writes() -> Iterator[None]:
    """Another connection holds SQLite's only write lock, or on PostgreSQL the rows of affiliates and callbacks.

    Whoever asks for a lock meanwhile gets an error at once.
    """
    other = connection.copy()
    is_sqlite = connection.vendor == "sqlite"
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 0" if is_sqlite else "SET lock_timeout = '1ms'")
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN IMMEDIATE" if is_sqlite else "BEGIN")
            if not is_sqlite:
                for table in ("affiliates_affiliate", "callbacks_callbacksetting", "callbacks_errand", "orders_order"):
                    cursor.execute(f"SELECT id FROM {table} FOR UPDATE")
            yield
            cursor.execute("ROLLBACK")
    finally:
        other.close()
        connection.close()  # with its timeout


def test_pages_while_somebody_writes_are_shown_at_once(admin_client: Client, joe: Affiliate) -> None:
    setting = CallbackSettingFactory(affiliate=joe)
    OrderFactory(affiliate=joe)
    job = to_resend()
    choice = admin_client.post("/admin/affiliates/affiliate/same-callback/", {"group": "all"})["Location"]
    typed = {"method": "GET", "url": URL, "event": "order.created", "existing": "change"}
    reading = [
        *(of(joe, rest) for rest in ("created/", "updated/", "created/another/", "changes/")),
        *(of(joe, f"created/{setting.pk}/{rest}") for rest in ("", "secret/", "remove/", "backfill/")),
        *("/admin/callbacks/delivery/resend/", "/admin/callbacks/errand/", job.get_absolute_url()),
        f"/admin/callbacks/errand/{job.pk}/progress/",
        *("/admin/affiliates/affiliate/same-callback/", choice),
        *("/admin/callbacks/hosts/", "/admin/callbacks/hosts/?old=tracker.example&new=other.example"),
    ]
    showing = [
        *((of(joe, f"created/{rest}"), {"look": "1"}) for rest in ("", "another/", f"{setting.pk}/")),
        *((of(joe, "created/"), {button: "1"}) for button in ("correct", "take", "leave_out")),
        *((of(joe, f"created/{rest}check/"), {}) for rest in ("", f"{setting.pk}/")),
        *((choice, {}), (choice, {"look": "1"}), (f"{choice}check/", {}), (f"{choice}apply/", {"back": "1"})),
    ]
    with somebody_writes():
        answers = {path: admin_client.get(path).status_code for path in reading}
        answers |= {f"{path} {more}": admin_client.post(path, typed | more).status_code for path, more in showing}
    assert {path: code for path, code in answers.items() if code != 200} == {}
