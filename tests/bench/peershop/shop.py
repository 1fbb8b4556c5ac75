"""What a process of the peers does for the benchmark; the counterpart of `tests.bench.shop`."""

import time
from itertools import count

import django

from tests.bench.peershop import celery  # first of all, so that every task is of this application  # noqa: F401

django.setup()

from django.conf import settings  # noqa: E402 - after the set-up, as all that follows
from django.core.management import call_command  # noqa: E402
from django.db import transaction  # noqa: E402

from tests.bench import actions, timing  # noqa: E402
from tests.bench.peershop.models import Callback, Order, Postback  # noqa: E402

_numbers = count(time.time_ns() // 1000)
WITH, WITHOUT = "partner", ""


def prepare(url: str) -> None:
    call_command("migrate", interactive=False, verbosity=0, run_syncdb=True)
    Callback.objects.all().delete()
    Callback.objects.create(affiliate_code=WITH, url=url)
    if settings.PEER == "django-webhook":
        from django_webhook.models import Webhook, WebhookSecret, WebhookTopic, populate_topics_from_settings

        populate_topics_from_settings()
        webhook = Webhook.objects.create(url=url)
        webhook.topics.set(WebhookTopic.objects.filter(name="peershop.Order/create"))
        WebhookSecret.objects.create(webhook=webhook, token="a-secret-of-the-benchmark")


def _order(code: str = WITH) -> Order:
    return Order(
        number=f"B{next(_numbers)}",
        affiliate_code=code,
        link_url="https://shop.example/products/42?ref=partner&src=newsletter&sub_id=fb1",
        amount="58.00",
        commission="8.70",
        currency="USD",
    )


def save(amount: int) -> float:
    """New orders, one by one, which is the only way in which signals are sent; returns how many seconds that took."""
    began = time.monotonic()
    for _ in range(amount):
        _order().save()
    return time.monotonic() - began


def done() -> int:
    if settings.PEER == "django-webhook":
        from django_webhook.models import WebhookEvent

        return WebhookEvent.objects.filter(status="SUCCESS").count()
    return Postback.objects.filter(status="succeeded").count()


def wait(amount: int) -> float:
    """Wait until so many in all were told; returns when that was, on the clock of `time.monotonic()`."""
    before = 0
    while (so_far := done()) < amount:
        if so_far > before:
            actions.progress(f"{so_far} of {amount} were told")
        before = so_far
        time.sleep(0.02)
    return time.monotonic()


def save_at_pace(rate: float, seconds: float) -> dict[str, float]:
    """When each order was committed, by number."""
    committed: dict[str, float] = {}

    def save(order: Order) -> None:
        with transaction.atomic():
            transaction.on_commit(lambda: committed.__setitem__(order.number, time.monotonic()))
            order.save()

    for _ in timing.moments(rate, seconds):
        save(_order())
    return committed


def save_in_turn(amount: int) -> dict[str, list[float]]:
    """Milliseconds of `order.save()` that has a postback told and that has not, one after the other."""
    taken: dict[str, list[float]] = {"with": [], "without": []}
    for _ in range(amount):
        taken["with"].append(timing.duration_ms(_order(WITH).save))
        taken["without"].append(timing.duration_ms(_order(WITHOUT).save))
    return taken


if __name__ == "__main__":
    actions.serve(
        {
            "prepare": prepare,
            "save": save,
            "wait": wait,
            "save_at_pace": save_at_pace,
            "save_in_turn": save_in_turn,
        }
    )
