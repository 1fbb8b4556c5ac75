"""A shop with a past: makes old deliveries and attempts, by multiplying in SQL those there are, and looks at them.

Part of `tests.bench.shop`, which sets Django up.
"""

import time
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection, models, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from affiliates.models import Affiliate
from callbacks.models import Attempt, Delivery
from orders.models import Order


def grow(amount: int) -> float:
    """Bring the number of settled deliveries to at least `amount`; returns the seconds it took."""
    began = time.monotonic()
    have = Delivery.objects.filter(status="succeeded").count()
    assert have, "there is nothing to multiply"
    for _ in range(-(-(amount - have) // have)):
        _again(have)
    with connection.cursor() as cursor:  # what autovacuum and PRAGMA optimize do in the course of a day
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
    return time.monotonic() - began


def _again(amount: int) -> None:
    """Every one of the first `amount` deliveries once more, under an identity of its own."""
    last = Delivery.objects.order_by("-pk").values_list("pk", flat=True)[0]
    first = Delivery.objects.order_by("pk").values_list("pk", flat=True)[0]
    fresh = "gen_random_uuid()" if connection.vendor == "postgresql" else "lower(hex(randomblob(16)))"
    shift = last - first + 1
    source = f"WHERE {{}} >= {first} AND {{}} < {first + amount}"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_copied(Delivery, {"id": f"id + {shift}", "event_id": fresh}, source.format("id", "id")))
        ours = {"delivery_id": f"delivery_id + {shift}"}
        cursor.execute(_copied(Attempt, ours, source.format("delivery_id", "delivery_id"), but=("id",)))
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT setval(pg_get_serial_sequence('callbacks_delivery', 'id'), max(id)) FROM callbacks_delivery"
            )


def _copied(model: type[models.Model], instead: dict[str, str], where: str, but: tuple[str, ...] = ()) -> str:
    columns = [field.column for field in model._meta.concrete_fields if field.column not in but]
    values = [instead.get(column, f'"{column}"') for column in columns]
    table, names = model._meta.db_table, ", ".join(f'"{column}"' for column in columns)
    return f"INSERT INTO {table} ({names}) SELECT {', '.join(values)} FROM {table} {where}"


# --- looking at it -----------------------------------------------------------
LIST = "/admin/callbacks/delivery/"
TIMES = 5


def look() -> dict[str, dict[str, Any]]:
    """The admin's list of deliveries as a superuser gets it, with some of its filters: status and milliseconds."""
    person = get_user_model().objects.create_superuser("bench", "bench@shop.example", "bench")
    number = Order.objects.order_by("pk").values_list("number", flat=True)[500]
    affiliate = Affiliate.objects.order_by("pk")[0]
    client = Client()
    client.force_login(person)
    rows = Delivery.objects.count()
    pages = {
        "the list": "",
        "the list, page 3": "?p=3",
        "failed ones": "?status__exact=failed",
        "of an affiliate": f"?affiliate__id__exact={affiliate.pk}",
        "search for an order": f"?q={number}",
    }
    return {what: _looked_at(client, LIST + query) | {"rows": rows} for what, query in pages.items()}


def _looked_at(client: Client, address: str) -> dict[str, Any]:
    taken = []
    for _ in range(TIMES):
        began = time.perf_counter()
        with CaptureQueriesContext(connection) as queries:
            answer = client.get(address)
        taken.append((time.perf_counter() - began) * 1000)
    return {"status": answer.status_code, "taken": taken, "queries": len(queries)}
