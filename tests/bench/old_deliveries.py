"""A shop with a past: makes old deliveries and attempts, by multiplying in SQL those there are, and looks at them.

Part of `tests.bench.shop`, which sets Django up.
"""

import time
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection, models, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from affiliates.models import Affiliate
from callbacks.models import Attempt, CallbackSetting, Delivery
from callbacks.reports import hourly
from orders.models import Order
from tests.bench import actions

NO_ORDER = 1_000_000_000  # above every key of an order
CHUNK = 50_000  # deliveries that are made by one statement


def grow(amount: int, *, with_orders: bool = False) -> float:
    """Bring the number of settled deliveries to at least `amount`; returns the seconds it took.

    `with_orders`: each is about another order, which is gone, instead of about one of the first ones.
    """
    began = time.monotonic()
    have = Delivery.objects.filter(status="succeeded").count()
    assert have, "there is nothing to multiply"
    while have < amount:
        more = min(have, CHUNK, amount - have)
        _again(more, with_orders=with_orders)
        have += more
        actions.progress(have)
    while hourly.count():  # what beat has done every few seconds all the while
        actions.progress("counting by the hour")
    with connection.cursor() as cursor:  # what autovacuum and PRAGMA optimize do in the course of a day
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
    return time.monotonic() - began


def _again(amount: int, *, with_orders: bool) -> None:
    """As many deliveries as `amount` once more, from the first one on, under an identity of their own."""
    last = Delivery.objects.order_by("-pk").values_list("pk", flat=True)[0]
    first = Delivery.objects.order_by("pk").values_list("pk", flat=True)[0]
    fresh = "gen_random_uuid()" if connection.vendor == "postgresql" else "lower(hex(randomblob(16)))"
    shift = last - first + 1
    source = f"WHERE {{}} >= {first} AND {{}} < {first + amount}"
    with transaction.atomic(), connection.cursor() as cursor:
        instead = {"id": f"id + {shift}", "event_id": fresh}
        if with_orders:
            instead["order_id"] = f"id + {shift + NO_ORDER}"
        cursor.execute(copied(Delivery, instead, source.format("id", "id")))
        ours = {"delivery_id": f"delivery_id + {shift}"}
        cursor.execute(copied(Attempt, ours, source.format("delivery_id", "delivery_id"), but=("id",)))
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT setval(pg_get_serial_sequence('callbacks_delivery', 'id'), max(id)) FROM callbacks_delivery"
            )


def copied(model: type[models.Model], instead: dict[str, str], where: str, but: tuple[str, ...] = ()) -> str:
    columns = [field.column for field in model._meta.concrete_fields if field.column not in but]
    values = [instead.get(column, f'"{column}"') for column in columns]
    table, names = model._meta.db_table, ", ".join(f'"{column}"' for column in columns)
    return f"INSERT INTO {table} ({names}) SELECT {', '.join(values)} FROM {table} {where}"


# --- looking at it -----------------------------------------------------------
OVERVIEW, LIST, ORDERS = "/admin/", "/admin/callbacks/delivery/", "/admin/orders/order/"
TIMES = 5


def look() -> dict[str, dict[str, Any]]:
    """The admin's overview and lists as a superuser gets them, with some of their filters: status and milliseconds."""
    users = get_user_model().objects
    person = users.filter(username="bench").first() or users.create_superuser("bench", "bench@shop.example", "bench")
    number = Order.objects.order_by("pk").values_list("number", flat=True)[50]
    affiliate = Affiliate.objects.order_by("pk")[0]
    host = CallbackSetting.objects.values_list("host", flat=True)[0]
    client = Client()
    client.force_login(person)
    rows = Delivery.objects.count()
    middle = Delivery.objects.order_by("pk").values_list("pk", flat=True)[rows // 2]
    pages = {
        "the overview": OVERVIEW,
        "the overview, 30 days": f"{OVERVIEW}?range=month",
        "the list": LIST,
        "the list, from the middle on": f"{LIST}?before={middle}",
        "failed ones": f"{LIST}?status__exact=failed",
        "waiting ones": f"{LIST}?status__exact=pending",
        "of an affiliate": f"{LIST}?affiliate__id__exact={affiliate.pk}",
        "of a host": f"{LIST}?host={host}",
        "with a code that nobody answered": f"{LIST}?code=418",
        "of a day": f"{LIST}?from=2026-01-01&to=2026-01-01",
        "search for an order": f"{LIST}?q={number}",
        "search for part of a number": f"{LIST}?q=no-such-number",
        "the orders": ORDERS,
    }
    looks = {}
    for what, address in pages.items():
        looks[what] = _looked_at(client, address) | {"rows": rows, "is_list": "overview" not in what}
        actions.progress(what)
    return looks


def _looked_at(client: Client, address: str) -> dict[str, Any]:
    taken = []
    for _ in range(TIMES):
        began = time.perf_counter()
        with CaptureQueriesContext(connection) as queries:
            answer = client.get(address)
        taken.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == 200, f"{address} answered {answer.status_code}"
    return {"taken": taken, "queries": len(queries)}


# --- their age ---------------------------------------------------------------
def age(days: int) -> None:
    """Make all that was settled so old."""
    moment = timezone.now() - timedelta(days=days)
    settled = Delivery.objects.filter(status="succeeded")
    Attempt.objects.filter(delivery__in=settled).update(created_at=moment)
    settled.update(created_at=moment, last_attempt_at=moment)


def old_rows(days: int) -> int:
    """How many deliveries and attempts of that age there are."""
    before = timezone.now() - timedelta(days=days - 1)
    return sum(model.objects.filter(created_at__lt=before).count() for model in (Delivery, Attempt))


# --- dead rows ---------------------------------------------------------------
EACH = 500  # rows of one update, as the dispatcher claims and settles them
LONGEST_S = 150.0  # for autovacuum, which PostgreSQL starts once a minute


def update_often(amount: int) -> dict[str, Any]:
    """Change settled deliveries so many times, and wait for autovacuum: the percentage of rows that are dead then."""
    keys = list(Delivery.objects.filter(status="succeeded").order_by("pk").values_list("pk", flat=True))
    done, worst = 0, 0.0
    while done < amount:
        start = done % (len(keys) - EACH)
        rows = Delivery.objects.filter(pk__among=keys[start : start + EACH])
        done += rows.update(last_attempt_at=timezone.now())
        if done % (EACH * 100) == 0:
            worst = max(worst, _dead())
            actions.progress(done)
    ended_at, until = timezone.now(), time.monotonic() + LONGEST_S
    while (cleaned_at := _cleaned_at()) is None or cleaned_at < ended_at:
        if time.monotonic() > until:
            break
        time.sleep(1)
        actions.progress("waiting for autovacuum")
    return {"after": _dead(), "note": f"{len(keys):,} rows; at most {worst:.0f} % meanwhile"}


def _dead() -> float:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 100.0 * n_dead_tup / NULLIF(n_live_tup + n_dead_tup, 0) FROM pg_stat_user_tables"
            " WHERE relname = 'callbacks_delivery'"
        )
        return float(cursor.fetchone()[0] or 0)


def _cleaned_at() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT last_autovacuum FROM pg_stat_user_tables WHERE relname = 'callbacks_delivery'")
        return cursor.fetchone()[0]
