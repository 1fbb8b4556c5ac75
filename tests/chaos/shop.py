"""The shop's back end, as a program: saves the orders that it is told to, and says how that went and how long it took.

One batch a line on standard input, one report a line on standard output, both JSON. Its fields are those of `Batch`.
"""

import json
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import django


@dataclass(frozen=True)
class Batch:
    """`count` orders, numbered from `first`, in turn for the affiliates with these `codes`."""

    first: int
    count: int
    codes: list[str]
    changed_each: int = 0  # of so many orders one is approved after it was made
    is_bulk: bool = False  # all at once, each step in one transaction
    pause_ms: float = 0.0
    seconds: float = 600.0  # and then no more orders, however few they were


@dataclass
class Report:
    """`saved` are the numbers of the orders whose saving ended well, `ms` the milliseconds of each saving by code."""

    saved: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    ms: dict[str, list[float]] = field(default_factory=dict)


def serve() -> None:
    django.setup()
    for line in sys.stdin:
        report = do(Batch(**json.loads(line)))
        sys.stdout.write(json.dumps(asdict(report)) + "\n")
        sys.stdout.flush()


def do(batch: Batch) -> Report:
    from affiliates.models import Affiliate  # Django is set up only now
    from orders.models import Order

    affiliates = {affiliate.code: affiliate for affiliate in Affiliate.objects.filter(code__in=batch.codes)}
    codes = [batch.codes[i % len(batch.codes)] for i in range(batch.count)]
    orders = [
        Order(number=f"#{batch.first + i}", affiliate=affiliates[code], amount=58) for i, code in enumerate(codes)
    ]
    return _save_all(orders, batch) if batch.is_bulk else _save_each(orders, batch)


def _save_all(orders: list[Any], batch: Batch) -> Report:
    from django.db import transaction  # as above

    with transaction.atomic():
        type(orders[0]).objects.bulk_create(orders)
    with transaction.atomic():
        for order in orders[:: batch.changed_each] if batch.changed_each else ():
            order.status = "approved"
            order.save()
    return Report(saved=[order.number for order in orders])


def _save_each(orders: list[Any], batch: Batch) -> Report:
    report, until = Report(), time.monotonic() + batch.seconds
    for number, order in enumerate(orders):
        if time.monotonic() > until:
            break
        _save(report, order)
        if batch.changed_each and number % batch.changed_each == 0 and order.pk:
            order.status = "approved"
            _save(report, order)
        time.sleep(batch.pause_ms / 1000)
    return report


def _save(report: Report, order: Any) -> None:
    from django.db import close_old_connections, connection  # as above

    close_old_connections()  # as at the beginning of every request
    began = time.perf_counter()
    try:
        connection.ensure_connection()
        began = time.perf_counter()
        order.save()
    except Exception as error:  # noqa: BLE001 - whatever a user would be shown
        report.failures.append(f"{order.number}: {type(error).__name__}: {error}")
    else:
        report.saved.append(order.number)
    report.ms.setdefault(order.affiliate.code, []).append((time.perf_counter() - began) * 1000)


if __name__ == "__main__":
    serve()
