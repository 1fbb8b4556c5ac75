"""The shop's back end, as a program: saves the orders that it is told to, and says how that went and how long it took.

One job a line on standard input, one report a line on standard output, both JSON. What a job may say is in `Job`.
"""

import json
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import django


@dataclass(frozen=True)
class Job:
    """`count` orders, numbered from `first`, in turn for the affiliates with these `codes` ("" is none)."""

    first: int
    count: int
    codes: list[str]
    is_changed: bool = False  # each is approved right after it was made
    is_bulk: bool = False  # all at once, each step in one transaction
    pause_ms: float = 0.0


@dataclass
class Report:
    """`saved` are the numbers of the orders whose saving ended well, `ms` the milliseconds of each saving by code."""

    saved: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    ms: dict[str, list[float]] = field(default_factory=dict)


def serve() -> None:
    django.setup()
    for line in sys.stdin:
        report = do(Job(**json.loads(line)))
        sys.stdout.write(json.dumps(asdict(report)) + "\n")
        sys.stdout.flush()


def do(job: Job) -> Report:
    from django.db import transaction  # Django is set up only now

    from affiliates.models import Affiliate
    from orders.models import Order

    report = Report()
    numbers = [(f"#{job.first + i}", job.codes[i % len(job.codes)]) for i in range(job.count)]
    if job.is_bulk:
        affiliates = {affiliate.code: affiliate for affiliate in Affiliate.objects.filter(code__in=job.codes)}
        orders = [Order(number=number, affiliate=affiliates.get(code), amount=58) for number, code in numbers]
        Order.objects.bulk_create(orders)
        with transaction.atomic():
            for order in orders if job.is_changed else ():
                order.status = "approved"
                order.save()
        report.saved = [order.number for order in orders]
        return report
    for number, code in numbers:
        _save(report, number, code, {"amount": "58.00"})
        if job.is_changed:
            _save(report, number, code, {"status": "approved"})
        time.sleep(job.pause_ms / 1000)
    return report


def _save(report: Report, number: str, code: str, fields: dict[str, Any]) -> None:
    from django.db import close_old_connections  # as above

    from orders import services

    close_old_connections()  # as at the beginning of every request
    began = time.perf_counter()
    try:
        services.place(number, fields, affiliate_code=code, link_url=None)
    except Exception as error:  # noqa: BLE001 - whatever a user would be shown
        report.failures.append(f"{number}: {type(error).__name__}: {error}")
    else:
        report.saved.append(number)
    report.ms.setdefault(code, []).append((time.perf_counter() - began) * 1000)


if __name__ == "__main__":
    serve()
