"""The shop on our side: what a process of this project with one database does for the benchmark.

It runs in a process of its own, because Django knows one set of databases in a process.
"""

import os
import time
from collections.abc import Iterator
from itertools import count

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.core.management import call_command  # noqa: E402 - after the set-up, as all that follows
from django.db import connection, transaction  # noqa: E402
from django.db.models import Max  # noqa: E402

from affiliates.models import Affiliate, Link  # noqa: E402
from callbacks import tasks  # noqa: E402
from callbacks.delivery import wakeup  # noqa: E402
from callbacks.models import Attempt, CallbackSetting, Delivery  # noqa: E402
from config.celery import app  # noqa: E402
from orders.api import tokens  # noqa: E402
from orders.models import Order, Shop  # noqa: E402
from tests.bench import actions, old_deliveries, timing  # noqa: E402

# A template as trackers ask for it. `n` is what the receiver knows an order by.
TEMPLATE = (
    "?n={{order.number}}&cid={{link.sub_id}}&payout={{order.commission}}&amount={{order.amount}}"
    "&currency={{order.currency}}&txid={{event.id}}&src={{link.query.src}}"
    '&status={{order.status|map:"new=hold,approved=sale,rejected=reject"}}'
)
LINKS = 20  # of each affiliate
CHUNK = 1000
SWEEP_S = 2.0  # beat's own pace, see config.celery
_numbers = count(time.time_ns() // 1000)


def prepare(urls: list[str]) -> int:
    """A database with an affiliate for each URL, whose created orders are told to it, and one without a callback."""
    call_command("migrate", interactive=False, verbosity=0)
    for place, url in enumerate([*urls, ""]):
        affiliate = Affiliate.objects.create(
            name=f"Partner {place}", email=f"p{place}@partner.example", code=f"partner{place}", commission_rate="0.15"
        )
        shop = f"https://shop.example/products/42?ref={affiliate.code}&src=newsletter&sub_id=fb"
        for number in range(LINKS):
            Link.objects.find_or_make(affiliate, f"{shop}{number}")
        if url:
            CallbackSetting.objects.create(affiliate=affiliate, event="order.created", method="GET", url=url + TEMPLATE)
    return len(urls)


def connect_shop() -> tuple[str, str]:
    """The path of a Shopify shop, and its secret."""
    shop = Shop.make(Shop.Kind.SHOPIFY, "Bench", "a-secret-of-the-benchmark")
    return shop.path, "a-secret-of-the-benchmark"


def token() -> str:
    """A token for the API."""
    return tokens.create("bench")


def _orders(amount: int, *, with_callback: bool = True, affiliate: int | None = None) -> Iterator[Order]:
    """New orders, in turn for all affiliates with a callback (or for those without), or for one of them."""
    links = Link.objects.select_related("affiliate").filter(affiliate__callback_settings__isnull=not with_callback)
    if affiliate is not None:
        links = links.filter(affiliate__code=f"partner{affiliate}")
    chosen = list(links.order_by("id"))
    for place in range(amount):
        link = chosen[place % len(chosen)]
        number = f"B{next(_numbers)}"
        yield Order(number=number, affiliate=link.affiliate, link=link, amount="58.00", currency="USD")


def record(amount: int, affiliate: int | None = None, *, with_callback: bool = True, wakes: bool = True) -> float:
    """Orders that come in by `bulk_create`; returns how many seconds that took. `wakes`: a worker is woken."""
    orders = list(_orders(amount, with_callback=with_callback, affiliate=affiliate))
    wakeup._quiet_until = 0.0 if wakes else time.monotonic() + 3600
    began = time.monotonic()
    for start in range(0, amount, CHUNK):
        Order.objects.bulk_create(orders[start : start + CHUNK])
        actions.progress(start)
    return time.monotonic() - began


def drain() -> dict[str, float]:
    """Ring, and wait until nothing waits any more; sweeps come at beat's pace meanwhile."""
    waiting = Delivery.objects.filter(status="pending").count()
    attempts = None
    swept_at = began = time.monotonic()
    wakeup._quiet_until = 0.0
    wakeup.send()
    while is_anything_left():
        now = time.monotonic()
        if now - swept_at >= SWEEP_S:
            swept_at = now
            if attempts != (attempts := Attempt.objects.aggregate(Max("pk"))["pk__max"]):
                actions.progress(f"attempt {attempts}")
            tasks.sweep.apply_async(retry=False, expires=SWEEP_S)
        time.sleep(0.02)
    ended = time.monotonic()
    _wait_until_idle()
    failed = Delivery.objects.exclude(status="succeeded").count()
    return {"count": waiting, "seconds": ended - began, "not_succeeded": failed}


def _wait_until_idle() -> None:
    """Wait until the worker has done all its tasks: a sweep that it still had would find what is recorded next."""
    app.control.purge()
    for _ in range(2):  # one may have been under way already when we asked
        asked_at = time.monotonic()
        tasks.sweep.apply_async(retry=False)
        while not wakeup.was_swept(time.monotonic() - asked_at):
            time.sleep(0.02)


def is_anything_left() -> bool:
    """Asked fifty times a second, so by the partial indexes alone."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM callbacks_delivery WHERE status = 'pending' AND attempt_count = 0)"
            " OR EXISTS (SELECT 1 FROM callbacks_delivery WHERE status = 'sending')"
        )
        return bool(cursor.fetchone()[0])


def save_at_pace(rate: float, seconds: float, but_affiliate: int | None = None) -> dict[str, float]:
    """When each order was committed, by number."""
    orders = list(_orders(round(rate * seconds)))
    if but_affiliate is not None:
        orders = [order for order in orders if order.affiliate and order.affiliate.code != f"partner{but_affiliate}"]
    committed: dict[str, float] = {}

    def save(order: Order) -> None:
        with transaction.atomic():
            # The first to be called after the commit, so before the wake-up is sent.
            transaction.on_commit(lambda: committed.__setitem__(order.number, time.monotonic()))
            order.save()

    for order, _ in zip(orders, timing.moments(rate, seconds), strict=False):
        save(order)
    return committed


def save_in_turn(amount: int) -> dict[str, list[float]]:
    """Milliseconds of `order.save()` with a callback and without, in turn so that both see the same noise."""
    told, untold = list(_orders(amount)), list(_orders(amount, with_callback=False))
    taken: dict[str, list[float]] = {"with": [], "without": []}
    for pair in zip(told, untold, strict=True):
        for name, order in zip(taken, pair, strict=True):
            taken[name].append(timing.duration_ms(order.save))
    return taken


def save_for(seconds: float, rate: float) -> list[float]:
    """Milliseconds of each `order.save()` with a callback, at this pace for so long."""
    orders = list(_orders(round(rate * seconds)))
    return [timing.duration_ms(order.save) for order, _ in zip(orders, timing.moments(rate, seconds), strict=True)]


if __name__ == "__main__":
    actions.serve(
        {
            "prepare": prepare,
            "token": token,
            "connect_shop": connect_shop,
            "record": record,
            "drain": drain,
            "save_at_pace": save_at_pace,
            "save_in_turn": save_in_turn,
            "save_for": save_for,
            "grow": old_deliveries.grow,
            "look": old_deliveries.look,
            "age": old_deliveries.age,
            "old_rows": old_deliveries.old_rows,
            "update_often": old_deliveries.update_often,
        }
    )
