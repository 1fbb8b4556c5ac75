"""The same new order from several at the same time is made once, and refused to nobody."""

from collections import Counter
from collections.abc import Callable
from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from callbacks.models import Delivery
from orders.api import tokens
from orders.intake.incoming import IncomingOrder, Placed
from orders.intake.place import Result, place, place_many
from orders.models import ApiToken, Order, Shop
from tests.factories import AffiliateFactory, callbacks_for

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 8


@pytest.fixture(autouse=True)
def joe() -> None:
    callbacks_for(AffiliateFactory(code="joe"), "https://tracker.example/")


def at_once(do: Callable[[int], Any]) -> list[Any]:
    """What `do` returns in each of the threads, which have connections of their own."""
    together, found = Barrier(THREADS), []

    def run(thread: int) -> None:
        connection.ensure_connection()
        together.wait()
        try:
            found.append(do(thread))
        except Exception as error:  # noqa: BLE001 - which the test will see
            found.append(error)
        finally:
            connection.close()

    threads = [Thread(target=run, args=(thread,)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def made(results: list[Result]) -> Counter[Any]:
    return Counter(result.is_new if isinstance(result, Placed) else repr(result) for result in results)


def test_api_makes_a_number_once_for_many_requests() -> None:
    headers = {"Authorization": f"Bearer {tokens.create('shop', scopes=[ApiToken.Scope.ORDERS_WRITE])}"}

    def post(number: str) -> int:
        order = {"number": number, "amount": "10", "affiliate": "joe"}
        while (answer := Client().post("/api/orders", order, "application/json", headers=headers)).status_code == 503:
            pass  # SQLite was busy for almost a second
        return answer.status_code

    found = at_once(lambda _thread: [post(f"#{n}") for n in range(3)])
    assert Counter(status for statuses in found for status in statuses) == {201: 3, 200: 3 * (THREADS - 1)}
    assert Order.objects.count() == Delivery.objects.count() == 3


def test_order_of_a_shop_is_made_once_whatever_it_is_found_by() -> None:
    shop = Shop.objects.create(kind=Shop.Kind.SIGNED, name="First")

    def both(thread: int) -> list[Placed]:
        keys = [f"1{n}" if thread % 4 else "" for n in range(5)]
        said = {"shop": shop, "amount": "10", "landing": "/?ref=joe"}
        return [place(IncomingOrder(number=f"#{n}", external_id=key, **said)) for n, key in enumerate(keys)]

    assert made([result for results in at_once(both) for result in results]) == {True: 5, False: 5 * (THREADS - 1)}
    assert Order.objects.count() == Delivery.objects.count() == 5


LOW, HIGH = [*range(10)], [*range(10, 20)]


@pytest.mark.parametrize(
    ("some", "others"),
    [(LOW + HIGH, HIGH[::-1] + LOW[::-1]), ((LOW + HIGH) * 2, (HIGH + LOW) * 2), (LOW + HIGH * 2, HIGH + LOW * 2)],
)
def test_batches_with_the_same_orders_make_them_once(some: list[int], others: list[int]) -> None:
    def batch(thread: int) -> list[Result]:
        numbers = some if thread % 2 else others
        return place_many([IncomingOrder(number=f"#{n}", amount="10", affiliate_code="joe") for n in numbers])

    found = at_once(batch)
    count = (len(some) + len(others)) * THREADS // 2
    assert made([result for results in found for result in results]) == {True: 20, False: count - 20}
    assert Order.objects.count() == Delivery.objects.count() == 20


def test_order_that_is_changed_and_deleted_at_once_is_gone() -> None:
    headers = {"Authorization": f"Bearer {tokens.create('shop', scopes=[ApiToken.Scope.ORDERS_WRITE])}"}
    place(IncomingOrder(number="1", amount="10", affiliate_code="joe"))

    def ask(thread: int) -> int:
        send = Client().delete if thread % 2 else Client().patch
        while True:
            status = send("/api/orders/1", {"amount": str(thread)}, "application/json", headers=headers).status_code
            if status != 503:
                return int(status)

    answers = Counter(at_once(ask))
    assert answers[204] == 1
    assert answers.keys() <= {200, 204, 404}
    assert not Order.objects.exists()
