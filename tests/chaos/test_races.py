"""Two of everything: beats, sweeps, workers, all after the same rows."""

from collections.abc import Callable
from datetime import timedelta

from django.contrib.auth.models import User
from django.utils import timezone

from callbacks.delivery import health, queue
from callbacks.models import Attempt, CallbackSetting, Delivery, EndpointHealth
from config.models import Email
from tests.callbacks.panel import at_once
from tests.chaos.surroundings import Surroundings, size
from tests.receiver import Answer, Receiver

DELIVERIES = size(600, 10_000)
ROUNDS = size(20, 200)
JUDGED = size(5, 50)
RIVALS = 4


def test_two_workers_and_two_beats_send_nothing_twice(
    around: Surroundings, receiver: Receiver, report: Callable[..., None]
) -> None:
    receiver.answer("*", Answer(delay_s=0.01))
    around.place(DELIVERIES)
    for _ in range(2):
        around.beat()
        around.worker()
    around.wait_until_sent(120)
    counts = around.count()
    assert (counts.deliveries, counts.duplicates) == (DELIVERIES, 0)
    assert Attempt.objects.count() == DELIVERIES
    report("two workers, two beats", counts)


def test_claims_at_once_on_one_row_give_it_to_one(around: Surroundings) -> None:
    around.place(2)
    delivery = Delivery.objects.get(event="order.created")
    for _ in range(ROUNDS):
        assert sorted(at_once([lambda: len(queue.claim(10))] * RIVALS)) == [0] * (RIVALS - 1) + [1]
        delivery.refresh_from_db()
        assert delivery.status == "sending"
        assert delivery.attempt_count == 0
        around.expire_leases()
        queue.recover()


def test_sweeps_at_once_take_a_lease_back_once(around: Surroundings) -> None:
    around.place(2)
    for _ in range(ROUNDS):
        assert len(queue.claim(10)) == 1
        around.expire_leases()
        assert sum(at_once([queue.recover] * RIVALS)) == 1


def test_sweeps_at_once_with_claims_never_give_a_row_to_two(around: Surroundings) -> None:

    def take_over() -> int:
        queue.recover()
        return len(queue.claim(10))

    around.place(2)
    for _ in range(ROUNDS):
        queue.claim(10)
        around.expire_leases()
        assert sum(at_once([take_over] * RIVALS)) == 1
        around.expire_leases()
        queue.recover()


def test_claim_whose_lease_was_lost_leaves_the_row_to_its_new_owner(around: Surroundings) -> None:
    around.place(2)
    (late,) = queue.claim(1)
    around.expire_leases()
    queue.recover()
    (owner,) = queue.claim(1)
    queue.give_back([late])
    queue.skip([late])
    delivery = Delivery.objects.get(pk=late.pk)
    assert (delivery.status, delivery.claim_token) == ("sending", owner.token)
    assert delivery.leased_until
    assert delivery.leased_until > timezone.now() + queue.LEASE - timedelta(seconds=30)


def test_processes_that_judge_at_once_tell_once(around: Surroundings) -> None:
    """Each change of a callback's state, whoever of several finds it: failing, paused, recovered."""
    User.objects.create(username="ann", email="ann@shop.example", is_staff=True, is_superuser=True)
    (code,) = around.affiliates(1)
    settings = CallbackSetting.objects.filter(affiliate__code=code, event="order.created")
    settings.get()
    rows = EndpointHealth.objects.filter(setting__in=settings)
    for _ in range(JUDGED):
        rows.delete()
        Email.objects.all().delete()
        now = timezone.now()
        failures = {"failures": 10, "last_error_kind": "timeout", "last_failure_at": now - timedelta(minutes=1)}
        rows.create(setting=settings.get(), first_failure_at=now - timedelta(hours=25), **failures)
        for count, change, state in (
            (1, {}, "failing"),
            (2, {"first_failure_at": now - timedelta(hours=73)}, "paused"),
            (3, {"last_success_at": now + timedelta(minutes=1), "first_failure_at": None, "failures": 0}, ""),
        ):
            rows.update(**change)
            at_once([health.judge] * RIVALS)
            assert (rows.get().state, Email.objects.count()) == (state, count)
        assert settings.get().is_active
