"""The pump when the database lets nobody in, when a delivery waits too long here, and when it never comes to an end."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from callbacks.delivery import concurrency, db_thread, dispatcher, queue, wakeup
from callbacks.models import Attempt, Delivery
from callbacks.postback import request as messages
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
def test_run_database_away_starts_nothing_until_it_is_back_and_records_everything(
    receiver: Receiver, other: BaseDatabaseWrapper
) -> None:
    receiver.answer("*", Answer(delay_s=0.02))
    count = 2 * concurrency.PLACES  # so that there is more than enough to start without a claim
    orders_told_at([receiver.url("/pb")], count)
    engine = dispatcher.of_process()

    def lock_out() -> Iterator[bool]:
        """Takes a step at each turn of the pump, and never asks it to stop."""
        while len(receiver.requests) < 100:
            yield False
        with other.cursor() as cursor:
            cursor.execute(LOCK[other.vendor])
            while not engine.clerk.is_away:
                yield False
            on_the_wire, noticed_at = engine.started.keys() | (), time.monotonic()
            while time.monotonic() < noticed_at + 3 * db_thread.AGAIN_S:
                assert engine.started.keys() <= on_the_wire
                yield False
            cursor.execute("ROLLBACK")

    steps = lock_out()
    assert dispatcher.run(lambda: next(steps, False)) == count
    assert next(steps, "the end") == "the end"
    assert len(receiver.requests) == Attempt.objects.count() == count
    assert set(Delivery.objects.values_list("status", "attempt_count")) == {("succeeded", 1)}


def test_run_what_waited_for_its_turn_too_long_is_not_sent_before_it_is_claimed_anew(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease could end while it is on the wire, and then somebody else would send it again."""
    monkeypatch.setattr(queue, "LEASE", dispatcher.ATTEMPT_AT_MOST + timedelta(seconds=0.3))
    receiver.answer("*", *[Answer()] * concurrency.FIRST_PLACES, Answer(delay_s=0.5))
    orders_told_at([receiver.url("/pb")], 40)
    engine, began = dispatcher.of_process(), {}

    def look() -> bool:
        began.update(engine.started)
        return False

    assert dispatcher.run(look) == 40
    assert len(receiver.requests) == 40
    left = [claimed.leased_until - began_at for claimed, _, began_at in began.values()]
    assert min(left) >= dispatcher.ATTEMPT_AT_MOST
    assert len({claimed.token for claimed, *_ in began.values()}) > 2
    assert set(Delivery.objects.values_list("status", "attempt_count")) == {("succeeded", 1)}
    assert engine.lanes.in_flight == 0


def test_run_without_an_end_takes_back_what_a_dead_worker_held_and_shows_that_it_lives(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "SWEEP_EVERY_S", 0.2)
    receiver.answer("/busy", Answer(delay_s=2))
    orders_told_at([receiver.url("/dead")], 1)
    assert len(queue.claim(10)) == 1
    Delivery.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    orders_told_at([receiver.url("/busy")], 1)
    assert dispatcher.run() == 2
    at = {request.path: request.at for request in receiver.requests}
    assert at["/dead"] < at["/busy"] + 2  # so not when the pump had come to its end after all
    assert wakeup.last_heartbeat() is not None


def test_run_request_that_cannot_be_built_is_recorded_and_the_others_are_sent(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders_told_at([receiver.url("/pb")], 3)
    broken, build = Delivery.objects.order_by("pk")[1].variables["order.number"], messages.build

    def build_or_not(**given: Any) -> Any:
        if given["variables"]["order.number"] == broken:
            raise ZeroDivisionError
        return build(**given)

    monkeypatch.setattr(messages, "build", build_or_not)
    assert dispatcher.run() == 3
    assert len(receiver.requests) == 2
    attempt = Attempt.objects.get(error_kind="internal")
    assert (attempt.url, attempt.detail) == ("", "This could not be sent because of an error on our side.")
    assert attempt.delivery.status == "pending"  # and is tried again
