"""What the tests of callbacks' pages share: addresses, what a page says, and asking at the same moment."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.db import connections
from django.test import Client

from affiliates.models import Affiliate

T = TypeVar("T")

BY_SCRIPT = {"X-Requested-With": "fetch"}
URL = "https://tracker.example/postback?order={{order.number}}&cid={{link.sub_id}}"


def settings_of(affiliate: Affiliate) -> str:
    return f"/admin/affiliates/affiliate/{affiliate.pk}/settings/"


def of(affiliate: Affiliate, rest: str = "created/") -> str:
    return f"{settings_of(affiliate)}callbacks/{rest}"


def text_of(client: Client, path: str) -> str:
    return " ".join(client.get(path).content.decode().split())


def check(client: Client, affiliate: Affiliate, url: str, **fields: Any) -> str:
    """What is said of a URL while it is typed in the form of a new callback."""
    answer = client.post(of(affiliate, "created/check/"), {"method": "GET", "url": url} | fields)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def send_test(client: Client, affiliate: Affiliate, url: str, rest: str = "created/test/", **fields: Any) -> Any:
    return client.post(of(affiliate, rest), {"method": "GET", "url": url} | fields, headers=BY_SCRIPT)


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """What these return, each in a thread and over a connection of its own, all started at the same moment."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        try:
            barrier.wait(10)
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))
