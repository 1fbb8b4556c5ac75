"""The dispatcher when the database is locked, when a delivery waits too long for its turn, when a run does not end."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from callbacks.delivery import concurrency, db_thread, dispatcher, queue, wakeup
from callbacks.models import Attempt, CallbackSetting, Delivery
from config import db_locks
from tests.factories import orders_told_at
from tests.receiver import Answer, Receiver

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("broker", "loopback")]

LOCK = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "BEGIN; LOCK TABLE callbacks_delivery IN ACCESS EXCLUSIVE MODE"}


@pytest.fixture
def impatient() -> Iterator[None]:
    """We wait for a lock as briefly as a worker does, or rather less."""
    db_locks.set_timeout(0.1)
    yield
    db_locks.set_timeout(None)


@pytest.fixture
def other() -> Iterator[BaseDatabaseWrapper]:
    """A second connection to the same database."""
    made = connections.create_connection(DEFAULT_DB_ALIAS)
    yield made
    made.close()


@pytest.mark.usefixtures("impatient")
def test_run_database_unavailable_starts_nothing_until_it_is_back_and_records_everything(
    receiver: Receiver, other: BaseDatabaseWrapper
) -> None:
    receiver.answer("*", Answer(delay_s=0.02))
    count = 2 * concurrency.SLOTS  # so that there is more than enough to start without a claim
    orders_told_at([receiver.url("/pb")], count)
    engine = dispatcher.of_process()

    def lock_out() -> Iterator[bool]:
        """Takes a step in each turn of the loop, and never asks it to stop."""
        while len(receiver.requests) < 100:
            yield False
        with other.cursor() as cursor:
            cursor.execute(LOCK[other.vendor])
            while not engine.db_thread.is_unavailable:
                yield False
            on_the_wire, noticed_at = engine.in_flight.keys() | (), time.monotonic()
            while time.monotonic() < noticed_at + 3 * db_thread.RETRY_S:
                assert engine.in_flight.keys() <= on_the_wire
                yield False
            cursor.execute("ROLLBACK")

    steps = lock_out()
    assert dispatcher.run(lambda: next(steps, False)) == count
    assert next(steps, "the end") == "the end"
    assert len(receiver.requests) == Attempt.objects.count() == count
    assert set(Delivery.objects.values_list("status", "attempt_count")) == {("succeeded", 1)}


def test_run_what_waited_for_its_turn_too_long_is_not_sent_before_it_is_claimed_anew(
    receiver: Receiver, new_dispatcher: Callable[..., dispatcher.Dispatcher]
) -> None:
    """Its lease could end while it is on the wire, and then another worker would send it again."""
    engine, began = new_dispatcher(lease=dispatcher.MIN_LEASE_LEFT + timedelta(seconds=0.3)), {}
    receiver.answer("*", *[Answer()] * concurrency.INITIAL_SLOTS, Answer(delay_s=0.5))
    orders_told_at([receiver.url("/pb")], 40)

    def look() -> bool:
        began.update(engine.in_flight)
        return False

    assert engine.run(look) == 40
    assert len(receiver.requests) == 40
    left = [claimed.leased_until - began_at for claimed, _, began_at in began.values()]
    assert min(left) >= dispatcher.MIN_LEASE_LEFT
    assert len({claimed.token for claimed, *_ in began.values()}) > 2
    assert set(Delivery.objects.values_list("status", "attempt_count")) == {("succeeded", 1)}
    assert engine.queues.in_flight == 0


def test_run_without_an_end_takes_back_what_a_dead_worker_held_and_shows_that_it_lives(
    receiver: Receiver, new_dispatcher: Callable[..., dispatcher.Dispatcher]
) -> None:
    receiver.answer("/busy", Answer(delay_s=2))
    orders_told_at([receiver.url("/dead")], 1)
    assert len(queue.claim(10)) == 1
    Delivery.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    orders_told_at([receiver.url("/busy")], 1)
    assert new_dispatcher(sweep_interval_s=0.2).run() == 2
    at = {request.path: request.at for request in receiver.requests}
    assert at["/dead"] < at["/busy"] + 2  # so not only when the run had ended after all
    assert wakeup.was_swept(5)


def test_run_request_that_cannot_be_built_is_recorded_and_the_others_are_sent(receiver: Receiver) -> None:
    orders_told_at([receiver.url(f"/{n}") for n in range(3)], 1)
    CallbackSetting.objects.filter(url=receiver.url("/1")).update(secret="whsec_\N{SNOWMAN}")  # which is no base64
    assert dispatcher.run() == 3
    assert {request.path for request in receiver.requests} == {"/0", "/2"}
    attempt = Attempt.objects.get(error_kind="internal")
    assert (attempt.url, attempt.detail) == ("", "Not sent because of an error on our side.")
    assert attempt.delivery.status == "pending"  # and is tried again
