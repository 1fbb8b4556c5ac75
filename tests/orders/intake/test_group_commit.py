"""Calls that come while another is at work are done together by one of them, and each gets its own result."""

import sqlite3
import time
from collections.abc import Callable, Sequence
from threading import Event, Thread
from typing import Any

import psycopg
import pytest
import structlog
from django.db import OperationalError, connection, transaction
from structlog.testing import capture_logs

from affiliates.models import Affiliate
from callbacks.models import Delivery
from orders.intake import place
from orders.intake.group_commit import GroupCommit
from orders.intake.incoming import IncomingOrder, Placed
from orders.models import Order
from tests.factories import AffiliateFactory, OrderFactory, callbacks_for
from tests.waiting import wait_until

WAIT_S = 10


class Work:
    """Something that is done for several at once; it halts in the first call until the others have come."""

    def __init__(self, run: Callable[[Sequence[Any]], Sequence[Any]]) -> None:
        self.run, self.calls = run, list[list[Any]]()
        self.has_begun, self.goes_on = Event(), Event()

    def __call__(self, items: Sequence[Any]) -> Sequence[Any]:
        self.calls.append(list(items))
        self.has_begun.set()
        assert self.goes_on.wait(WAIT_S)
        return self.run(items)


def together(commit: GroupCommit[Any, Any], work: Work, do: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """What `do` returns for each of the items. All but the first come while the first is at work."""
    found: dict[int, Any] = {}

    def run(index: int) -> None:
        try:
            found[index] = do(items[index])
        except Exception as error:  # noqa: BLE001 - which the test will see
            found[index] = error
        finally:
            connection.close()

    threads = [Thread(target=run, args=(index,)) for index in range(len(items))]
    threads[0].start()
    assert work.has_begun.wait(WAIT_S)
    for index, thread in enumerate(threads[1:], 1):
        thread.start()
        deadline = time.monotonic() + WAIT_S
        while len(commit._waiting) < index and time.monotonic() < deadline:
            time.sleep(0.001)
    work.goes_on.set()
    for thread in threads:
        thread.join(WAIT_S)
    return [found[index] for index in range(len(items))]


def test_those_that_come_meanwhile_are_done_in_one_call_and_get_their_own_results() -> None:
    work = Work(lambda items: [item * 2 for item in items])
    commit = GroupCommit[int, int](work)
    assert together(commit, work, commit, [1, 2, 3, 4]) == [2, 4, 6, 8]
    assert work.calls == [[1], [2, 3, 4]]
    assert commit(5) == 10
    assert work.calls[2:] == [[5]]


AWAY, DEADLOCK, LOCKED = (OperationalError() for _ in range(3))
DEADLOCK.__cause__, LOCKED.__cause__ = psycopg.errors.DeadlockDetected(), sqlite3.OperationalError()
LOCKED.__cause__.sqlite_errorcode = sqlite3.SQLITE_BUSY


@pytest.mark.parametrize(
    ("error", "result", "events"),
    [(ValueError(), None, ["not_done_together"]), (AWAY, AWAY, []), (DEADLOCK, None, []), (LOCKED, None, [])],
    ids=["ours", "away", "deadlock", "locked"],
)
def test_call_that_fails_has_no_results_and_hinders_nobody_later(
    error: Exception, result: Exception | None, events: list[str]
) -> None:
    def fail(items: Sequence[int]) -> Sequence[int]:
        if len(items) == 3:
            raise error
        return items

    work = Work(fail)
    commit = GroupCommit[int, int](work)
    with capture_logs() as lines:
        assert together(commit, work, commit, [1, 2, 3, 4]) == [1, result, result, result]
    assert [line["event"] for line in lines] == events
    assert commit(5) == 5


@pytest.mark.django_db(transaction=True)
def test_orders_of_several_requests_are_placed_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """New ones are; the others by themselves. Each delivery has the request of its own order."""
    callbacks_for(AffiliateFactory(code="joe"), "https://tracker.example/")
    OrderFactory(number="#3", amount=1, affiliate=None)
    work = Work(place.place_new)
    monkeypatch.setattr(place, "_place_new_together", commit := GroupCommit(work))
    numbers = ["#0", "#1", "#2", "#3", "#4", "#4", "", "#5"]

    def run(number: str) -> Placed:
        with structlog.contextvars.bound_contextvars(request_id=f"request-{number}"):
            return place.place_with_others(IncomingOrder(number=number, amount="10", affiliate_code="joe"))

    found = together(commit, work, run, [*numbers])
    assert [len(call) for call in work.calls] == [1, 7]
    placed = [each for each in found if isinstance(each, Placed)]
    assert sorted((each.order.number, each.is_new) for each in placed) == [
        ("#0", True), ("#1", True), ("#2", True), ("#3", False), ("#4", False), ("#4", True), ("#5", True),
    ]  # fmt: skip
    assert [list(error.message_dict) for error in found if not isinstance(error, Placed)] == [["number"]]
    assert Order.objects.filter(amount=10, affiliate__code="joe").count() == 6
    made = Delivery.objects.filter(event="order.created").values_list("request_id", "variables")
    assert {variables["order.number"]: request for request, variables in made} == {
        number: f"request-{number}" for number in ("#0", "#1", "#2", "#3", "#4", "#5")
    }


@pytest.mark.django_db(transaction=True)
def test_order_in_an_open_transaction_is_placed_in_that_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "_place_new_together", None)
    with transaction.atomic():
        assert place.place_with_others(IncomingOrder(number="#1", amount="10")).is_new
        transaction.set_rollback(True)
    assert not Order.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_order_that_waits_for_another_transaction_holds_up_nobody(postgresql: bool) -> None:
    if not postgresql:
        return
    affiliate = AffiliateFactory(code="joe")
    has_locked, goes_on, found = Event(), Event(), list[str]()

    def lock() -> None:
        with transaction.atomic():
            Affiliate.objects.select_for_update().get(pk=affiliate.pk)
            has_locked.set()
            assert goes_on.wait(WAIT_S)
        connection.close()

    def run(number: str, code: str) -> None:
        incoming = IncomingOrder(number=number, amount="1", affiliate_code=code)
        found.append(place.place_with_others(incoming).order.number)
        connection.close()

    threads = [Thread(target=lock), Thread(target=run, args=("#1", "joe")), Thread(target=run, args=("#2", ""))]
    threads[0].start()
    assert has_locked.wait(WAIT_S)
    threads[1].start()
    wait_until(lambda: place._place_new_together._is_at_work, WAIT_S)
    threads[2].start()
    threads[2].join(2)
    assert found == ["#2"]
    goes_on.set()
    for thread in threads:
        thread.join(WAIT_S)
    assert found == ["#2", "#1"]
